"""Explicitness."""

from collections.abc import Iterator
from typing import final

from genmod import Metric, Row, Subject, Undefined
from genmod.plugins.metrics._explicitness import explicitness
from genmod.plugins.metrics._factored import factored
from genmod.system import seed_for

__all__ = ["Explicitness"]


@final
class Explicitness(Metric):
    """How well a linear classifier of all latents tells the values of factors: areas under ROC curves, ½ by chance.

    ``1/K Σ_k 1/|V_k| Σ_v AUC(p_v)``, ``p_v`` of multinomial logistic regression from posterior means

    Learned from two thirds of the split, at most 10,000 examples, and asked about the rest, at most 5,000. The standard error
    is that of the examples that are asked about.

    Reference:
        Learning Deep Disentangled Embeddings with the F-Statistic Loss (Ridgeway and Mozer, 2018), arXiv:1802.05312

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> factors = torch.cartesian_prod(torch.arange(8), torch.arange(8))
        >>> split = TensorSplit(Batch(torch.rand(64, 1, 8, 8), factors=factors))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "explicitness").rows]
        ['explicitness']
    """

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        data = factored(subject)
        yield data.row(
            "explicitness",
            explicitness(data.codes, data.factors, seed=seed_for(subject.seed, "evaluation/explicitness")),
            "area under the ROC curve of a linear classifier of each value of a factor, the mean over these",
        )
