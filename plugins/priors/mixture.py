"""Learned mixture of normals as a prior."""

from typing import Annotated, final

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.distributions import Categorical, MixtureSameFamily, constraints

from genmod import Doc, Prior, bounded_log_scale, diagonal_normal

__all__ = ["MixturePrior"]


@final
class MixturePrior(Prior):
    """A mixture of normals with independent dimensions, whose weights, means and scales are trained.

    ``p(z) = Σ_c w_c Π_d N(z_d; loc_cd, scale_cd²)``, ``batch_shape ()``, ``event_shape latent_shape``

    In a conditional model the weights are those of the condition, ``w = softmax(linear(condition))``,
    ``batch_shape (B,)``: with labels, each class has its share of every normal. It has no closed-form KL; use ``kl-mc``.

    Reference:
        Deep Unsupervised Clustering with Gaussian Mixture Variational Autoencoders
        (Dilokthanakul et al., 2016), arXiv:1611.02648

    Example:
        >>> MixturePrior((2,), components=3)().sample((5,)).shape
        torch.Size([5, 2])
    """

    wants_context = True

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        context_size: int = 0,
        *,
        components: Annotated[int, Ge(1), Doc("number of normals")] = 10,
    ) -> None:
        super().__init__(latent_shape)
        self.support = constraints.independent(constraints.real, len(latent_shape))
        if context_size:
            self.weigh = nn.Linear(context_size, components)
        else:
            self.logits = nn.Parameter(torch.zeros(components))
        self.loc = nn.Parameter(torch.randn(components, *latent_shape))
        self.log_scale = nn.Parameter(torch.zeros(components, *latent_shape))

    def forward(self, context: Tensor | None = None) -> MixtureSameFamily:
        logits = self.logits if context is None else self.weigh(context)
        parts = diagonal_normal(self.loc, bounded_log_scale(self.log_scale), len(self.latent_shape))
        weights = Categorical(logits=logits, validate_args=False)
        return MixtureSameFamily(weights, parts.expand(logits.shape), validate_args=False)
