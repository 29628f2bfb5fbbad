"""Dirichlet prior."""

from typing import Annotated, final

import torch
from annotated_types import Gt
from torch import Tensor
from torch.distributions import Distribution, Independent, constraints

from genmod import Doc, Prior
from genmod.distributions import PreciseDirichlet
from genmod.options import same_options
from genmod.plugins.posteriors._simplex import require_classes, stacked

__all__ = ["DirichletPrior"]


@final
class DirichletPrior(Prior):
    """A symmetric Dirichlet distribution on the simplex, uniform at concentration 1.

    ``p(z) = Γ(Kα)/Γ(α)^K Π_k z_k^(α-1)`` for each vector, ``batch_shape ()``, ``event_shape latent_shape``

    It has no closed-form KL from the posteriors on the simplex; use ``kl-mc``.

    Reference:
        Dirichlet Variational Autoencoder (Joo et al., 2019), arXiv:1901.02739

    Raises:
        UsageError: there are fewer than two classes.

    Example:
        >>> DirichletPrior((3,))().log_prob(torch.tensor([0.2, 0.3, 0.5])).exp()
        tensor(2.)
    """

    migrate = staticmethod(same_options)

    zeros: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        concentration: Annotated[
            float, Gt(0), Doc("above 1 draws are near the middle, below 1 near the corners")
        ] = 1.0,
    ) -> None:
        require_classes("prior 'dirichlet'", latent_shape)
        super().__init__(latent_shape)
        self.concentration = concentration
        self.support = stacked(constraints.simplex, latent_shape)
        self.register_buffer("zeros", torch.zeros(latent_shape), persistent=False)

    def forward(self, context: Tensor | None = None) -> Distribution:
        base = PreciseDirichlet(self.zeros + self.concentration, validate_args=False)
        extra = len(self.latent_shape) - 1
        return Independent(base, extra, validate_args=False) if extra else base
