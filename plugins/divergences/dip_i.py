"""Covariance of the posterior means, held to the identity."""

from abc import abstractmethod
from typing import Annotated, final

from annotated_types import Ge
from torch import Tensor
from torch.distributions import Distribution

from genmod import Doc, Schedule, UndefinedError
from genmod.distributions import name_of
from genmod.plugins.divergences._beside_kl import BesideKL, WeightOfKL
from genmod.system import batch_mean

__all__ = ["Diagonal", "Dip", "DipI", "OffDiagonal", "covariance_of_means", "penalty", "require_moments"]

OffDiagonal = Annotated[
    Schedule | float, Ge(0), Doc("weight of the squared covariances, may change during training")
]
Diagonal = Annotated[
    Schedule | float, Ge(0), Doc("weight of the variances' distance from 1, may change during training")
]


class Dip(BesideKL):
    """``kl·KL + off_diagonal Σ_{i≠j} C_ij² + diagonal Σ_i (C_ii - 1)²``, C a covariance of the latents."""

    def __init__(
        self, off_diagonal: Schedule | float, diagonal: Schedule | float, kl: Schedule | float
    ) -> None:
        super().__init__(kl)
        self.off_diagonal = Schedule.parse(off_diagonal)
        self.diagonal = Schedule.parse(diagonal)

    @abstractmethod
    def covariance(self, q: Distribution) -> Tensor:
        """C of the batch of all processes, ``(D, D)``."""

    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        value = penalty(self.covariance(q), float(self.off_diagonal), float(self.diagonal))
        return self.with_kl(value, q, p, z)


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

    zero_at_prior = False

    def __init__(
        self, *, off_diagonal: OffDiagonal = 10.0, diagonal: Diagonal = 100.0, kl: WeightOfKL = 1.0
    ) -> None:
        super().__init__(off_diagonal, diagonal, kl)

    def check(self, q: Distribution, p: Distribution) -> None:
        require_moments(q, "mean")

    def covariance(self, q: Distribution) -> Tensor:
        require_moments(q, "mean")
        return covariance_of_means(q.mean.flatten(1))


def covariance_of_means(means: Tensor) -> Tensor:
    """``1/B Σ_b (m_b - m̄)(m_b - m̄)ᵀ`` over the batch of all processes, ``(B, D) → (D, D)``.

    Example:
        >>> import torch
        >>> covariance_of_means(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
        tensor([[1., 0.],
                [0., 0.]])
    """
    centred = means - batch_mean(means)
    return batch_mean(centred.unsqueeze(2) * centred.unsqueeze(1))


def penalty(covariance: Tensor, off_diagonal: float, diagonal: float) -> Tensor:
    """``off_diagonal Σ_{i≠j} C_ij² + diagonal Σ_i (C_ii - 1)²``, ``(D, D) → ()``.

    Example:
        >>> import torch
        >>> penalty(torch.tensor([[3.0, 1.0], [1.0, 1.0]]), 10.0, 1.0)
        tensor(24.)
    """
    variances = covariance.diagonal()
    others = covariance - variances.diag_embed()
    return off_diagonal * others.square().sum() + diagonal * (variances - 1).square().sum()


def require_moments(q: Distribution, *names: str) -> None:
    """Refuse a posterior that lacks some of its moments.

    Raises:
        UndefinedError: says which posterior lacks which moment.
    """
    for name in names:
        try:
            getattr(q, name)
        except (AttributeError, NotImplementedError):
            raise UndefinedError(
                f"the {name} of {name_of(q)} is not known, which this divergence is computed from",
                hint="choose a posterior that has one (--posterior normal), or another divergence: --divergence tc",
            ) from None
