"""Normal posterior with a few directions of correlation."""

import math
from typing import Annotated, Any, final

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.distributions import Independent, constraints

from genmod import Doc, Posterior, bounded_log_scale, diagonal_normal
from genmod.plugins.posteriors._correlated import Correlated

__all__ = ["LowRankNormal", "NormalLowRankPosterior"]


@final
class LowRankNormal(Correlated):
    """A normal distribution with independent noise and noise along a few common directions.

    ``z = loc + scale ∘ (ε + V δ)``, ``ε ~ N(0, I_n)``, ``δ ~ N(0, I_rank)``

    Args:
        loc: mean, ``(*batch, *event_shape)``.
        log_scale: logarithm of the scales, the same shape.
        factor: ``V``, ``(*batch, n, rank)``, n values in an event.
        event_dims: how many of the last dimensions are one event.

    Example:
        >>> LowRankNormal(torch.zeros(3, 2), torch.zeros(3, 2), torch.ones(3, 2, 1), 1).variance[0]
        tensor([2.0000, 2.0000])
    """

    def __init__(self, loc: Tensor, log_scale: Tensor, factor: Tensor, event_dims: int) -> None:
        self.factor = factor
        super().__init__(loc, log_scale, factor, event_dims)
        rank = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
        # Determinant and inverse of I_n + V Vᵀ from those of the small I_rank + Vᵀ V.
        self._root = torch.linalg.cholesky(rank + factor.mT @ factor)

    @property
    def marginals(self) -> Independent:
        wider = 0.5 * torch.log1p(self.factor.square().sum(-1)).reshape(self.log_scale.shape)
        return diagonal_normal(self.loc, self.log_scale + wider, len(self.event_shape))

    @property
    def variance(self) -> Tensor:
        return self.marginals.variance

    def _half_log_det(self) -> Tensor:
        """``½ log det(I + V Vᵀ)``."""
        return self._root.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def total_correlation(self) -> Tensor:
        """``KL(self ‖ marginals)``, ``(*batch)``, nats."""
        # Of small factors both parts nearly cancel.
        v = self.factor.double()
        rank = torch.eye(v.shape[-1], dtype=v.dtype, device=v.device)
        half_log_det = torch.linalg.cholesky(rank + v.mT @ v).diagonal(dim1=-2, dim2=-1).log().sum(-1)
        exact = 0.5 * torch.log1p(v.square().sum(-1)).sum(-1) - half_log_det
        return exact.to(self.factor.dtype)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        batch, (n, rank) = (*sample_shape, *self._batch_shape), self.factor.shape[-2:]
        own, common = (
            torch.randn((*batch, size), dtype=self.loc.dtype, device=self.loc.device) for size in (n, rank)
        )
        noise = own + (self.factor @ common[..., None])[..., 0]
        return self.loc + self.log_scale.exp() * noise.reshape(*sample_shape, *self.loc.shape)

    def log_prob(self, value: Tensor) -> Tensor:
        dims = len(self.event_shape)
        standard = ((value - self.loc) * (-self.log_scale).exp()).flatten(-dims)
        along = torch.linalg.solve_triangular(self._root, self.factor.mT @ standard[..., None], upper=False)
        distance = standard.square().sum(-1) - along[..., 0].square().sum(-1)
        log_det = self.log_scale.flatten(-dims).sum(-1) + self._half_log_det()
        return -0.5 * (distance + standard.shape[-1] * math.log(2 * math.pi)) - log_det


@final
class NormalLowRankPosterior(Posterior):
    """A normal distribution whose mean, scales and a few common directions are linear in the features.

    ``q(z|x) = N(z; loc(x), S (I + V Vᵀ) S)``, ``S`` the scales and ``V (n, rank)`` the directions

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``.

    Reference:
        Variational Boosting: Iteratively Refining Posterior Approximations (Miller et al., 2017), arXiv:1611.06585

    Example:
        >>> q = NormalLowRankPosterior((256,), (16,), rank=3)(torch.zeros(2, 256))
        >>> q.rsample((5,)).shape
        torch.Size([5, 2, 16])
    """

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        *,
        rank: Annotated[int, Ge(1), Doc("number of common directions")] = 2,
    ) -> None:
        super().__init__(feature_shape, latent_shape)
        self.support = constraints.independent(constraints.real, len(latent_shape))
        self.n, self.rank = math.prod(latent_shape), rank
        self.head = nn.Linear(math.prod(feature_shape), (2 + rank) * self.n)

    def forward(self, features: Tensor) -> LowRankNormal:
        out = self.head(features.flatten(1)).unflatten(1, (2 + self.rank, self.n))
        loc, log_scale = (out[:, i].unflatten(1, self.latent_shape) for i in (0, 1))
        factor = bounded_log_scale(out[:, 2:]).mT
        return LowRankNormal(loc, bounded_log_scale(log_scale), factor, len(self.latent_shape))
