"""Normal posterior with all correlations."""

import math
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.distributions import Independent, constraints

from genmod import Posterior, bounded_log_scale, diagonal_normal
from genmod.distributions import drawn, own_of
from genmod.options import same_options
from genmod.plugins.posteriors._correlated import Correlated

__all__ = ["CorrelatedNormal", "NormalFullPosterior"]


@final
class CorrelatedNormal(Correlated):
    """A normal distribution by its marginal scales and the Cholesky factor of its correlations.

    ``z = loc + scale ∘ C ε``, ``C_ij = a_ij / r_i`` below the diagonal and ``C_ii = 1 / r_i``, ``r_i² = 1 + Σ_j a_ij²``

    A draw keeps its ``ε``: with strong correlations, no digit of it could be found again from ``z``.

    Args:
        loc: mean, ``(*batch, *event_shape)``.
        log_scale: logarithm of the marginal standard deviations, the same shape.
        below: ``a``, of which the part below the diagonal is used, ``(*batch, n, n)``, n values in an event.
        event_dims: how many of the last dimensions are one event.

    Example:
        >>> q = CorrelatedNormal(torch.zeros(3, 2), torch.zeros(3, 2), torch.ones(3, 2, 2), 1)
        >>> q.log_prob(torch.zeros(3, 2)).exp() * 2 * math.pi
        tensor([1.4142, 1.4142, 1.4142])
    """

    def __init__(self, loc: Tensor, log_scale: Tensor, below: Tensor, event_dims: int) -> None:
        self.below = below.tril(-1)
        self.square_norm = self.below.square().sum(-1)
        super().__init__(loc, log_scale, self.below, event_dims)

    @property
    def marginals(self) -> Independent:
        return diagonal_normal(self.loc, self.log_scale, len(self.event_shape))

    @property
    def variance(self) -> Tensor:
        return (2 * self.log_scale).exp()

    def total_correlation(self) -> Tensor:
        """``KL(self ‖ marginals) = Σ_i log r_i``, ``(*batch)``, nats."""
        return 0.5 * torch.log1p(self.square_norm).sum(-1)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        noise = torch.randn(
            (*sample_shape, *self._batch_shape, self.below.shape[-1]),
            dtype=self.loc.dtype,
            device=self.loc.device,
        )
        mixed = (noise + (self.below @ noise[..., None])[..., 0]) * (1 + self.square_norm).rsqrt()
        z = self.loc + self.log_scale.exp() * mixed.reshape(*sample_shape, *self.loc.shape)
        return drawn(z, {self: noise.reshape(z.shape)})

    def log_prob(self, value: Tensor) -> Tensor:
        dims = len(self.event_shape)
        own = own_of(value, self)
        noise = self._noise(value) if own is None else own.flatten(-dims)
        log_det = self.log_scale.flatten(-dims).sum(-1) - self.total_correlation()
        return -0.5 * (noise * noise + math.log(2 * math.pi)).sum(-1) - log_det

    def _noise(self, value: Tensor) -> Tensor:
        """``ε`` of any values, ``(*batch, n)``."""
        standard = (value - self.loc) * (-self.log_scale).exp()
        flat = standard.flatten(-len(self.event_shape)) * (1 + self.square_norm).sqrt()
        unit = self.below + torch.eye(flat.shape[-1], dtype=flat.dtype, device=flat.device)
        return torch.linalg.solve_triangular(unit, flat[..., None], upper=False, unitriangular=True)[..., 0]


@final
class NormalFullPosterior(Posterior):
    """A normal distribution whose mean, scales and correlations are linear in the features.

    ``q(z|x) = N(z; loc(x), S C Cᵀ S)``, ``S`` the scales and ``C`` the Cholesky factor of the correlations

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``. The number of weights grows with
    the square of the number of latents.

    Reference:
        Stochastic Backpropagation and Approximate Inference in Deep Generative Models (Rezende et al., 2014),
        arXiv:1401.4082

    Example:
        >>> q = NormalFullPosterior((256,), (16,))(torch.zeros(2, 256))
        >>> q.rsample((5,)).shape
        torch.Size([5, 2, 16])
    """

    migrate = staticmethod(same_options)

    def __init__(self, feature_shape: tuple[int, ...], latent_shape: tuple[int, ...]) -> None:
        super().__init__(feature_shape, latent_shape)
        self.support = constraints.independent(constraints.real, len(latent_shape))
        self.n = math.prod(latent_shape)
        self.head = nn.Linear(math.prod(feature_shape), 2 * self.n + self.n * (self.n - 1) // 2)

    def forward(self, features: Tensor) -> CorrelatedNormal:
        n, out = self.n, self.head(features.flatten(1))
        loc, log_scale = (each.unflatten(1, self.latent_shape) for each in (out[:, :n], out[:, n : 2 * n]))
        rows, columns = torch.tril_indices(n, n, -1, device=out.device)
        below = out.new_zeros(out.shape[0], n * n)
        below = below.index_copy(1, rows * n + columns, bounded_log_scale(out[:, 2 * n :])).unflatten(
            1, (n, n)
        )
        return CorrelatedNormal(loc, bounded_log_scale(log_scale), below, len(self.latent_shape))
