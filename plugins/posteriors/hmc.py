"""Posterior whose draws are moved by Hamiltonian dynamics."""

import math
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn
from torch.distributions import constraints

from genmod import Doc, Joint, Posterior, bounded_log_scale, diagonal_normal
from genmod.plugins.posteriors._chain import Chain

__all__ = ["HMCPosterior"]

_LARGEST = 0.5
"""Steps are shorter than this."""


@final
class HMCPosterior(Posterior):
    """A diagonal normal whose draws are moved along ``log p(x, z)`` by leapfrog steps, with a momentum that is cooled.

    ``z_0 ~ N(loc(x), scale(x)²)``, ``ρ_0 ~ N(0, I/β)``; K times a leapfrog step of ``log p(x, z)`` and ``ρ ← α_k ρ``,
    ``Π α_k = √β``

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``. Without cooling the dynamics keep what
    the bound is made of, and it would gain nothing. ``fixed`` cooling is ``√β_k = 1 / ((1 - 1/√β) k²/K² + 1/√β)``, ``α_k =
    √(β_{k-1}/β_k)``; ``learned`` starts from it and trains each α. The size of steps is trained for each latent, below
    0.5. There are K + 1 gradients of the decoder in each draw. The density is that of position and momentum together,
    known for draws alone: train it by ``elbo`` with ``kl-mc``, or by ``iwae``.

    Reference:
        Hamiltonian Variational Auto-Encoder (Caterini et al., 2018), arXiv:1805.11328

    Example:
        >>> q = HMCPosterior((256,), (16,), steps=2)(torch.zeros(2, 256), lambda z: -z.square().sum(-1))
        >>> z = q.rsample((5,))
        >>> z.shape, q.log_prob(z).shape
        (torch.Size([5, 2, 16]), torch.Size([5, 2]))
    """

    alphas: Tensor

    wants_joint = True

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        *,
        steps: Annotated[int, Ge(1), Doc("leapfrog steps, K")] = 3,
        step: Annotated[float, Gt(0), Le(0.4), Doc("size of the steps before training")] = 0.05,
        cooling: Annotated[
            Literal["fixed", "learned"], Doc("whether the cooling of each step stays or is trained")
        ] = "fixed",
        beta: Annotated[float, Gt(0), Le(1), Doc("inverse temperature at which momenta are drawn")] = 0.3,
    ) -> None:
        super().__init__(feature_shape, latent_shape)
        self.support = constraints.independent(constraints.real, len(latent_shape))
        self.head = nn.Linear(math.prod(feature_shape), 2 * math.prod(latent_shape))
        self.raw_step = nn.Parameter(torch.full(latent_shape, math.log(step / (_LARGEST - step))))
        roots = 1 / ((1 - beta**-0.5) * (torch.arange(steps + 1) / steps).square() + beta**-0.5)
        alphas = roots[:-1] / roots[1:]
        if cooling == "learned":
            self.raw_cooling = nn.Parameter(alphas.clamp(max=0.999).logit())
        else:
            self.register_buffer("alphas", alphas, persistent=False)
        self.learned = cooling == "learned"

    def forward(self, features: Tensor, joint: Joint | None = None) -> Chain:
        loc, log_scale = self.head(features.flatten(1)).unflatten(1, (2, *self.latent_shape)).unbind(1)
        start = diagonal_normal(loc, bounded_log_scale(log_scale), len(self.latent_shape))
        cooling = self.raw_cooling.sigmoid() if self.learned else self.alphas
        return Chain(start, joint, _LARGEST * self.raw_step.sigmoid(), cooling)
