"""Squared Wasserstein distance between normals."""

from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution

from genmod import Divergence
from genmod.plugins.divergences._normals import Moments, both_normal

__all__ = ["Wasserstein2"]


@final
class Wasserstein2(Divergence):
    """``W₂²(q, p) = |Δ|² + tr(Σ_q + Σ_p - 2 (Σ_p^½ Σ_q Σ_p^½)^½)`` between normals, in closed form.

    ``q (B,), p (), z (K, B, *latent_shape) → (B,)``; the draws are not used. In squared units of the latents,
    not in nats; of independent latents ``Σ_d Δ_d² + (σ_qd - σ_pd)²``. Its gradient does not explode where a
    posterior is very narrow.

    Reference:
        The distance between two random vectors with given dispersion matrices
        (Olkin and Pukelsheim, 1982), doi:10.1016/0024-3795(82)90112-4

    Raises:
        UndefinedError: posterior and prior are not both normal.

    Example:
        >>> from genmod import diagonal_normal
        >>> q = diagonal_normal(torch.ones(3, 2), torch.zeros(3, 2), 1)
        >>> Wasserstein2()(q, diagonal_normal(torch.zeros(2), torch.zeros(2), 1), q.sample((1,)))
        tensor([2., 2., 2.])
    """

    def check(self, q: Distribution, p: Distribution) -> None:
        both_normal("Wasserstein distance", q, p)

    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        a, b = both_normal("Wasserstein distance", q, p)
        if a.diagonal and b.diagonal:
            return _by_dimension(a, b).sum(-1)
        # Σ_p^½ and the triangular factor differ by a rotation, which leaves the singular values as they are.
        overlap = torch.linalg.svdvals(b.factor.mT @ a.factor).sum(-1)
        squares = a.factor.square().sum((-2, -1)) + b.factor.square().sum((-2, -1))
        return (a.mean - b.mean).square().sum(-1) + squares - 2 * overlap

    def by_dimension(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        a, b = both_normal("Wasserstein distance", q, p)
        if a.diagonal and b.diagonal:
            return _by_dimension(a, b).unflatten(-1, q.event_shape)
        return super().by_dimension(q, p, z)


def _by_dimension(q: Moments, p: Moments) -> Tensor:
    return (q.mean - p.mean).square() + (q.scale.exp() - p.scale.exp()).square()
