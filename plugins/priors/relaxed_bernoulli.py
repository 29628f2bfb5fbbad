"""Bernoulli prior, relaxed to the numbers between 0 and 1."""

import math
from typing import Annotated, final

import torch
from annotated_types import Gt, Lt
from torch import Tensor
from torch.distributions import Independent, constraints

from genmod import Doc, Prior
from genmod.options import same_options
from genmod.plugins.posteriors._bits import RelaxedBit

__all__ = ["RelaxedBernoulliPrior"]


@final
class RelaxedBernoulliPrior(Prior):
    """Independent zeros and ones, relaxed to the numbers between.

    ``z = σ((logit ρ + g)/τ)``, ``g`` logistic noise, ``batch_shape ()``, ``event_shape latent_shape``

    Reference:
        The Concrete Distribution (Maddison et al., 2016), arXiv:1611.00712

    Example:
        >>> RelaxedBernoulliPrior((4,))().sample((3,)).shape
        torch.Size([3, 4])
    """

    migrate = staticmethod(same_options)

    zeros: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        probability: Annotated[float, Gt(0), Lt(1), Doc("of a one: small for sparse codes")] = 0.5,
        temperature: Annotated[float, Gt(0), Doc("how far draws lie from 0 and 1")] = 0.5,
    ) -> None:
        super().__init__(latent_shape)
        self.logit = math.log(probability) - math.log1p(-probability)
        self.temperature = temperature
        self.support = constraints.independent(constraints.unit_interval, len(latent_shape))
        self.register_buffer("zeros", torch.zeros(latent_shape), persistent=False)

    def forward(self, context: Tensor | None = None) -> Independent:
        base = RelaxedBit(self.zeros + self.logit, self.temperature)
        return Independent(base, len(self.latent_shape), validate_args=False)
