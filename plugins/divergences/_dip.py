"""A covariance of the latents, held to the identity: what both forms of DIP-VAE share."""

from abc import abstractmethod
from typing import Annotated

from annotated_types import Ge
from torch import Tensor
from torch.distributions import Distribution

from genmod import Doc, Schedule, UndefinedError
from genmod.distributions import name_of
from genmod.plugins.divergences._beside_kl import BesideKL
from genmod.system import batch_mean

__all__ = ["Diagonal", "Dip", "OffDiagonal", "covariance_of_means", "penalty", "require_moments"]

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
