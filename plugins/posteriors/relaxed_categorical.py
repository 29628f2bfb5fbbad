"""Categorical posterior by the Gumbel-softmax trick."""

import math
from typing import Annotated, final

from annotated_types import Gt
from torch import Tensor, nn
from torch.distributions import constraints, register_kl

from genmod import Doc, Posterior, Schedule
from genmod.options import same_options
from genmod.plugins.posteriors._simplex import OneHot, RelaxedOneHot, require_classes, stacked

__all__ = ["RelaxedCategoricalPosterior"]


@register_kl(OneHot, OneHot)
def _kl(q: OneHot, p: OneHot) -> Tensor:
    """``Σ_k q_k (log q_k - log p_k)``, exact, for each vector in the event."""
    return q.summed((q.logits.exp() * (q.logits - p.logits)).sum(-1))


@final
class RelaxedCategoricalPosterior(Posterior):
    """Categorical latents by the Gumbel-softmax trick, with logits linear in the features.

    ``z = softmax((l(x) + g)/τ)``, ``g`` Gumbel noise

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``. The last number of the latent
    shape is the number of classes: 16 is one variable, 8×16 are eight. Latents are relaxed, on the simplex, with the
    density of the relaxation; its KL is estimated (``kl-mc``) from prior ``relaxed-categorical``. With
    ``straight_through`` they are exact, one class each, with a biased gradient; the KL from prior ``categorical`` is
    then closed.

    Reference:
        Categorical Reparameterization with Gumbel-Softmax (Jang et al., 2016), arXiv:1611.01144;
        The Concrete Distribution (Maddison et al., 2016), arXiv:1611.00712

    Raises:
        UsageError: there are fewer than two classes.

    Example:
        >>> import torch
        >>> q = RelaxedCategoricalPosterior((256,), (4, 3), straight_through=True)(torch.zeros(2, 256))
        >>> q.rsample().sum(-1)[0]
        tensor([1., 1., 1., 1.], grad_fn=<SelectBackward0>)
    """

    migrate = staticmethod(same_options)

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        *,
        temperature: Annotated[
            Schedule | float, Gt(0), Doc("how far draws lie from the corners, may change during training")
        ] = 0.5,
        straight_through: Annotated[bool, Doc("draw exact classes, and borrow the gradient")] = False,
    ) -> None:
        require_classes("posterior 'relaxed-categorical'", latent_shape)
        super().__init__(feature_shape, latent_shape)
        self.temperature = Schedule.parse(temperature)
        self.straight_through = straight_through
        self.support = stacked(constraints.one_hot if straight_through else constraints.simplex, latent_shape)
        self.head = nn.Linear(math.prod(feature_shape), math.prod(latent_shape))

    def forward(self, features: Tensor) -> RelaxedOneHot | OneHot:
        logits = self.head(features.flatten(1)).unflatten(1, self.latent_shape)
        kind = OneHot if self.straight_through else RelaxedOneHot
        return kind(logits, float(self.temperature), len(self.latent_shape))
