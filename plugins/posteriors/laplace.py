"""Laplace posterior."""

import math
from typing import final

from torch import Tensor, nn
from torch.distributions import Independent, Laplace, constraints

from genmod import Posterior, bounded_log_scale

__all__ = ["LaplacePosterior"]


@final
class LaplacePosterior(Posterior):
    """Independent Laplace distributions whose medians and log-scales are linear in the features.

    ``q(z|x) = Π_d exp(-|z_d - loc_d(x)| / scale_d(x)) / (2 scale_d(x))``

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``.

    Reference:
        Auto-Encoding Variational Bayes (Kingma and Welling, 2013), arXiv:1312.6114, section 2.4

    Example:
        >>> import torch
        >>> LaplacePosterior((256,), (16,))(torch.zeros(2, 256)).rsample((5,)).shape
        torch.Size([5, 2, 16])
    """

    def __init__(self, feature_shape: tuple[int, ...], latent_shape: tuple[int, ...]) -> None:
        super().__init__(feature_shape, latent_shape)
        self.support = constraints.independent(constraints.real, len(latent_shape))
        self.head = nn.Linear(math.prod(feature_shape), 2 * math.prod(latent_shape))

    def forward(self, features: Tensor) -> Independent:
        loc, log_scale = self.head(features.flatten(1)).unflatten(1, (2, *self.latent_shape)).unbind(1)
        base = Laplace(loc, bounded_log_scale(log_scale).exp(), validate_args=False)
        return Independent(base, len(self.latent_shape), validate_args=False)
