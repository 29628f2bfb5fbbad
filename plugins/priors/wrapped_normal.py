"""Wrapped normal prior, in hyperbolic space."""

import math
from typing import Annotated, final

import torch
from annotated_types import Gt
from torch import Tensor

from genmod import Doc, Prior
from genmod.options import same_options
from genmod.plugins.posteriors._ball import PoincareBall
from genmod.plugins.posteriors._sphere import require_vector
from genmod.plugins.posteriors.wrapped_normal import WrappedNormal

__all__ = ["WrappedNormalPrior"]


@final
class WrappedNormalPrior(Prior):
    """A normal distribution around the origin of hyperbolic space, in the Poincaré ball.

    ``z = tanh(√c |v| / 2) v / (√c |v|)``, ``v ~ N(0, scale²)``, ``batch_shape ()``, ``event_shape latent_shape``

    Draws of n dimensions lie about ``scale √n`` from the origin; single precision distinguishes those within 12/√c.

    Reference:
        Continuous Hierarchical Representations with Poincaré Variational Auto-Encoders (Mathieu et al., 2019),
        arXiv:1901.06033

    Raises:
        UsageError: the latents are not vectors of 2 or more numbers.

    Example:
        >>> bool((WrappedNormalPrior((2,))().sample((5,)).norm(dim=-1) < 1).all())
        True
    """

    migrate = staticmethod(same_options)

    zeros: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        curvature: Annotated[float, Gt(0), Doc("c, where the space has the curvature -c")] = 1.0,
        scale: Annotated[float, Gt(0), Doc("standard deviation in each direction")] = 1.0,
    ) -> None:
        require_vector("prior 'wrapped-normal'", latent_shape)
        super().__init__(latent_shape)
        self.curvature = curvature
        self.log_scale = math.log(scale)
        self.support = PoincareBall(curvature)
        self.register_buffer("zeros", torch.zeros(latent_shape), persistent=False)

    def forward(self, context: Tensor | None = None) -> WrappedNormal:
        return WrappedNormal(self.zeros, self.zeros + self.log_scale, self.curvature)
