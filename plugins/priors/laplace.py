"""Laplace prior."""

from typing import final

import torch
from torch import Tensor
from torch.distributions import Independent, Laplace, constraints

from genmod import Prior

__all__ = ["LaplacePrior"]


@final
class LaplacePrior(Prior):
    """Independent standard Laplace distributions, under which few latents are far from zero.

    ``p(z) = Π_d exp(-|z_d|) / 2``, ``batch_shape ()``, ``event_shape latent_shape``

    Reference:
        Emergence of simple-cell receptive field properties by learning a sparse code for natural images
        (Olshausen and Field, 1996), doi:10.1038/381607a0

    Example:
        >>> LaplacePrior((2,))().log_prob(torch.zeros(2))
        tensor(-1.3863)
    """

    zeros: Tensor

    def __init__(self, latent_shape: tuple[int, ...]) -> None:
        super().__init__(latent_shape)
        self.support = constraints.independent(constraints.real, len(latent_shape))
        self.register_buffer("zeros", torch.zeros(latent_shape), persistent=False)

    def forward(self, context: Tensor | None = None) -> Independent:
        base = Laplace(self.zeros, self.zeros + 1, validate_args=False)
        return Independent(base, len(self.latent_shape), validate_args=False)
