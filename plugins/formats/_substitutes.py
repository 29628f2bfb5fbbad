"""Functions that ONNX lacks, by those that it has. They are the same but for rounding, and are used in exported files alone."""

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


SUBSTITUTES: Mapping[Any, Callable[..., Any]] = {torch.hypot: hypot, Tensor.hypot: hypot}
"""Function of torch → what is exported in its place."""
