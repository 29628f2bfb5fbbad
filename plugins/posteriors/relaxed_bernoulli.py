"""Bernoulli posterior by the binary Concrete relaxation."""

import math
from typing import Annotated, final

from annotated_types import Gt
from torch import Tensor, nn
from torch.distributions import Independent, constraints

from genmod import Doc, Posterior, Schedule
from genmod.options import same_options
from genmod.plugins.posteriors._bits import Bit, RelaxedBit

__all__ = ["RelaxedBernoulliPosterior"]


@final
class RelaxedBernoulliPosterior(Posterior):
    """Binary latents by a relaxation, with logits linear in the features.

    ``z = σ((l(x) + g)/τ)``, ``g`` logistic noise

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``. Latents are relaxed, between 0 and
    1, with the density of the relaxation; its KL is estimated (``kl-mc``) from prior ``relaxed-bernoulli``. With
    ``straight_through`` they are exact, 0 or 1, with a biased gradient; the KL from prior ``bernoulli`` is then
    closed.

    Reference:
        The Concrete Distribution (Maddison et al., 2016), arXiv:1611.00712;
        Categorical Reparameterization with Gumbel-Softmax (Jang et al., 2016), arXiv:1611.01144

    Example:
        >>> import torch
        >>> q = RelaxedBernoulliPosterior((256,), (16,), straight_through=True)(torch.zeros(2, 256))
        >>> sorted(set(q.rsample().flatten().tolist()))
        [0.0, 1.0]
    """

    migrate = staticmethod(same_options)

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        *,
        temperature: Annotated[
            Schedule | float, Gt(0), Doc("how far draws lie from 0 and 1, may change during training")
        ] = 0.5,
        straight_through: Annotated[bool, Doc("draw exact zeros and ones, and borrow the gradient")] = False,
    ) -> None:
        super().__init__(feature_shape, latent_shape)
        self.temperature = Schedule.parse(temperature)
        self.straight_through = straight_through
        base = constraints.boolean if straight_through else constraints.unit_interval
        self.support = constraints.independent(base, len(latent_shape))
        self.head = nn.Linear(math.prod(feature_shape), math.prod(latent_shape))

    def forward(self, features: Tensor) -> Independent:
        logits = self.head(features.flatten(1)).unflatten(1, self.latent_shape)
        kind = Bit if self.straight_through else RelaxedBit
        base = kind(logits, float(self.temperature))
        return Independent(base, len(self.latent_shape), validate_args=False)
