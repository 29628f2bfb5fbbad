"""The interventional robustness score."""

from collections.abc import Iterator
from typing import Annotated, final

from annotated_types import Interval

from genmod import Doc, Metric, Row, Subject, Undefined
from genmod.plugins.metrics._factored import factored
from genmod.plugins.metrics._irs import irs

__all__ = ["Irs"]


@final
class Irs(Metric):
    """The interventional robustness score: does a latent stay where it is when all factors but its own change.

    ``IRS_dk = 1 - E_v[Q_{i: v_ik = v} |z_id - E[z_d|v_k = v]|] / max_i |z_id - E[z_d]|``, the mean over the latents of
    ``max_k IRS_dk``, weighted by their largest deviations

    Q is a high quantile. Latents that are the same for all examples are left out. It has no standard error, being made of
    extremes.

    Reference:
        Robustly Disentangled Causal Mechanisms (Suter et al., 2018), arXiv:1811.00007

    Example:
        >>> import torch
        >>> from genmod import Batch, TensorSplit, build, evaluate
        >>> factors = torch.cartesian_prod(torch.arange(8), torch.arange(8))
        >>> split = TensorSplit(Batch(torch.rand(64, 1, 8, 8), factors=factors))
        >>> [row.name for row in evaluate(build(encoder="mlp"), split, "irs").rows]
        ['irs[0.99]']
    """

    main = "quantile"

    def __init__(
        self,
        *,
        quantile: Annotated[
            float,
            Interval(ge=0.5, le=1.0),
            Doc("of deviations, stands for the largest; 1 is that of the paper"),
        ] = 0.99,
    ) -> None:
        self.quantile = quantile

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        data = factored(subject)
        yield data.row(
            f"irs[{self.quantile:g}]",
            irs(data.codes, data.factors, quantile=self.quantile),
            "share of a latent's range that stays while all factors but one change",
        )
