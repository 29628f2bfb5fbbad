"""Standard normal prior."""

from typing import final

import torch
from torch import Tensor
from torch.distributions import Independent, constraints

from genmod import Prior
from genmod.distributions import standard_normal

__all__ = ["NormalPrior"]


@final
class NormalPrior(Prior):
    """Independent standard normals.

    ``p(z) = Π_d N(z_d; 0, 1)``, ``batch_shape ()``, ``event_shape latent_shape``

    Reference:
        Auto-Encoding Variational Bayes (Kingma and Welling, 2013), arXiv:1312.6114

    Example:
        >>> NormalPrior((2,))().log_prob(torch.zeros(2))
        tensor(-1.8379)
    """

    zeros: Tensor

    def __init__(self, latent_shape: tuple[int, ...]) -> None:
        super().__init__(latent_shape)
        self.support = constraints.independent(constraints.real, len(latent_shape))
        self.register_buffer("zeros", torch.zeros(latent_shape), persistent=False)

    def forward(self, context: Tensor | None = None) -> Independent:
        return standard_normal(self.zeros, len(self.latent_shape))
