"""The area under the receiver operating characteristic, with its standard error."""

import math

import torch
from torch import Tensor

from genmod import UsageError

__all__ = ["auroc", "share_below"]


def auroc(high: Tensor, low: Tensor, *, paired: bool = False) -> tuple[float, float]:
    """How often a score that should be high is above one that should be low, and the standard error.

    ``P(h > l) + ½ P(h = l)``; the error by the variances of the share of the others that each score is above, or below.

    Args:
        high: scores that should be high, ``(M,)``.
        low: scores that should be low, ``(N,)``.
        paired: score i of both is about the same example, so M is N, and the two are not independent.

    Returns:
        The area, and its standard error; NaN where there is one score of a kind.

    Raises:
        UsageError: there are no scores of a kind, some are NaN, or paired ones are not as many.

    Reference:
        Comparing the Areas under Two or More Correlated Receiver Operating Characteristic Curves (DeLong et al., 1988),
        doi:10.2307/2531595

    Example:
        >>> auroc(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0]))[0]
        0.75
    """
    m, n = len(high), len(low)
    if not (m and n) or high.isnan().any() or low.isnan().any() or (paired and m != n):
        raise UsageError(
            f"{m} scores that should be high and {n} that should be low have no area between them",
            hint="give both kinds, without NaN, and paired ones in equal numbers",
        )
    above = share_below(high, low)
    below = 1 - share_below(low, high)
    area = above.mean().item()
    if min(m, n) < 2:
        return area, math.nan
    variance = (above + below).var() / n if paired else above.var() / m + below.var() / n
    return area, math.sqrt(variance.item())


def share_below(x: Tensor, y: Tensor) -> Tensor:
    """The share of ``y (N,)`` that each of ``x (M,)`` is above, equal ones counted half, ``(M,)`` float64."""
    order = y.double().sort().values
    x = x.double().contiguous()
    twice = torch.searchsorted(order, x) + torch.searchsorted(order, x, right=True)
    return twice.double() / (2 * len(y))
