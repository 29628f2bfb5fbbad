"""Power-spherical posterior, on the unit sphere."""

import math
from typing import Any, final

import torch
from torch import Tensor
from torch.distributions import Dirichlet

from genmod.plugins.posteriors._sphere import Directions, DirectionsPosterior, around

__all__ = ["PowerSpherical", "PowerSphericalPosterior"]


@final
class PowerSpherical(Directions):
    """Directions around ``loc``, by a power of their height.

    ``log p(x) = κ log(1 + locᵀ x) + log C``, ``-log C = (a + b) log 2 + log Γ(a) - log Γ(a + b) + b log π``,
    ``b = (d - 1)/2``, ``a = b + κ``

    Args:
        loc: unit vectors, ``(*batch, d)``.
        concentration: ``κ > 0``, ``(*batch)``.

    Example:
        >>> p = PowerSpherical(torch.tensor([1.0, 0.0, 0.0]), torch.tensor(4.0))
        >>> p.mean
        tensor([0.6667, 0.0000, 0.0000])
    """

    def _beta(self) -> tuple[Tensor, float]:
        """The two concentrations of ``(1 + locᵀ x)/2``, in double precision."""
        b = 0.5 * (self.d - 1)
        return self.concentration.double() + b, b

    def log_peak(self) -> Tensor:
        """``log p(loc) = log C + κ log 2``, ``(*batch)``, nats: the two nearly cancel where κ is large."""
        a, b = self._beta()
        log_inverse = 2 * b * math.log(2) + torch.lgamma(a) - torch.lgamma(a + b) + b * math.log(math.pi)
        return (-log_inverse).to(self.loc.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        # For unit vectors ½ (1 + locᵀ x) = ¼ |x + loc|² = 1 - ¼ |x - loc|²: neither cancels on its side.
        apart = 0.25 * (value - self.loc).square().sum(-1)
        height = 0.25 * (value + self.loc).square().sum(-1)
        height = height.clamp(min=torch.finfo(height.dtype).tiny)
        near = apart < 0.5
        log_height = torch.where(near, torch.log1p(-apart.clamp(max=0.5)), height.log())
        return self.concentration * log_height + self.log_peak()

    @property
    def mean(self) -> Tensor:
        return (self.concentration / (self.concentration + self.d - 1))[..., None] * self.loc

    @property
    def variance(self) -> Tensor:
        a, b = self._beta()
        along = 4 * a * b / ((a + b).square() * (a + b + 1))
        across = 4 * a * b / ((a + b) * (a + b + 1)) / (self.d - 1)
        square = self.loc.square()
        along, across = (each.to(self.loc.dtype)[..., None] for each in (along, across))
        return along * square + across * (1 - square)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        b = 0.5 * (self.d - 1)
        parameters = torch.stack([self.concentration + b, torch.full_like(self.concentration, b)], -1)
        # Both parts of the Beta draw, because 1 - t would be zero where t is near 1.
        parts = Dirichlet(parameters, validate_args=False).rsample(sample_shape)
        t, rest = parts.clamp(min=torch.finfo(parts.dtype).tiny).unbind(-1)
        return around(self.loc, t - rest, 2 * (t.sqrt() * rest.sqrt()))

    def entropy(self) -> Tensor:
        a, b = self._beta()
        height = math.log(2) + torch.digamma(a) - torch.digamma(a + b)
        log_inverse = (a + b) * math.log(2) + torch.lgamma(a) - torch.lgamma(a + b) + b * math.log(math.pi)
        return (log_inverse - (a - b) * height).to(self.loc.dtype)


@final
class PowerSphericalPosterior(DirectionsPosterior):
    """Directions around one that is linear in the features, on the unit sphere.

    ``q(z|x) ∝ (1 + loc(x)ᵀ z)^κ(x)``, ``|z| = 1``

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``. Latents with n numbers have n - 1
    degrees of freedom. Compared to the von Mises-Fisher distribution there is no Bessel function, no rejected draw,
    and the entropy is exact.

    Reference:
        The Power Spherical distribution (De Cao and Aziz, 2020), arXiv:2006.04437

    Raises:
        UsageError: the latents are not vectors of 2 or more numbers.

    Example:
        >>> PowerSphericalPosterior((256,), (16,))(torch.randn(2, 256)).rsample((5,)).shape
        torch.Size([5, 2, 16])
    """

    name = "power-spherical"
    kind = PowerSpherical
