"""Diagonal normal posterior over maps."""

from typing import Annotated, Literal, final

from torch import Tensor
from torch.distributions import Independent, constraints

from genmod import Doc, Posterior, UsageError, bounded_log_scale, diagonal_normal
from genmod.plugins.posteriors._places import Places

__all__ = ["NormalMapPosterior"]

_LEAST, _MOST = -30.0, 20.0
"""Of log-variances in autoencoders that are published."""


@final
class NormalMapPosterior(Posterior):
    """Independent normals at each place of a map of features, linear in the features of that place.

    ``q(z|x) = Π_dij N(z_dij; loc_dij(x), scale_dij(x)²)``

    ``features (B, C, H, W) → batch_shape (B,), event_shape (D, H, W)``, with ``--latent D``. The latents of autoencoders under
    latent diffusion are such maps; use it with encoders that keep one, such as ``conv-map``. With ``v`` linear in the
    features, the scale is

    - ``bounded``: ``exp(v / sqrt(1 + (v/9)²))``, which trains from any start;
    - ``log-variance``: ``exp(½ clamp(v, -30, 20))``, as in the autoencoders that are published.

    Reference:
        High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2021), arXiv:2112.10752

    Raises:
        UsageError: the features are no maps, or the latents have another height and width.

    Example:
        >>> import torch
        >>> NormalMapPosterior((64, 7, 7), (4,))(torch.zeros(2, 64, 7, 7)).event_shape
        torch.Size([4, 7, 7])
    """

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        *,
        scale: Annotated[
            Literal["bounded", "log-variance"],
            Doc("how the scale follows from what is linear in the features"),
        ] = "bounded",
    ) -> None:
        places = Places(feature_shape, latent_shape)
        if not places.on_map:
            raise UsageError(
                f"posterior 'normal-map' takes maps of features, and was given features of shape {feature_shape} for latents "
                f"of shape {latent_shape}",
                hint="keep a map: --encoder conv-map --latent 4; or draw vectors: --posterior normal",
            )
        super().__init__(feature_shape, places.latent_shape)
        self.support = constraints.independent(constraints.real, 3)
        self.places = Places(feature_shape, latent_shape, 2 * places.length)
        self.scale = scale

    def forward(self, features: Tensor) -> Independent:
        loc, v = self.places(features).mT.unflatten(2, self.places.shape).chunk(2, 1)
        log_scale = bounded_log_scale(v) if self.scale == "bounded" else v.clamp(_LEAST, _MOST) / 2
        return diagonal_normal(loc, log_scale, 3)
