"""Posterior whose draws are moved by Hamiltonian dynamics."""

from typing import final

from torch import Tensor

from genmod import Joint
from genmod.plugins.posteriors._chain import Chain, ChainPosterior

__all__ = ["HMCPosterior"]


@final
class HMCPosterior(ChainPosterior):
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
        >>> import torch
        >>> q = HMCPosterior((256,), (16,), steps=2)(torch.zeros(2, 256), lambda z: -z.square().sum(-1))
        >>> z = q.rsample((5,))
        >>> z.shape, q.log_prob(z).shape
        (torch.Size([5, 2, 16]), torch.Size([5, 2]))
    """

    def forward(self, features: Tensor, joint: Joint | None = None) -> Chain:
        return self.chain(features, joint)
