"""Uniform prior on the unit sphere."""

from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution, register_kl
from torch.nn.functional import normalize

from genmod import Prior
from genmod.plugins.posteriors._sphere import Directions, log_area, require_vector, unit_sphere

__all__ = ["UniformSphere", "UniformSpherePrior"]


@final
class UniformSphere(Distribution):
    """All directions alike.

    ``log p(x) = -log area = -log(2 π^(d/2) / Γ(d/2))``

    Args:
        zeros: of the shape, precision and device of a point, ``(*batch, d)``.

    Example:
        >>> UniformSphere(torch.zeros(3)).log_prob(torch.tensor([1.0, 0.0, 0.0]))
        tensor(-2.5310)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = unit_sphere
    has_rsample = True

    def __init__(self, zeros: Tensor) -> None:
        self.zeros = zeros
        super().__init__(zeros.shape[:-1], zeros.shape[-1:], validate_args=False)

    def expand(self, batch_shape: Any, _instance: object = None) -> "UniformSphere":
        return UniformSphere(self.zeros.expand(*batch_shape, self.zeros.shape[-1]))

    @property
    def mean(self) -> Tensor:
        return self.zeros

    @property
    def variance(self) -> Tensor:
        return self.zeros + 1 / self.zeros.shape[-1]

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        noise = torch.randn(
            (*sample_shape, *self.zeros.shape), dtype=self.zeros.dtype, device=self.zeros.device
        )
        return normalize(noise, dim=-1)

    def log_prob(self, value: Tensor) -> Tensor:
        # The zero keeps the answer differentiable, and on the device of the value.
        return (self.zeros + 0 * value).sum(-1) - log_area(self.zeros.shape[-1])

    def entropy(self) -> Tensor:
        return self.zeros.sum(-1) + log_area(self.zeros.shape[-1])


@register_kl(Directions, UniformSphere)
def _kl(q: Directions, p: UniformSphere) -> Tensor:
    return q.kl_to_uniform()


@register_kl(UniformSphere, UniformSphere)
def _kl_of_equals(q: UniformSphere, p: UniformSphere) -> Tensor:
    return q.zeros.sum(-1)


@final
class UniformSpherePrior(Prior):
    """All directions alike: the uniform distribution on the unit sphere.

    ``p(z) = Γ(d/2) / (2 π^(d/2))``, ``|z| = 1``, ``batch_shape ()``, ``event_shape latent_shape``

    Reference:
        Hyperspherical Variational Auto-Encoders (Davidson et al., 2018), arXiv:1804.00891

    Raises:
        UsageError: the latents are not vectors of 2 or more numbers.

    Example:
        >>> UniformSpherePrior((3,))().sample((2,)).norm(dim=-1)
        tensor([1., 1.])
    """

    support = unit_sphere
    zeros: Tensor

    def __init__(self, latent_shape: tuple[int, ...]) -> None:
        require_vector("prior 'uniform-sphere'", latent_shape)
        super().__init__(latent_shape)
        self.register_buffer("zeros", torch.zeros(latent_shape), persistent=False)

    def forward(self, context: Tensor | None = None) -> UniformSphere:
        return UniformSphere(self.zeros)
