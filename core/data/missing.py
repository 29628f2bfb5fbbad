"""Missing values, NaN in the data: their substitute, and the mask beside the encoder's input."""

import math

import torch
from torch import Tensor

from genmod.data.dataset import DataInfo

__all__ = ["marked", "stand_in"]


def stand_in(data: DataInfo) -> float:
    """A substitute for missing values, at which every likelihood of such data has a density.

    Example:
        >>> stand_in(DataInfo((3,), levels=3)), stand_in(DataInfo((3,), low=-math.inf, high=math.inf))
        (0.5, 0.0)
    """
    if data.counts:
        return 0.0
    if data.levels is not None:
        return data.low + (data.levels // 2) * (data.high - data.low) / (data.levels - 1)
    if math.isfinite(data.low):
        return (data.low + data.high) / 2 if math.isfinite(data.high) else data.low + 1.0
    return data.high - 1.0 if math.isfinite(data.high) else 0.0


def marked(x: Tensor, value: float) -> Tensor:
    """Values, with ``value`` for missing ones, and after them the mask of observed ones.

    ``x (B, C, …)``, NaN where a value is missing, ``→ (B, 2C, …)``

    Example:
        >>> marked(torch.tensor([[5.0, float("nan")]]), 0.0)
        tensor([[5., 0., 1., 0.]])
    """
    seen = ~x.isnan()
    return torch.cat([torch.where(seen, x, value), seen.to(x.dtype)], 1)
