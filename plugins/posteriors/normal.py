"""Diagonal normal posterior."""

import math
from typing import final

from torch import Tensor, nn
from torch.distributions import Independent, constraints

from genmod import Posterior, bounded_log_scale, diagonal_normal

__all__ = ["NormalPosterior"]


@final
class NormalPosterior(Posterior):
    """Independent normals whose means and log-scales are linear in the features.

    ``q(z|x) = Π_d N(z_d; loc_d(x), scale_d(x)²)``

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``. Scales lie between 1.2e-4
    and 8,100, with a gradient everywhere.

    Reference:
        Auto-Encoding Variational Bayes (Kingma and Welling, 2013), arXiv:1312.6114

    Example:
        >>> import torch
        >>> q = NormalPosterior((256,), (16,))(torch.zeros(2, 256))
        >>> q.rsample((5,)).shape
        torch.Size([5, 2, 16])
    """

    def __init__(self, feature_shape: tuple[int, ...], latent_shape: tuple[int, ...]) -> None:
        super().__init__(feature_shape, latent_shape)
        self.support = constraints.independent(constraints.real, len(latent_shape))
        self.head = nn.Linear(math.prod(feature_shape), 2 * math.prod(latent_shape))

    def forward(self, features: Tensor) -> Independent:
        loc, log_scale = self.head(features.flatten(1)).unflatten(1, (2, *self.latent_shape)).unbind(1)
        return diagonal_normal(loc, bounded_log_scale(log_scale), len(self.latent_shape))
