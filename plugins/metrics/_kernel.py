"""Maximum mean discrepancies: distances of two sets by a kernel, without bias."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from genmod.evaluation import squared_distances
from genmod.plugins.metrics._frechet import Distance

__all__ = ["Kernel", "gaussian", "mmd", "polynomial"]

Kernel = Callable[[Tensor, Tensor], Tensor]
"""Points ``(N, D)`` and ``(M, D)`` → ``(N, M)``."""

_ELEMENTS = 2**23


def polynomial(x: Tensor, y: Tensor) -> Tensor:
    """``(x·y / D + 1)³``, the kernel of KID, ``(N, D), (M, D) → (N, M)``.

    Example:
        >>> polynomial(torch.ones(1, 2), torch.ones(1, 2))
        tensor([[8.]])
    """
    product = x @ y.T / x.shape[1] + 1
    return product * product * product  # a power takes five times as long


def gaussian(width: float) -> Kernel:
    """``exp(-|x - y|² / (2 width²))``.

    Example:
        >>> gaussian(1.0)(torch.zeros(1, 2), torch.ones(1, 2)).log()
        tensor([[-1.]], dtype=torch.float64)
    """

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (squared_distances(x, y) / (-2 * width**2)).exp()

    return kernel


def mmd(x: Tensor, y: Tensor, kernel: Kernel = polynomial) -> Distance:
    """The squared maximum mean discrepancy, from all pairs, without bias: below 0 as often as above between equals.

    ``mean_{i≠j} k(x_i, x_j) + mean_{i≠j} k(y_i, y_j) - 2 mean_{ij} k(x_i, y_j)``

    The standard error is that of a U-statistic, from how far each example moves it.

    Args:
        x: features, ``(N, D)``, N from 2.
        y: features, ``(M, D)``, M from 2.
        kernel: positive definite.

    Reference:
        Demystifying MMD GANs (Bińkowski et al., 2018), arXiv:1801.01401

    Example:
        >>> mmd(torch.zeros(3, 1), torch.ones(3, 1)).value
        7.0
    """
    x, y = x.double(), y.double()
    n, m = len(x), len(y)
    within_x, within_y = _row_sums(x, x, kernel, own=True), _row_sums(y, y, kernel, own=True)
    across_x, across_y = _row_sums(x, y, kernel), _row_sums(y, x, kernel)
    value = within_x.sum() / (n * (n - 1)) + within_y.sum() / (m * (m - 1)) - 2 * across_x.sum() / (n * m)
    variance = 0.0
    for within, across, own, other in ((within_x, across_x, n, m), (within_y, across_y, m, n)):
        move = within / (own - 1) - across / other
        variance += 4 * float(move.var(correction=1)) / own
    return Distance(float(value), math.sqrt(variance))


def _row_sums(x: Tensor, y: Tensor, kernel: Kernel, *, own: bool = False) -> Tensor:
    """``Σ_j k(x_i, y_j)``, without ``j = i`` where both are the same points, ``(N,)``."""
    step = max(1, _ELEMENTS // len(y))
    sums = []
    for start in range(0, len(x), step):
        values = kernel(x[start : start + step], y)
        if own:
            values[:, start : start + step].fill_diagonal_(0)
        sums.append(values.sum(1))
    return torch.cat(sums)
