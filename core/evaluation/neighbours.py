"""Nearest neighbours by Euclidean distance, in pieces that fit in memory."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from genmod.errors import UsageError

__all__ = ["distances_by_rows", "nearest", "squared_distances"]

_ELEMENTS = 2**24
"""Distances that are held at a time: 128 MiB."""
_ROWS = 2048


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """``|x_i - y_j|²`` in double precision, ``(N, D), (M, D) → (N, M)``.

    Example:
        >>> squared_distances(torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0]]))
        tensor([[9.],
                [4.]], dtype=torch.float64)
    """
    x, y = x.double(), y.double()
    squares = torch.addmm(y.square().sum(1) + x.square().sum(1, keepdim=True), x, y.T, alpha=-2)
    return squares.clamp_(min=0)


def distances_by_rows(x: Tensor, y: Tensor, *, diagonal: bool = False) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of some rows of ``x (N, D)`` at a time to all of ``y (M, D)``.

    Args:
        x: points.
        y: points.
        diagonal: both are the same points: the distance of each to itself is exactly 0.

    Yields:
        The rows, and ``(rows, M)`` double.
    """
    y = y.double()
    step = max(1, _ELEMENTS // max(1, len(y)))
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        squares = squared_distances(x[rows], y)
        if diagonal:
            squares[:, rows].fill_diagonal_(0)
        yield rows, squares


def nearest(x: Tensor, train: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """The nearest of other examples.

    Args:
        x: examples or features, ``(N, *shape)``.
        train: those among which are looked for, ``(M, *shape)``, M from k.
        k: how many of them.

    Returns:
        Euclidean distances, ``(N, k)`` double, nearest first; their places in ``train``, ``(N, k)`` int64.

    Raises:
        UsageError: the shapes differ, or there are fewer than k.

    Example:
        >>> nearest(torch.tensor([[0.0, 0.0]]), torch.tensor([[5.0, 0.0], [3.0, 4.0], [0.0, 1.0]]), 2)
        (tensor([[1., 5.]], dtype=torch.float64), tensor([[2, 0]]))
    """
    if x.shape[1:] != train.shape[1:] or not 1 <= k <= len(train):
        raise UsageError(
            f"the {k} nearest of {len(train)} examples of shape {tuple(train.shape[1:])} to examples of shape "
            f"{tuple(x.shape[1:])}",
            hint="give examples of one shape, and no larger k than there are",
        )
    size = math.prod(x.shape[1:])
    points, others = x.reshape(len(x), size), train.reshape(len(train), size)
    found = [_nearest(some, others, k) for some in points.split(_ROWS)] or [_nearest(points, others, k)]
    squares, places = (torch.cat([each[i] for each in found]) for i in (0, 1))
    return squares.sqrt(), places


def _nearest(x: Tensor, train: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Of a few points: the best so far, and those of one more piece, until all were looked at."""
    best = x.new_full((len(x), 0), 0, dtype=torch.float64)
    places = x.new_full((len(x), 0), 0, dtype=torch.int64)
    for start in range(0, len(train), 4 * _ROWS):
        squares = squared_distances(x, train[start : start + 4 * _ROWS])
        here = torch.arange(start, start + squares.shape[1], device=x.device).expand(len(x), -1)
        squares, here = torch.cat([best, squares], 1), torch.cat([places, here], 1)
        best, order = squares.topk(min(k, squares.shape[1]), dim=1, largest=False)
        places = here.gather(1, order)
    return best, places
