"""The interventional robustness score."""

from collections.abc import Iterator
from typing import Annotated, final

import numpy as np
import numpy.typing as npt
from annotated_types import Interval

from genmod import Doc, Metric, Row, Subject, Undefined
from genmod.plugins.metrics._factored import factored
from genmod.plugins.metrics._factors import Score, checked

__all__ = ["Irs", "irs"]


@final
class Irs(Metric):
    """The interventional robustness score: does a latent stay where it is when all factors but its own change.

    ``IRS_dk = 1 - E_v[Q_{i: v_ik = v} |z_id - E[z_d|v_k = v]|] / max_i |z_id - E[z_d]|``, the mean over the latents of
    ``max_k IRS_dk``, weighted by their largest deviations

    Q is a high quantile. Latents that are the same for all examples are left out. It has no standard error, because it is
    made of extremes.

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


def irs(codes: npt.ArrayLike, factors: npt.ArrayLike, *, quantile: float = 0.99) -> Score:
    """The interventional robustness score, see :class:`Irs`; 0 where all latents are the same for all examples.

    All values of a factor count alike. It assumes that factors are independent and every combination is seen.

    Args:
        codes: ``(n, d)``.
        factors: ``(n, k)``; those that do not vary are left out.
        quantile: that stands for the largest deviation among examples that share a value; 1 is that of the paper.

    Raises:
        DataError: other shapes.
        UndefinedError: no factor varies.

    Example:
        >>> factors = np.array([[i, j] for i in range(4) for j in range(4)])
        >>> irs(factors, factors).value
        1.0
    """
    coding = checked(codes, factors)
    z = coding.codes[:, ~coding.constant]
    details = {"quantile": quantile, "active": z.shape[1], "kept": coding.kept}
    if not z.shape[1]:
        return Score(0.0, details=details)
    most = np.abs(z - z.mean(0)).max(0)
    deviations = np.empty((z.shape[1], coding.factors.shape[1]))
    for k, column in enumerate(coding.factors.T):
        order = np.argsort(column, kind="stable")
        alike = np.split(z[order], np.cumsum(np.bincount(column))[:-1])
        deviations[:, k] = np.mean(
            [np.quantile(np.abs(part - part.mean(0)), quantile, axis=0) for part in alike], 0
        )
    table = 1 - deviations / most[:, None]
    value = float(np.average(table.max(1), weights=most))
    return Score(
        value, details={**details, "robustness": table.tolist(), "parents": table.argmax(1).tolist()}
    )
