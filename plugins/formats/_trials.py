"""Examples that are made up, on which a program is tried."""

import math

import torch
from torch import Tensor

from genmod import Column, DataInfo

__all__ = ["examples"]


def examples(data: DataInfo, size: int, dtype: torch.dtype) -> Tensor:
    """Values that the data could have, from the global random state, ``(size, *data.shape)``.

    Where values may be missing, about every fifth is.

    Example:
        >>> examples(DataInfo((2,), levels=2), 3, torch.float32).unique().tolist()
        [0.0, 1.0]
    """
    shape = (size, *data.shape)
    if data.columns:
        x = torch.stack([_cells(column, size) for column in data.modelled], 1)
    elif data.counts:
        x = torch.randint(0, 10, shape).float()
    elif data.levels is not None:
        x = data.low + torch.randint(data.levels, shape) * ((data.high - data.low) / (data.levels - 1))
    elif math.isinf(data.high - data.low):
        start, sign = (data.low, 1) if math.isfinite(data.low) else (data.high, -1)
        x = start + sign * torch.randn(shape).abs() if math.isfinite(start) else torch.randn(shape)
    else:
        x = data.low + (data.high - data.low) * torch.rand(shape)
    if data.missing:
        x = torch.where(torch.rand(shape) < 0.2, math.nan, x)
    return x.to(dtype)


def _cells(column: Column, size: int) -> Tensor:
    """Cells of a column, ``(size,)``."""
    if column.coded:
        return torch.randint(len(column.values), (size,)).float()
    return torch.randint(10, (size,)).float() if column.kind == "count" else torch.randn(size)
