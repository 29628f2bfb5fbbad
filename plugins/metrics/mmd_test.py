"""A kernel test of whether generated examples and the data have the same distribution."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, final

import torch
from annotated_types import Ge

from genmod import Doc, Row, Subject, Undefined
from genmod.plugins.metrics._generated import OfGenerated, chance_row
from genmod.plugins.metrics._kernel import gaussian, mmd
from genmod.plugins.metrics._two_sample import kernel_test, usual_distance
from genmod.system import seed_for

__all__ = ["MmdTest"]

_MOST = 2000


@final
@dataclass(kw_only=True, eq=False)
class MmdTest(OfGenerated):
    """The kernel two-sample test: whether generated examples differ from the data in their features.

    ``MMD² = mean k(x_i, x_j) + mean k(y_i, y_j) - 2 mean k(x_i, y_j)``, ``k(x, y) = exp(-|x - y|² / (2 s²))``, ``s`` the
    median distance; ``p`` by permutations of which example is in which set

    ``mmd_p`` is the chance of a difference as large as this one if there were none, uniform between 0 and 1 then. A
    small one shows a difference; with a large one, so many examples do not show any.

    Raises:
        UsageError: there are no such features.

    Reference:
        A Kernel Two-Sample Test (Gretton et al., 2012), jmlr v13/gretton12a

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.rand(50, 1, 8, 8)))
        >>> result = evaluate(build(encoder="mlp"), split, "mmd-test[pixel]")
        >>> result["mmd_p[pixel]"].value
        0.001
    """

    samples: Annotated[
        int | None, Ge(2), Doc("generated examples, and of the split; by default its number, at most 2,000")
    ] = None
    permutations: Annotated[int, Ge(19), Doc("how many; p is 1 / (permutations + 1) or more")] = 999

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        sets = self.compared(subject, samples=self.samples or min(len(subject.split), _MOST))
        n, width = len(sets.real), usual_distance(torch.cat([sets.real, sets.made]))
        found = mmd(sets.real, sets.made, gaussian(width))
        details = {"width": width, **sets.details}
        if sets.floor is not None:
            details = {"floor": mmd(sets.real, sets.floor, gaussian(width)).value, **details}
        definition = "squared MMD of features of generated examples and of the data, Gaussian kernel"
        yield Row(
            f"mmd[{sets.label}]", found.value, found.standard_error, n, "", definition, "lower", details
        )
        generator = torch.Generator().manual_seed(seed_for(subject.seed, "evaluation/mmd-test"))
        verdict = kernel_test(
            sets.real, sets.made, width=width, permutations=self.permutations, generator=generator
        )
        yield chance_row("mmd_p", sets, verdict.p, n, "an MMD", self.permutations)
