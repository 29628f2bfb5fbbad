"""Modularity."""

from collections.abc import Iterator
from typing import Annotated, final

from annotated_types import Ge

from genmod import Doc, Metric, Row, Subject, Undefined
from genmod.plugins.metrics._factored import factored
from genmod.plugins.metrics._mig import modularity

__all__ = ["Modularity"]


@final
class Modularity(Metric):
    """How nearly each latent is about a single factor, the mean over the latents.

    ``1/D Σ_d [1 - Σ_{k≠k*} I(z_d; v_k)² / (I(z_d; v_k*)² (K - 1))]``, ``k* = argmax_k I(z_d; v_k)``

    Latents with next to no information count like all others, and often score high: read it beside explicitness. The
    standard error is that of the examples, to first order.

    Reference:
        Learning Deep Disentangled Embeddings with the F-Statistic Loss (Ridgeway and Mozer, 2018), arXiv:1802.05312

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> factors = torch.cartesian_prod(torch.arange(8), torch.arange(8))
        >>> split = TensorSplit(Batch(torch.rand(64, 1, 8, 8), factors=factors))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "modularity").rows]
        ['modularity[20]']
    """

    main = "bins"

    def __init__(self, *, bins: Annotated[int, Ge(2), Doc("equally wide ones of each latent")] = 20) -> None:
        self.bins = bins

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        data = factored(subject)
        yield data.row(
            f"modularity[{self.bins}]",
            modularity(data.codes, data.factors, bins=self.bins),
            "how nearly a latent is about one factor, by mutual information",
        )
