"""Sliced Wasserstein distance between aggregate posterior and prior."""

from typing import Annotated, final

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.distributions import Distribution

from genmod import Doc, Schedule
from genmod.plugins.divergences._beside_kl import BesideKL, WeightOfKL
from genmod.plugins.divergences._draws import check_draws, draws_of
from genmod.system import gather_batch

__all__ = ["SlicedWasserstein"]


@final
class SlicedWasserstein(BesideKL):
    """``SW² = E_θ[W₂²(θᵀz, θᵀy)]``, ``z ~ E_x[q(z|x)]``, ``y ~ p``, over random directions θ, in squared latent units.

    ``q (B,), p (), z (K, B, *latent_shape) → (B,)``, the same number for each example: ``kl·KL + weight·SW²``. In one
    dimension the optimal transport pairs the sorted draws with the sorted draws of the prior:
    ``1/n Σ_i (a_(i) - b_(i))²``. Of finite batches the estimate is positive even where both distributions are equal,
    by about the same amount for all of them.

    The KL, where it has a weight, is in closed form where one is known, else estimated from the draws.

    Reference:
        Sliced-Wasserstein Autoencoder (Kolouri et al., 2018), arXiv:1804.01947

    Raises:
        UndefinedError: the prior is learned, and its draws cannot be differentiated.

    Example:
        >>> from genmod import diagonal_normal
        >>> q = diagonal_normal(torch.ones(3, 2), torch.zeros(3, 2), 1)
        >>> SlicedWasserstein()(q, diagonal_normal(torch.zeros(2), torch.zeros(2), 1), q.sample((5,))).shape
        torch.Size([3])
    """

    def __init__(
        self,
        *,
        projections: Annotated[int, Ge(1), Doc("random directions, drawn anew for each batch")] = 50,
        weight: Annotated[
            Schedule | float, Ge(0), Doc("weight of the distance, may change during training")
        ] = 1.0,
        kl: WeightOfKL = 0.0,
    ) -> None:
        super().__init__(kl)
        self.projections = projections
        self.weight = Schedule.parse(weight)

    def check(self, q: Distribution, p: Distribution) -> None:
        check_draws(q, p)

    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        y = draws_of(p, z)
        points = (gather_batch(t.flatten(2).transpose(0, 1)).transpose(0, 1) for t in (z, y))
        directions = torch.randn(z[0, 0].numel(), self.projections, dtype=z.dtype, device=z.device)
        directions = nn.functional.normalize(directions, dim=0)
        a, b = ((t @ directions).sort(1).values for t in points)
        value = float(self.weight) * (a - b).square().mean()
        return self.with_kl(value, q, p, z)
