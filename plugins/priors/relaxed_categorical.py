"""Relaxed uniform prior over classes."""

from typing import Annotated, final

import torch
from annotated_types import Gt
from torch import Tensor
from torch.distributions import constraints

from genmod import Doc, Prior
from genmod.options import same_options
from genmod.plugins.posteriors._simplex import RelaxedOneHot, require_classes, stacked

__all__ = ["RelaxedCategoricalPrior"]


@final
class RelaxedCategoricalPrior(Prior):
    """All classes alike, relaxed to the simplex.

    ``z = softmax(g/τ)``, ``g`` Gumbel noise, ``batch_shape ()``, ``event_shape latent_shape``

    Reference:
        The Concrete Distribution (Maddison et al., 2016), arXiv:1611.00712

    Raises:
        UsageError: there are fewer than two classes.

    Example:
        >>> RelaxedCategoricalPrior((4,))().sample((3,)).sum(-1).round(decimals=5)
        tensor([1., 1., 1.])
    """

    migrate = staticmethod(same_options)

    zeros: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        temperature: Annotated[float, Gt(0), Doc("how far draws lie from the corners")] = 0.5,
    ) -> None:
        require_classes("prior 'relaxed-categorical'", latent_shape)
        super().__init__(latent_shape)
        self.temperature = temperature
        self.support = stacked(constraints.simplex, latent_shape)
        self.register_buffer("zeros", torch.zeros(latent_shape), persistent=False)

    def forward(self, context: Tensor | None = None) -> RelaxedOneHot:
        return RelaxedOneHot(self.zeros, self.temperature, len(self.latent_shape))
