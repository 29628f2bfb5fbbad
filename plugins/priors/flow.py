"""Normalising-flow prior."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.distributions import constraints

from genmod import Doc, Prior, diagonal_normal
from genmod.plugins.posteriors._neural_maps import NeuralMaps
from genmod.plugins.posteriors._transported import Transported

__all__ = ["FlowPrior"]


@final
class FlowPrior(Prior):
    """A standard normal carried through invertible maps, which are trained with the model.

    ``z = f_T(… f_1(ε))``, ``ε ~ N(0, I)``, ``log p(z) = log p(ε) - Σ_t log |det df_t|``, ``batch_shape ()``,
    ``event_shape latent_shape``

    Densities take one pass, or two; draws of ``maf`` as many as there are latents. There is no closed-form KL; use
    ``kl-mc``.

    Reference:
        Variational Lossy Autoencoder (Chen et al., 2016), arXiv:1611.02731;
        Masked Autoregressive Flow for Density Estimation (Papamakarios et al., 2017), arXiv:1705.07057;
        Density Estimation Using Real NVP (Dinh et al., 2016), arXiv:1605.08803;
        Neural Spline Flows (Durkan et al., 2019), arXiv:1906.04032

    Example:
        >>> FlowPrior((2,), kind="realnvp")().sample((5,)).shape
        torch.Size([5, 2])
    """

    zeros: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        kind: Annotated[Literal["maf", "nsf", "realnvp"], Doc("what the maps are")] = "maf",
        transforms: Annotated[int, Ge(1), Doc("number of maps")] = 3,
        hidden: Annotated[
            Sequence[Annotated[int, Gt(0)]], Doc("units of the hidden layers of each map's network")
        ] = (32, 32),
    ) -> None:
        super().__init__(latent_shape)
        self.support = constraints.independent(constraints.real, len(latent_shape))
        n = math.prod(latent_shape)
        self.networks = NeuralMaps(kind, n, 0, transforms, hidden)
        self.register_buffer("zeros", torch.zeros(n), persistent=False)

    def forward(self, context: Tensor | None = None) -> Transported:
        base = diagonal_normal(self.zeros, self.zeros, 1)
        return Transported(base, self.networks.maps(None), self.latent_shape)
