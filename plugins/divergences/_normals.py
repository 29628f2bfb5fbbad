"""Moments of normal distributions of several types, from which closed forms between them are computed."""

import math
from dataclasses import dataclass

from torch import Tensor
from torch.distributions import (
    Distribution,
    Independent,
    LowRankMultivariateNormal,
    MultivariateNormal,
    Normal,
)

from genmod import LogScaleNormal, UndefinedError
from genmod.distributions import name_of

__all__ = ["Moments", "both_normal", "normal_moments"]


@dataclass(frozen=True)
class Moments:
    """A normal distribution over flattened latents.

    Args:
        mean: ``(*batch, D)``.
        scale: logarithms of the standard deviations ``(*batch, D)`` where latents are independent, else the
            lower triangular factor of the covariance ``(*batch, D, D)``.
        diagonal: whether latents are independent.
    """

    mean: Tensor
    scale: Tensor
    diagonal: bool

    @property
    def factor(self) -> Tensor:
        """The lower triangular factor of the covariance, ``(*batch, D, D)``."""
        return self.scale.exp().diag_embed() if self.diagonal else self.scale


def normal_moments(distribution: Distribution) -> Moments | None:
    """The moments of a normal distribution, diagonal or not; None of anything else.

    Example:
        >>> import torch
        >>> from genmod import diagonal_normal
        >>> normal_moments(diagonal_normal(torch.zeros(3, 2), torch.ones(3, 2), 1)).scale.shape
        torch.Size([3, 2])
    """
    if isinstance(distribution, MultivariateNormal | LowRankMultivariateNormal):
        return Moments(distribution.loc, distribution.scale_tril, diagonal=False)
    if isinstance(distribution, Independent) and isinstance(distribution.base_dist, Normal):
        base = distribution.base_dist
        log_scale = base.log_scale if isinstance(base, LogScaleNormal) else base.scale.log()
        flat = (*distribution.batch_shape, math.prod(distribution.event_shape))
        return Moments(base.loc.reshape(flat), log_scale.reshape(flat), diagonal=True)
    return None


def both_normal(what: str, q: Distribution, p: Distribution) -> tuple[Moments, Moments]:
    """The moments of posterior and prior.

    Raises:
        UndefinedError: they are not both normal; says that ``what`` has no closed form for them.
    """
    moments = normal_moments(q), normal_moments(p)
    if moments[0] is None or moments[1] is None:
        raise UndefinedError(
            f"no closed form of the {what} is known for {name_of(q)} and {name_of(p)}, only between normals",
            hint="choose --posterior normal --prior normal, or another divergence: --divergence kl-mc",
        )
    return moments[0], moments[1]
