"""A normal prior whose mean and scale are learned."""

from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Independent, constraints

from genmod import Prior, bounded_log_scale, diagonal_normal

__all__ = ["TemplatePrior"]


@final
class TemplatePrior(Prior):
    """Independent normals with a trained mean and scale for each latent.

    ``p(z) = Π_d N(z_d; loc_d, scale_d²)``, ``batch_shape ()``, ``event_shape latent_shape``
    """

    def __init__(self, latent_shape: tuple[int, ...]) -> None:
        super().__init__(latent_shape)
        self.support = constraints.independent(constraints.real, len(latent_shape))
        self.loc = nn.Parameter(torch.zeros(latent_shape))
        self.log_scale = nn.Parameter(torch.zeros(latent_shape))

    def forward(self, context: Tensor | None = None) -> Independent:
        return diagonal_normal(self.loc, bounded_log_scale(self.log_scale), len(self.latent_shape))
