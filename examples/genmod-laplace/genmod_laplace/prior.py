"""Asymmetric Laplace prior."""

import math
from typing import Annotated, final

import torch
from annotated_types import Gt, Lt
from torch import Tensor
from torch.distributions import Independent, constraints

from genmod import Doc, Prior
from genmod_laplace.distribution import AsymmetricLaplace

__all__ = ["AsymmetricLaplacePrior"]


@final
class AsymmetricLaplacePrior(Prior):
    """Independent asymmetric Laplace distributions: most latents near zero, the far ones mostly on one side.

    ``p(z) = Π_d q (1-q)/b exp(-max(q z_d, (q-1) z_d)/b)``, ``q = quantile``, ``b = scale``; ``batch_shape ()``,
    ``event_shape latent_shape``

    Its KL from a normal posterior has a closed form, so ``--divergence kl`` works.

    Reference:
        The Laplace Distribution and Generalizations (Kotz, Kozubowski and Podgórski, 2001),
        doi:10.1007/978-1-4612-0173-1

    Example:
        >>> AsymmetricLaplacePrior((2,))().log_prob(torch.zeros(2))
        tensor(-0.8926)
    """

    zeros: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        quantile: Annotated[float, Gt(0), Lt(1), Doc("which part of the latents is below zero")] = 0.2,
        scale: Annotated[float, Gt(0), Doc("width of the distribution")] = 0.25,
    ) -> None:
        super().__init__(latent_shape)
        self.quantile = quantile
        self.log_scale = math.log(scale)
        self.support = constraints.independent(constraints.real, len(latent_shape))
        self.register_buffer("zeros", torch.zeros(latent_shape), persistent=False)

    def forward(self, context: Tensor | None = None) -> Independent:
        distribution = AsymmetricLaplace(self.zeros, self.zeros + self.log_scale, self.quantile)
        return Independent(distribution, len(self.latent_shape), validate_args=False)
