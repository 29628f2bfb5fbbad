"""Point masses."""

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

__all__ = ["PointMass"]


class PointMass(Distribution):
    """A point mass: mean, mode and every draw are the same point.

    Args:
        point: the point, ``(*batch_shape, *event_shape)``.
        event_dims: how many of the last dimensions are one event.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    has_rsample = True

    def __init__(self, point: Tensor, event_dims: int) -> None:
        self.point = point
        batch_dims = point.dim() - event_dims
        super().__init__(point.shape[:batch_dims], point.shape[batch_dims:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.point

    @property
    def mode(self) -> Tensor:
        return self.point

    @property
    def variance(self) -> Tensor:
        return torch.zeros_like(self.point)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.point.expand(*sample_shape, *self.point.shape)
