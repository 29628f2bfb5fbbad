"""Covariance of the posterior means, held to the identity."""

from typing import final

from torch import Tensor
from torch.distributions import Distribution

from genmod.plugins.divergences._beside_kl import WeightOfKL
from genmod.plugins.divergences._dip import (
    Diagonal,
    Dip,
    OffDiagonal,
    covariance_of_means,
    require_moments,
)

__all__ = ["DipI"]


@final
class DipI(Dip):
    """``kl·KL + off_diagonal Σ_{i≠j} C_ij² + diagonal Σ_i (C_ii - 1)²``, ``C = Cov_x[E_q(z|x)[z]]``: DIP-VAE-I.

    ``q (B,), p (), z (K, B, *latent_shape) → (B,)``; the penalty, the same number for each example, has no unit. The
    covariance is that of the batch, ``1/B Σ_b (m_b - m̄)(m_b - m̄)ᵀ``. It pulls the means to unit variance, so that it
    is not zero where every posterior is the prior. For priors of unit covariance.

    The KL is in closed form where one is known, else estimated from the draws.

    Reference:
        Variational Inference of Disentangled Latent Concepts from Unlabeled Observations (Kumar et al., 2017),
        arXiv:1711.00848

    Raises:
        UndefinedError: the mean of the posterior is not known.

    Example:
        >>> import torch
        >>> from genmod import diagonal_normal
        >>> p = diagonal_normal(torch.zeros(2), torch.zeros(2), 1)
        >>> q = diagonal_normal(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]), torch.zeros(2, 2), 1)
        >>> DipI(off_diagonal=1, diagonal=1, kl=0)(q, p, q.sample((1,)))
        tensor([2., 2.])
    """

    def __init__(
        self, *, off_diagonal: OffDiagonal = 10.0, diagonal: Diagonal = 100.0, kl: WeightOfKL = 1.0
    ) -> None:
        super().__init__(off_diagonal, diagonal, kl)

    def check(self, q: Distribution, p: Distribution) -> None:
        require_moments(q, "mean")

    def covariance(self, q: Distribution) -> Tensor:
        require_moments(q, "mean")
        return covariance_of_means(q.mean.flatten(1))
