"""Gamma prior over positive latents."""

from typing import Annotated, Any, final

import torch
from annotated_types import Gt
from torch import Tensor
from torch.distributions import Independent, constraints

from genmod import Doc, Prior
from genmod.distributions import PreciseGamma, drawn_by_log, log_gamma_draws
from genmod.options import same_options

__all__ = ["GammaPrior"]


@final
class GammaPrior(Prior):
    """Independent gamma distributions; the default is exponential.

    ``p(z) = Π_d r^a z_d^(a - 1) exp(-r z_d) / Γ(a)``, ``batch_shape ()``, ``event_shape latent_shape``

    Reference:
        Implicit Reparameterization Gradients (Figurnov et al., 2018), arXiv:1805.08498

    Example:
        >>> GammaPrior((2,))().log_prob(torch.ones(2))
        tensor(-2.)
    """

    migrate = staticmethod(same_options)

    ones: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        concentration: Annotated[
            float, Gt(0), Doc("shape of the density; below 1 it is infinite at zero")
        ] = 1.0,
        rate: Annotated[float, Gt(0), Doc("how fast the density falls")] = 1.0,
    ) -> None:
        super().__init__(latent_shape)
        self.support = constraints.independent(constraints.nonnegative, len(latent_shape))
        self.concentration, self.rate = concentration, rate
        self.register_buffer("ones", torch.ones(latent_shape), persistent=False)

    def forward(self, context: Tensor | None = None) -> Independent:
        base = _Gamma(self.concentration * self.ones, self.rate * self.ones, validate_args=False)
        return Independent(base, len(self.latent_shape), validate_args=False)


class _Gamma(PreciseGamma):
    """A draw keeps its logarithm: of small concentrations most would be zero."""

    def rsample(self, sample_shape: Any = (), generator: torch.Generator | None = None) -> Tensor:
        return drawn_by_log(log_gamma_draws(self.concentration, sample_shape, generator) - self.rate.log())
