"""Bernoulli prior."""

import math
from typing import Annotated, final

import torch
from annotated_types import Gt, Lt
from torch import Tensor
from torch.distributions import Independent, constraints

from genmod import Doc, Prior
from genmod.plugins.posteriors._bits import Bit

__all__ = ["BernoulliPrior"]


@final
class BernoulliPrior(Prior):
    """Independent zeros and ones, for posteriors that draw exact ones.

    ``p(z) = Π_d ρ^z_d (1 - ρ)^(1 - z_d)``, ``batch_shape ()``, ``event_shape latent_shape``

    Reference:
        Discrete Variational Autoencoders (Rolfe, 2016), arXiv:1609.02200

    Example:
        >>> BernoulliPrior((4,))().log_prob(torch.tensor([0.0, 1.0, 0.0, 1.0])).exp()
        tensor(0.0625)
    """

    zeros: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        probability: Annotated[float, Gt(0), Lt(1), Doc("of a one: small for sparse codes")] = 0.5,
    ) -> None:
        super().__init__(latent_shape)
        self.logit = math.log(probability) - math.log1p(-probability)
        self.support = constraints.independent(constraints.boolean, len(latent_shape))
        self.register_buffer("zeros", torch.zeros(latent_shape), persistent=False)

    def forward(self, context: Tensor | None = None) -> Independent:
        return Independent(Bit(self.zeros + self.logit, 1.0), len(self.latent_shape), validate_args=False)
