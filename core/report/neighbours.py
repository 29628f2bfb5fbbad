"""How near new examples are to those of the training split: whether a model has learnt some of them by heart."""

from dataclasses import dataclass

import torch
from torch import Tensor

from genmod.data.dataset import DataInfo, Split

__all__ = ["Nearest", "nearest"]

_CHUNK = 2000


@dataclass(frozen=True)
class Nearest:
    """The nearest training example of each query.

    Args:
        distances: root mean square difference over the values that are there, ``(Q,)``.
        indices: which training example, ``(Q,)``.
    """

    distances: Tensor
    indices: Tensor


def nearest(queries: Tensor, split: Split, data: DataInfo, *, limit: int) -> Nearest:
    """The nearest of the first ``limit`` examples of a split.

    Columns of tables are measured in standard deviations of the split, because their units differ.

    Args:
        queries: values, ``(Q, *data.shape)``; NaN where they are missing.
        split: where to look.
        data: of both.
        limit: how many examples to look at.

    Example:
        >>> from genmod import Batch, TensorSplit
        >>> split = TensorSplit(Batch(torch.tensor([[[[0.0, 0.0]]], [[[1.0, 1.0]]]])))
        >>> found = nearest(torch.tensor([[[[0.8, 1.0]]]]), split, DataInfo((1, 1, 2)), limit=10)
        >>> found.indices.tolist(), round(found.distances.item(), 3)
        ([1], 0.141)
    """
    count = min(limit, len(split))
    width = _widths(split, data, count)
    query, known = _filled(queries.cpu().flatten(1).double() / width)
    best = torch.full((len(query),), torch.inf, dtype=torch.float64)
    where = torch.zeros(len(query), dtype=torch.int64)
    for start in range(0, count, _CHUNK):
        stored = split.__getitems__(range(start, min(start + _CHUNK, count))).x
        x, seen = _filled(data.values(stored).cpu().flatten(1).double() / width)
        # Both masks, so that only values that are there on both sides are compared.
        both = (known @ seen.T).clamp(min=1.0)
        squares = (query**2) @ seen.T - 2 * query @ x.T + known @ (x**2).T
        distance, index = (squares / both).clamp(min=0.0).sqrt().min(1)
        where = torch.where(distance < best, index + start, where)
        best = torch.minimum(best, distance)
    return Nearest(best, where)


def _filled(values: Tensor) -> tuple[Tensor, Tensor]:
    """Zero where values are missing, and one where they are not."""
    missing = values.isnan()
    return values.nan_to_num(0.0), (~missing).double()


def _widths(split: Split, data: DataInfo, count: int) -> Tensor:
    if data.is_image:
        return torch.ones(data.size, dtype=torch.float64)
    values, seen = _filled(data.values(split.__getitems__(range(min(count, 10_000))).x).flatten(1).double())
    number = seen.sum(0).clamp(min=1.0)
    variance = (values**2).sum(0) / number - (values.sum(0) / number) ** 2
    return torch.where(variance > 1e-12, variance, 1.0).sqrt()
