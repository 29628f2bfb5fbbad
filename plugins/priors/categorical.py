"""Uniform prior over classes."""

from typing import final

import torch
from torch import Tensor
from torch.distributions import constraints

from genmod import Prior
from genmod.plugins.posteriors._simplex import OneHot, require_classes, stacked

__all__ = ["CategoricalPrior"]


@final
class CategoricalPrior(Prior):
    """All classes alike, as vectors of zeros and a one, for posteriors that draw exact classes.

    ``p(z) = 1/K`` for each vector, ``batch_shape ()``, ``event_shape latent_shape``

    Reference:
        Categorical Reparameterization with Gumbel-Softmax (Jang et al., 2016), arXiv:1611.01144

    Raises:
        UsageError: there are fewer than two classes.

    Example:
        >>> CategoricalPrior((4,))().log_prob(torch.tensor([0.0, 1.0, 0.0, 0.0])).exp()
        tensor(0.2500)
    """

    zeros: Tensor

    def __init__(self, latent_shape: tuple[int, ...]) -> None:
        require_classes("prior 'categorical'", latent_shape)
        super().__init__(latent_shape)
        self.support = stacked(constraints.one_hot, latent_shape)
        self.register_buffer("zeros", torch.zeros(latent_shape), persistent=False)

    def forward(self, context: Tensor | None = None) -> OneHot:
        return OneHot(self.zeros, 1.0, len(self.latent_shape))
