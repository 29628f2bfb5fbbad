"""Distributions that are known by their draws alone."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.distributions.constraints import Constraint

__all__ = ["Implicit"]


class Implicit(Distribution):
    """What a function draws, such as a model that generates; there is no density, and no gradient passes through draws.

    Args:
        draw: gives ``n`` independent draws, ``(n, *event_shape)``, from the global random state.
        event_shape: shape of one.
        support: where they lie, event dimensions included.

    Example:
        >>> from torch.distributions import constraints
        >>> Implicit(lambda n: torch.rand(n, 2), (2,), constraints.independent(constraints.unit_interval, 1)).sample((3,)).shape
        torch.Size([3, 2])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(
        self, draw: Callable[[int], Tensor], event_shape: Sequence[int], support: Constraint
    ) -> None:
        self._draw, self._support = draw, support
        super().__init__(torch.Size(), torch.Size(event_shape), validate_args=False)

    @property
    def support(self) -> Constraint:
        return self._support

    def expand(self, batch_shape: Any, _instance: object = None) -> "Implicit":
        other = Implicit(self._draw, self.event_shape, self._support)
        other._batch_shape = torch.Size(batch_shape)
        return other

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = torch.Size((*sample_shape, *self._batch_shape))
        return self._draw(shape.numel()).reshape(*shape, *self.event_shape)
