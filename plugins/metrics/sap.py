"""Separated attribute predictability."""

from collections.abc import Iterator
from typing import Annotated, final

from genmod import Doc, Metric, Row, Subject, Undefined
from genmod.plugins.metrics._factored import factored
from genmod.plugins.metrics._sap import Kind, sap
from genmod.system import seed_for

__all__ = ["Sap"]


@final
class Sap(Metric):
    """The separated attribute predictability: is there one latent for each factor that predicts it best by far.

    ``1/K Σ_k (S_(1)k - S_(2)k)``

    ``S_dk`` of discrete factors is the accuracy of a linear support vector machine from latent d alone, learned from two
    thirds of the split, at most 10,000 examples, and asked about the rest, at most 5,000; of continuous ones the squared
    correlation. The standard error is that of the examples, to first order.

    Reference:
        Variational Inference of Disentangled Latent Concepts from Unlabeled Observations (Kumar et al., 2017),
        arXiv:1711.00848

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> factors = torch.cartesian_prod(torch.arange(8), torch.arange(8))
        >>> split = TensorSplit(Batch(torch.rand(64, 1, 8, 8), factors=factors))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "sap[continuous]").rows]
        ['sap[continuous]']
    """

    main = "factors"

    def __init__(
        self, *, factors: Annotated[Kind, Doc("what all factors are taken for")] = "discrete"
    ) -> None:
        self.factors: Kind = factors

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        data = factored(subject)
        found = sap(
            data.codes, data.factors, kind=self.factors, seed=seed_for(subject.seed, "evaluation/sap")
        )
        yield data.row(
            f"sap[{self.factors}]",
            found,
            "how far the best latent for a factor is ahead of the second in predicting it linearly",
        )
