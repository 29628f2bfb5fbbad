"""Negative log-likelihood by importance sampling from the posterior."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, final

from annotated_types import Ge, MinLen
from torch import Tensor

from genmod import Doc, Metric, Row, Subject, Undefined
from genmod.evaluation import importance_bounds, latents_that_fit
from genmod.plugins.metrics._likelihood import Estimate, likelihood_rows

__all__ = ["Nll"]

_FEW, _MANY = 5, 100
"""Fewer effective draws than the first, of the second or more, are warned of: the bound cannot be trusted."""


@final
class Nll(Metric):
    """Negative log-likelihood, bounded from above with many draws of the posterior.

    ``-log 1/K Σ_k p(x|z_k) p(z_k) / q(z_k|x) ≥ -log p(x)`` on average, ``z_k ~ q(z|x)``, nats

    It falls with K towards the negative log-likelihood; several K are the first draws of one stream:
    ``nll[1,10,100]``. ``effective_samples`` is the number of draws of the exact posterior that the draws are worth, on
    average over the examples: where it is small, the bound is still far from its limit. Sums are in double precision, and
    the numbers do not depend on the memory. Bits per dimension of a continuous likelihood on data with levels
    are bounded with the levels spread over their cells.

    Reference:
        Importance Weighted Autoencoders (Burda et al., 2015), arXiv:1509.00519

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> split = TensorSplit(Batch(torch.zeros(8, 1, 8, 8)))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "nll[1,10]").rows]
        ['nll[1]', 'bits_per_dim[1]', 'nll[10]', 'bits_per_dim[10]']
    """

    main = "samples"

    def __init__(
        self,
        *,
        samples: Annotated[
            Sequence[Annotated[int, Ge(1)]],
            MinLen(1),
            Doc("draws of the latents for each example, K; several give a bound for each"),
        ] = (1000,),
        examples: Annotated[
            int | None, Ge(1), Doc("only so many of the first examples; all unless given")
        ] = None,
        memory: Annotated[
            int | None,
            Ge(1),
            Doc("MiB to decode in; 16 on a processor, whose cache holds that, 1024 elsewhere"),
        ] = None,
    ) -> None:
        self.samples = tuple(sorted(set(samples)))
        self.examples = examples
        self.memory = memory

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        model, rows = subject.model, 0
        memory = (self.memory or (16 if model.device.type == "cpu" else 1024)) * 2**20

        def estimate(
            x: Tensor, context: Tensor | None, on_progress: Callable[[int], None]
        ) -> Mapping[str, Estimate]:
            nonlocal rows
            if not rows:
                with subject.drawing("nll/memory"):
                    rows = latents_that_fit(model, x, context, memory)
            found = importance_bounds(model, x, context, self.samples, rows=rows, on_progress=on_progress)
            return {
                str(count): Estimate(
                    found.values[i],
                    found.variances[i],
                    {"effective_samples": found.effective[i]},
                    {"samples": count},
                )
                for i, count in enumerate(self.samples)
            }

        definition = (
            "-log p(x)" if model.exact else "-log 1/K Σ_k p(x, z_k) / q(z_k|x), an upper bound on -log p(x)"
        )
        for row in likelihood_rows(subject, "nll", estimate, definition, limit=self.examples):
            if isinstance(row, Row) and row.name.startswith("nll") and row.details["samples"] >= _MANY:
                effective = row.details["effective_samples"]
                if effective < _FEW:
                    subject.warn(
                        f"{row.name} rests on {effective:.1f} of its draws, and may be far from the likelihood; metric ais"
                        " comes nearer"
                    )
            yield row
