"""The asymmetric Laplace distribution, which torch lacks, and its KL divergence."""

import math
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal, constraints
from torch.distributions.kl import register_kl

__all__ = ["AsymmetricLaplace"]


@final
class AsymmetricLaplace(Distribution):
    """Two exponentials, back to back; the part ``quantile`` of the mass lies below ``loc``.

    ``log p(x) = log(q (1-q)) - log scale - max(q d, (q-1) d)``, ``d = (x - loc)/scale``, ``q = quantile``

    Args:
        loc: where they meet, any shape.
        log_scale: natural logarithm of the scale, broadcast against ``loc``.
        quantile: between 0 and 1; at 0.5 it is the Laplace distribution with twice the scale.

    Reference:
        The Laplace Distribution and Generalizations (Kotz, Kozubowski and Podgórski, 2001),
        doi:10.1007/978-1-4612-0173-1

    Example:
        >>> AsymmetricLaplace(torch.zeros(1), torch.zeros(()), 0.5).log_prob(torch.tensor([2.0]))
        tensor([-2.3863])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc: Tensor, log_scale: Tensor, quantile: float) -> None:
        self.loc, self.log_scale = torch.broadcast_tensors(loc, log_scale)
        self.quantile = quantile
        super().__init__(self.loc.shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        q = self.quantile
        return self.loc + self.log_scale.exp() * ((1 - 2 * q) / (q * (1 - q)))

    @property
    def variance(self) -> Tensor:
        q = self.quantile
        return (2 * self.log_scale).exp() * ((1 - 2 * q + 2 * q * q) / (q * (1 - q)) ** 2)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "AsymmetricLaplace":
        return AsymmetricLaplace(
            self.loc.expand(batch_shape), self.log_scale.expand(batch_shape), self.quantile
        )

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        q, shape = self.quantile, self._extended_shape(sample_shape)
        above, below = self.loc.new_empty((2, *shape)).exponential_()
        return self.loc + self.log_scale.exp() * (above / q - below / (1 - q))

    def log_prob(self, value: Tensor) -> Tensor:
        distance = (value - self.loc) * (-self.log_scale).exp()
        return self._log_peak() - torch.maximum(self.quantile * distance, (self.quantile - 1) * distance)

    def _log_peak(self) -> Tensor:
        return math.log(self.quantile * (1 - self.quantile)) - self.log_scale


@register_kl(Normal, AsymmetricLaplace)
def _kl_normal_asymmetric_laplace(q: Normal, p: AsymmetricLaplace) -> Tensor:
    """``-½ log(2πe s²) - log peak + (½ E|d| + (quantile - ½) E[d])/scale``, with ``d = z - loc ~ N(m, s²)`` and

    ``E|d| = s √(2/π) exp(-m²/2s²) + m erf(m / s√2)``, the mean of a folded normal.
    """
    m, s = q.loc - p.loc, q.scale
    ratio = m / s * math.sqrt(0.5)
    distance = s * math.sqrt(2 / math.pi) * torch.exp(-ratio * ratio) + m * torch.erf(ratio)
    cost = (0.5 * distance + (p.quantile - 0.5) * m) * (-p.log_scale).exp()
    return cost - p._log_peak() - s.log() - 0.5 * math.log(2 * math.pi * math.e)
