"""Learned mixture of normals as a prior."""

from typing import Annotated, final

import torch
from annotated_types import Ge
from torch import nn
from torch.distributions import Categorical, MixtureSameFamily, constraints

from genmod.distributions import bounded_log_scale, diagonal_normal
from genmod.options import Doc
from genmod.prior import Prior

__all__ = ["MixturePrior"]


@final
class MixturePrior(Prior):
    """A mixture of normals with independent dimensions, whose weights, means and scales are trained.

    ``p(z) = Σ_c w_c Π_d N(z_d; loc_cd, scale_cd²)``, ``batch_shape ()``, ``event_shape latent_shape``

    It has no closed-form KL; use ``kl-mc``.

    Reference:
        Deep Unsupervised Clustering with Gaussian Mixture Variational Autoencoders
        (Dilokthanakul et al., 2016), arXiv:1611.02648

    Example:
        >>> MixturePrior((2,), components=3)().sample((5,)).shape
        torch.Size([5, 2])
    """

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        components: Annotated[int, Ge(1), Doc("number of normals")] = 10,
    ) -> None:
        super().__init__(latent_shape)
        self.support = constraints.independent(constraints.real, len(latent_shape))
        self.logits = nn.Parameter(torch.zeros(components))
        self.loc = nn.Parameter(torch.randn(components, *latent_shape))
        self.log_scale = nn.Parameter(torch.zeros(components, *latent_shape))

    def forward(self) -> MixtureSameFamily:
        parts = diagonal_normal(self.loc, bounded_log_scale(self.log_scale), len(self.latent_shape))
        weights = Categorical(logits=self.logits, validate_args=False)
        return MixtureSameFamily(weights, parts, validate_args=False)
