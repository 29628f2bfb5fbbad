"""Nearest neighbours by Euclidean distance, in pieces that fit in memory."""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from genmod.data.dataset import DataInfo, Split
from genmod.errors import UsageError
from genmod.model.pieces import held

__all__ = ["distances_by_rows", "nearest", "nearest_example", "squared_distances"]

_ELEMENTS = 2**24
"""Distances, or values of examples, in memory at a time: 128 MiB."""
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
        train: examples to search, ``(M, *shape)``, M from k.
        k: number of neighbours.

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
    # Both are brought to double precision, so large examples are compared in smaller pieces.
    most = max(1, _ELEMENTS // max(1, size))
    found = [
        _best((squared_distances(some, piece) for piece in others.split(min(4 * _ROWS, most))), k)
        for some in points.split(min(_ROWS, most))
    ]
    squares, places = (torch.cat([each[i] for each in found]) for i in (0, 1))
    return squares.sqrt(), places


def nearest_example(queries: Tensor, split: Split, data: DataInfo, *, limit: int) -> tuple[Tensor, Tensor]:
    """The nearest of the first ``limit`` examples of a split, by the values that both have.

    Columns of tables are measured in standard deviations of the split, because their units differ.

    Args:
        queries: values, ``(Q, *data.shape)``; NaN where they are missing.
        split: examples to search.
        data: description of both.
        limit: number of examples to search.

    Returns:
        Root mean square differences ``(Q,)`` double, and which examples these are, ``(Q,)`` int64.

    Example:
        >>> from genmod import Batch, TensorSplit
        >>> split = TensorSplit(Batch(torch.tensor([[[[0.0, 0.0]]], [[[1.0, 1.0]]]])))
        >>> nearest_example(torch.tensor([[[[0.8, 1.0]]]]), split, DataInfo((1, 1, 2)), limit=10)
        (tensor([0.1414], dtype=torch.float64), tensor([1]))
    """
    count = min(limit, len(split))

    def values(first: int, last: int) -> Tensor:
        stored = split.__getitems__(range(first, min(last, count))).x
        return data.values(stored).cpu().flatten(1).double()

    width = torch.ones(data.size, dtype=torch.float64)
    if not data.is_image:
        some = values(0, held(10_000, data))
        variance = (some - some.nanmean(0)).square().nanmean(0)
        width = torch.where(variance > 1e-12, variance, 1.0).sqrt()
    scaled = queries.cpu().flatten(1).double() / width
    size = held(_ROWS, data)
    pieces = (values(start, start + size) / width for start in range(0, count, size))
    squares, places = _best((_mean_squares(scaled, piece) for piece in pieces), 1)
    return squares[:, 0].sqrt(), places[:, 0]


def _mean_squares(x: Tensor, y: Tensor) -> Tensor:
    """The mean squared difference of the values that are NaN in neither, ``(N, D), (M, D) → (N, M)``."""
    if not (x.isnan().any() or y.isnan().any()):
        return squared_distances(x, y) / max(1, x.shape[1])  # one product of matrices, not four
    (x, in_x), (y, in_y) = ((each.nan_to_num(0.0), (~each.isnan()).double()) for each in (x, y))
    squares = x.square() @ in_y.T - 2 * x @ y.T + in_x @ y.square().T
    return (squares / (in_x @ in_y.T).clamp(min=1.0)).clamp(min=0.0)


def _best(pieces: Iterable[Tensor], k: int) -> tuple[Tensor, Tensor]:
    """The k smallest values of each row, smallest first, and their columns, of columns given piece by piece."""
    best, places, start = torch.empty(0), torch.empty(0), 0
    for piece in pieces:
        end = start + piece.shape[1]
        here = torch.arange(start, end, device=piece.device).expand(len(piece), -1)
        if start:
            piece, here = torch.cat([best, piece], 1), torch.cat([places, here], 1)
        best, order = piece.topk(min(k, piece.shape[1]), dim=1, largest=False)
        places, start = here.gather(1, order), end
    return best, places
