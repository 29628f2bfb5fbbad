"""Functions that ONNX lacks, or computes so that they overflow, by others. They are the same but for rounding, and are used
in exported files alone."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["SUBSTITUTES"]


def hypot(a: Tensor, b: Tensor) -> Tensor:
    """``sqrt(a² + b²)``, whose squares do not overflow."""
    a, b = torch.broadcast_tensors(a.abs(), b.abs())
    most, least = torch.maximum(a, b), torch.minimum(a, b)
    ratio = least / torch.where(most > 0, most, 1.0)
    return most * (1 + ratio * ratio).sqrt()


def log_add_exp(a: Tensor, b: Tensor) -> Tensor:
    """``log(exp a + exp b)``, which ONNX files else compute as it is written: minus infinity where both are small."""
    most, least = torch.maximum(a, b), torch.minimum(a, b)
    return most + torch.where(most == least, math.log(2), (least - most).exp().log1p())


def log_sigmoid(x: Tensor) -> Tensor:
    """``log(1 / (1 + exp(-x)))``, for the same reason."""
    return x.clamp(max=0) - (-x.abs()).exp().log1p()


SUBSTITUTES: Mapping[Any, Callable[..., Any]] = {
    torch.hypot: hypot,
    Tensor.hypot: hypot,
    torch.logaddexp: log_add_exp,
    Tensor.logaddexp: log_add_exp,
    torch.nn.functional.logsigmoid: log_sigmoid,
}
"""Function of torch → what is exported in its place."""
