"""Laplace prior."""

from typing import Annotated, final

import torch
from annotated_types import Gt
from torch import Tensor
from torch.distributions import Independent, Laplace, constraints

from genmod import Doc, Prior

__all__ = ["LaplacePrior"]


@final
class LaplacePrior(Prior):
    """Independent Laplace distributions around zero, as in sparse coding.

    ``p(z) = Π_d exp(-|z_d|/scale) / (2 scale)``, ``batch_shape ()``, ``event_shape latent_shape``

    The KL of a normal posterior from it has a closed form, which torch knows, so ``--divergence kl`` works::

        KL(N(m, s²) ‖ Laplace(0, b)) = log(2b) - ½ log(2πe s²) + E|z|/b
        E|z| = s √(2/π) exp(-m²/2s²) + m erf(m / s√2)

    Reference:
        Emergence of simple-cell receptive field properties by learning a sparse code for natural images
        (Olshausen and Field, 1996), doi:10.1038/381607a0

    Example:
        >>> LaplacePrior((2,))().log_prob(torch.zeros(2))
        tensor(-1.3863)
    """

    zeros: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        scale: Annotated[float, Gt(0), Doc("mean distance from zero; 0.7071 gives variance 1")] = 1.0,
    ) -> None:
        super().__init__(latent_shape)
        self.scale = scale
        self.support = constraints.independent(constraints.real, len(latent_shape))
        self.register_buffer("zeros", torch.zeros(latent_shape), persistent=False)

    def forward(self) -> Independent:
        noise = Laplace(self.zeros, self.scale, validate_args=False)
        return Independent(noise, len(self.latent_shape), validate_args=False)
