"""Covariance of the aggregate posterior, held to the identity."""

from typing import final

from torch import Tensor
from torch.distributions import Distribution, Independent

from genmod import UndefinedError
from genmod.distributions import name_of
from genmod.plugins.divergences._beside_kl import WeightOfKL
from genmod.plugins.divergences.dip_i import (
    Diagonal,
    Dip,
    OffDiagonal,
    covariance_of_means,
    require_moments,
)
from genmod.plugins.posteriors.delta import Delta
from genmod.system import batch_mean

__all__ = ["DipII"]


@final
class DipII(Dip):
    """``kl·KL + off_diagonal Σ_{i≠j} C_ij² + diagonal Σ_i (C_ii - 1)²``, ``C = Cov[z], z ~ E_x[q(z|x)]``: DIP-VAE-II.

    ``q (B,), p (), z (K, B, *latent_shape) → (B,)``; the penalty, the same number for each example, has no unit. By
    the law of total covariance ``C = E_x[Cov_q(z|x)] + Cov_x[E_q(z|x)[z]]``, both over the batch. For priors of unit
    covariance.

    The KL is in closed form where one is known, else estimated from the draws.

    Reference:
        Variational Inference of Disentangled Latent Concepts from Unlabeled Observations (Kumar et al., 2017),
        arXiv:1711.00848

    Raises:
        UndefinedError: the covariance of the posterior is not known.

    Example:
        >>> import torch
        >>> from genmod import diagonal_normal
        >>> p = diagonal_normal(torch.zeros(2), torch.zeros(2), 1)
        >>> q = diagonal_normal(torch.zeros(3, 2), torch.zeros(3, 2), 1)
        >>> DipII()(q, p, q.sample((1,)))
        tensor([0., 0., 0.])
    """

    def __init__(
        self, *, off_diagonal: OffDiagonal = 10.0, diagonal: Diagonal = 10.0, kl: WeightOfKL = 1.0
    ) -> None:
        super().__init__(off_diagonal, diagonal, kl)

    def check(self, q: Distribution, p: Distribution) -> None:
        _covariance(q)

    def covariance(self, q: Distribution) -> Tensor:
        return batch_mean(_covariance(q)) + covariance_of_means(q.mean.flatten(1))


def _covariance(q: Distribution) -> Tensor:
    """Of each example, ``(B, D, D)``."""
    if hasattr(type(q), "covariance_matrix"):
        covariance: Tensor = q.covariance_matrix  # type: ignore[attr-defined]
        return covariance
    require_moments(q, "mean", "variance")
    if isinstance(q, Delta) or (isinstance(q, Independent) and not q.base_dist.event_shape):
        return q.variance.flatten(1).diag_embed()
    raise UndefinedError(
        f"the covariance of {name_of(q)} is not known, which this divergence is computed from",
        hint="choose a posterior that has one (--posterior normal), or --divergence dip-i, which needs the mean alone",
    )
