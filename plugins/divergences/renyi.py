"""Rényi divergence between normals."""

from typing import Annotated, final

import torch
from annotated_types import Gt, Le
from torch import Tensor
from torch.distributions import Distribution

from genmod import Divergence, Doc
from genmod.plugins.divergences._normals import Moments, both_normal

__all__ = ["Renyi"]


@final
class Renyi(Divergence):
    """``D_α(q ‖ p) = 1/(α-1) log ∫ q(z)^α p(z)^(1-α) dz`` between normals, in closed form, nats.

    ``q (B,), p (), z (K, B, *latent_shape) → (B,)``; the draws are not used. It grows with α, from 0 to the KL
    at α = 1. Orders above 1, which are infinite where the posterior is too much wider than the prior, are not
    offered. With Σ = α Σ_p + (1-α) Σ_q and Δ the difference of the means it is

    ``½ (α ΔᵀΣ⁻¹Δ + log(|Σ| / (|Σ_q|^(1-α) |Σ_p|^α)) / (1-α))``

    Reference:
        Rényi Divergence and Kullback-Leibler Divergence (van Erven and Harremoës, 2014), arXiv:1206.2459

    Raises:
        UndefinedError: posterior and prior are not both normal.

    Example:
        >>> from genmod import diagonal_normal
        >>> q = diagonal_normal(torch.ones(3, 2), torch.zeros(3, 2), 1)
        >>> Renyi(alpha=0.5)(q, diagonal_normal(torch.zeros(2), torch.zeros(2), 1), q.sample((1,)))
        tensor([0.5000, 0.5000, 0.5000])
    """

    def __init__(
        self, *, alpha: Annotated[float, Gt(0), Le(1), Doc("order; 1 gives the KL divergence")] = 0.5
    ) -> None:
        super().__init__()
        self.alpha = alpha

    def check(self, q: Distribution, p: Distribution) -> None:
        both_normal("Rényi divergence", q, p)

    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        a, b = both_normal("Rényi divergence", q, p)
        return self._by_dimension(a, b).sum(-1) if a.diagonal and b.diagonal else self._whole(a, b)

    def by_dimension(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        a, b = both_normal("Rényi divergence", q, p)
        if a.diagonal and b.diagonal:
            return self._by_dimension(a, b).unflatten(-1, q.event_shape)
        return super().by_dimension(q, p, z)

    def _by_dimension(self, q: Moments, p: Moments) -> Tensor:
        log_ratio = 2 * (q.scale - p.scale)
        shift = (q.mean - p.mean) * (-p.scale).exp()
        # In units of the prior's variance, Σ is 1 + excess (1 - α).
        excess = log_ratio.expm1()
        width = 1 + (1 - self.alpha) * excess
        return 0.5 * (self.alpha * shift.square() / width + self._log_width(excess) - log_ratio)

    def _whole(self, q: Moments, p: Moments) -> Tensor:
        # In coordinates in which the prior is standard normal; the batch of the prior is broadcast.
        factor = torch.linalg.solve_triangular(p.factor, q.factor, upper=False)
        shift = torch.linalg.solve_triangular(p.factor, (q.mean - p.mean)[..., None], upper=False)
        covariance = factor @ factor.mT
        identity = torch.eye(q.mean.shape[-1], dtype=q.mean.dtype, device=q.mean.device)
        width = self.alpha * identity + (1 - self.alpha) * covariance
        distance = torch.linalg.solve_triangular(torch.linalg.cholesky(width), shift, upper=False)
        excess = torch.linalg.eigvalsh(covariance - identity)
        log_ratio = 2 * factor.diagonal(dim1=-2, dim2=-1).log()
        spread = (self._log_width(excess) - log_ratio).sum(-1)
        return 0.5 * (self.alpha * distance.square().sum((-2, -1)) + spread)

    def _log_width(self, excess: Tensor) -> Tensor:
        """``log(1 + (1-α) excess) / (1-α)``, exact for α → 1."""
        rest = 1 - self.alpha
        return torch.log1p(rest * excess) / rest if rest > 0 else excess
