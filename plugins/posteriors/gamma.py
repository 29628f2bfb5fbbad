"""Gamma posterior over positive latents."""

import math
from typing import final

from torch import Tensor, nn
from torch.distributions import Independent, constraints

from genmod import Posterior, bounded_log_scale
from genmod.distributions import PreciseGamma

__all__ = ["GammaPosterior"]

_FLOOR = 0.3
"""Concentrations lie above; far below, draws in single precision would be zero."""


@final
class GammaPosterior(Posterior):
    """Independent gamma distributions whose log-concentrations and log-rates are linear in the features.

    ``q(z|x) = Π_d r_d^a_d z_d^(a_d - 1) exp(-r_d z_d) / Γ(a_d)``, with draws by implicit reparametrisation

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``.

    Reference:
        Implicit Reparameterization Gradients (Figurnov et al., 2018), arXiv:1805.08498

    Example:
        >>> import torch
        >>> bool((GammaPosterior((256,), (16,))(torch.zeros(2, 256)).rsample((5,)) > 0).all())
        True
    """

    def __init__(self, feature_shape: tuple[int, ...], latent_shape: tuple[int, ...]) -> None:
        super().__init__(feature_shape, latent_shape)
        self.support = constraints.independent(constraints.nonnegative, len(latent_shape))
        self.head = nn.Linear(math.prod(feature_shape), 2 * math.prod(latent_shape))

    def forward(self, features: Tensor) -> Independent:
        parameters = bounded_log_scale(self.head(features.flatten(1))).exp()
        concentration, rate = parameters.unflatten(1, (2, *self.latent_shape)).unbind(1)
        base = PreciseGamma(_FLOOR + concentration, rate, validate_args=False)
        return Independent(base, len(self.latent_shape), validate_args=False)
