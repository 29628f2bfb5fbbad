"""No divergence."""

from typing import final

from torch import Tensor
from torch.distributions import Distribution

from genmod import Divergence

__all__ = ["NoDivergence"]


@final
class NoDivergence(Divergence):
    """Zero: nothing pulls the latents to a prior, as in a plain autoencoder.

    ``q (B,), z (K, B, *latent_shape) → (B,)`` zeros.

    Reference:
        Reducing the Dimensionality of Data with Neural Networks (Hinton and Salakhutdinov, 2006),
        doi:10.1126/science.1127647

    Example:
        >>> import torch
        >>> from genmod import diagonal_normal
        >>> q = diagonal_normal(torch.ones(3, 2), torch.zeros(3, 2), 1)
        >>> NoDivergence()(q, q, q.mean[None])
        tensor([0., 0., 0.])
    """

    needs_prior = False
    needs_densities = False

    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        return z.new_zeros(z.shape[1])
