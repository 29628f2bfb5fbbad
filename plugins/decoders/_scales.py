"""Scales of likelihoods: a fixed number, trained numbers, or from the network."""

import math
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from genmod import DataInfo, Doc, bounded_log_scale

__all__ = ["LARGEST", "SMALLEST", "LogScale", "Scale", "log_share"]

SMALLEST = 1e-30
LARGEST = 1e30
"""Beyond, a scale or its inverse is no number in single precision."""

Scale = Annotated[
    Annotated[float, Ge(SMALLEST), Le(LARGEST)] | Literal["learned", "per-dimension", "per-pixel"],
    Doc("width around the middle: a number, one trained number, one per dimension, or from the network"),
]


def log_share(data: DataInfo, parts: int) -> float:
    """The log of so small a part of the range of the data, where a trained scale starts; 0 without bounds."""
    width = data.high - data.low
    return math.log(width / parts) if math.isfinite(width) else 0.0


@final
class LogScale(nn.Module):
    """Takes middle and log-scale from the output of a network.

    ``(*batch, *parameter_shape) → middle (*batch, *shape), log-scale broadcastable to it``. Log-scales that are
    trained or come from the network lie within ±9, with a gradient everywhere.

    Args:
        shape: of one example.
        scale: see the option of that name.
        start: where a trained log-scale starts.

    Example:
        >>> middle, log_scale = LogScale((4,), "per-pixel", 0.0)(torch.zeros(3, 2, 4))
        >>> middle.shape, log_scale.shape
        (torch.Size([3, 4]), torch.Size([3, 4]))
    """

    def __init__(self, shape: tuple[int, ...], scale: float | str, start: float) -> None:
        super().__init__()
        self.shape = shape
        self.scale = scale
        self.parameter_shape = (2, *shape) if scale == "per-pixel" else shape
        if scale in ("learned", "per-dimension"):
            self.value = nn.Parameter(torch.full(shape if scale == "per-dimension" else (), start))

    def forward(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        if self.scale == "per-pixel":
            middle, log_scale = parameters.unbind(-len(self.shape) - 1)
            return middle, bounded_log_scale(log_scale)
        if isinstance(self.scale, str):
            return parameters, bounded_log_scale(self.value)
        return parameters, parameters.new_full((), math.log(self.scale))
