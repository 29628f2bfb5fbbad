"""A classifier that is trained to separate generated examples from the data."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge

from genmod import Doc, Row, Subject, Undefined, UndefinedError
from genmod.plugins.metrics._generated import OfGenerated, chance_row
from genmod.plugins.metrics._two_sample import classifier_test
from genmod.system import seed_for

__all__ = ["C2st"]


@final
@dataclass(kw_only=True, eq=False)
class C2st(OfGenerated):
    """The classifier two-sample test: how often a classifier recognises generated examples that it has not seen.

    It is trained on one half of both sets and tested on the other. An accuracy of one half is chance; with one, every
    generated example is recognised. ``c2st_p`` is the chance of its ranking of the other half if there were no
    difference, by permutations; uniform between 0 and 1 then. ``area`` in the details is that under the ROC curve.

    Raises:
        UsageError: there are no such features.

    Reference:
        Revisiting Classifier Two-Sample Tests (Lopez-Paz and Oquab, 2017), arXiv:1610.06545

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.rand(50, 1, 8, 8)))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "c2st[pixel]").rows]
        ['c2st[pixel]', 'c2st_p[pixel]']
    """

    classifier: Annotated[
        Literal["logistic", "knn"], Doc("linear in the features, or by the nearest neighbours")
    ] = "logistic"
    permutations: Annotated[int, Ge(19), Doc("how many; p is 1 / (permutations + 1) or more")] = 999

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        sets = self.compared(subject)
        if min(len(sets.real), len(sets.made)) < 4:
            raise UndefinedError(
                "a classifier is trained on two examples of each set at least, and tested on two"
            )

        def test(made: torch.Tensor) -> tuple[float, float, float, int]:
            verdict, accuracy, n = classifier_test(
                sets.real,
                made,
                classifier=self.classifier,
                permutations=self.permutations,
                generator=torch.Generator().manual_seed(seed_for(subject.seed, "evaluation/c2st")),
            )
            return verdict.statistic, verdict.p, accuracy, n

        area, p, accuracy, n = test(sets.made)
        details = {"area": area, "classifier": self.classifier, **sets.details}
        if sets.floor is not None and len(sets.floor) >= 4:
            details = {"floor": test(sets.floor)[2], **details}
        yield Row(
            f"c2st[{sets.label}]",
            accuracy,
            (accuracy * (1 - accuracy) / n) ** 0.5,
            n,
            "",
            "share of unseen examples that a classifier assigns to the right set; 0.5 by chance",
            "lower",
            details,
        )
        yield chance_row("c2st_p", sets, p, n, "a ranking", self.permutations, classifier=self.classifier)
