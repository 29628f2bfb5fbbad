"""A normal posterior with one scale for all latents of an example."""

import math
from typing import final

from torch import Tensor, nn
from torch.distributions import Independent, constraints

from genmod import Posterior, bounded_log_scale, diagonal_normal

__all__ = ["TemplatePosterior"]


@final
class TemplatePosterior(Posterior):
    """Normals whose means are linear in the features, with one scale for each example.

    ``q(z|x) = N(z; loc(x), scale(x)² I)``, ``features (B, *feature_shape) → batch (B,), event latent_shape``
    """

    def __init__(self, feature_shape: tuple[int, ...], latent_shape: tuple[int, ...]) -> None:
        super().__init__(feature_shape, latent_shape)
        self.support = constraints.independent(constraints.real, len(latent_shape))
        self.loc = nn.Linear(math.prod(feature_shape), math.prod(latent_shape))
        self.log_scale = nn.Linear(math.prod(feature_shape), 1)

    def forward(self, features: Tensor) -> Independent:
        flat = features.flatten(1)
        loc, log_scale = self.loc(flat), bounded_log_scale(self.log_scale(flat))
        return diagonal_normal(
            loc.unflatten(1, self.latent_shape),
            log_scale.expand_as(loc).unflatten(1, self.latent_shape),
            len(self.latent_shape),
        )
