"""The generalised normal distribution, which torch lacks."""

import math
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from genmod.distributions import precise

__all__ = ["GeneralisedNormal"]


@final
class GeneralisedNormal(Distribution):
    """Noise whose logarithm falls like a power of the distance: Laplace with power 1, normal with power 2.

    ``log p(x) = log β - log 2 - log Γ(1/β) - log scale - |x - loc|^β / scale^β``

    Args:
        loc: middle, any shape.
        log_scale: natural logarithm of the scale, broadcast against ``loc``.
        power: ``β``, at least 1.

    Reference:
        A generalized normal distribution (Nadarajah, 2005), doi:10.1080/02664760500079464

    Example:
        >>> GeneralisedNormal(torch.zeros(1), torch.zeros(()), 1.0).log_prob(torch.tensor([2.0]))
        tensor([-2.6931])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc: Tensor, log_scale: Tensor, power: float) -> None:
        self.loc, self.log_scale = torch.broadcast_tensors(loc, log_scale)
        self.power = power
        super().__init__(self.loc.shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        ratio = math.lgamma(3 / self.power) - math.lgamma(1 / self.power)
        return (2 * self.log_scale + ratio).exp()

    def expand(self, batch_shape: Any, _instance: Any = None) -> "GeneralisedNormal":
        return GeneralisedNormal(self.loc.expand(batch_shape), self.log_scale.expand(batch_shape), self.power)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        # |d|^β has a gamma distribution; its sign is another draw.
        shape = self._extended_shape(sample_shape)
        powers = torch._standard_gamma(self.loc.new_full(shape, 1 / self.power))
        sign = 2 * torch.randint_like(powers, 2) - 1
        return self.loc + self.log_scale.exp() * sign * powers.pow(1 / self.power)

    def log_prob(self, value: Tensor) -> Tensor:
        # In single precision a power of a distance overflows, or loses the digits in which two values differ.
        distance = (precise(value) - precise(self.loc)).abs() * (-precise(self.log_scale)).exp()
        constant = math.log(self.power / 2) - math.lgamma(1 / self.power)
        return (constant - precise(self.log_scale) - distance.pow(self.power)).to(self.loc.dtype)
