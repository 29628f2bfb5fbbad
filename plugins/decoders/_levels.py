"""Data of equally spaced levels: their support, and what their likelihoods share."""

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.distributions.constraints import Constraint

from genmod import DataInfo

__all__ = ["LevelDistribution", "Levels"]


class Levels(Constraint):
    """The values ``low + k (high - low) / (levels - 1)``, ``k = 0 … levels - 1``.

    Example:
        >>> Levels(0.0, 1.0, 3).check(torch.tensor([0.5, 0.6]))
        tensor([ True, False])
    """

    is_discrete = True

    def __init__(self, low: float, high: float, levels: int) -> None:
        self.low = low
        self.high = high
        self.levels = levels
        super().__init__()

    def check(self, value: Tensor) -> Tensor:
        k = (value - self.low) * ((self.levels - 1) / (self.high - self.low))
        return (k - k.round()).abs().lt(1e-2) & k.gt(-0.5) & k.lt(self.levels - 0.5)

    def __repr__(self) -> str:
        return f"Levels({self.low:g} to {self.high:g} in {self.levels})"


class LevelDistribution(Distribution):
    """A distribution over the levels of each value of the data.

    Args:
        data: whose levels.
        batch_shape: all dimensions; each value is by itself.
        like: a tensor of the type and on the device of the values.
    """

    has_enumerate_support = True

    def __init__(self, data: DataInfo, batch_shape: torch.Size, like: Tensor) -> None:
        self.data, self._like = data, like
        self.levels = data.levels or 1
        super().__init__(batch_shape, validate_args=False)

    @property
    def support(self) -> Constraint:
        return Levels(self.data.low, self.data.high, self.levels)

    def indices(self, value: Tensor) -> Tensor:
        """The nearest level of each value, as floats, any shape → the same."""
        k = (value - self.data.low) * ((self.levels - 1) / (self.data.high - self.data.low))
        return k.round().clamp(0, self.levels - 1)

    def numbers(self) -> Tensor:
        """``0 … levels - 1`` as floats, ``(levels,)``."""
        return torch.arange(self.levels, dtype=self._like.dtype, device=self._like.device)

    def values(self, indices: Tensor) -> Tensor:
        """Levels ``0 … levels - 1`` to their values."""
        return self.data.low + indices * ((self.data.high - self.data.low) / (self.levels - 1))

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values, ``(levels, *batch_shape)``, or ``(levels, 1, …)`` without ``expand``."""
        k = self.numbers().reshape(-1, *[1] * len(self._batch_shape))
        return self.values(k.expand(-1, *self._batch_shape) if expand else k)
