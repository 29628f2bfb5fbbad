"""Normal sampler."""

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal

from genmod import Sampler
from genmod.plugins.samplers._standard import scale_tril_of, shaped, spread

__all__ = ["GaussianSampler"]


@final
class GaussianSampler(Sampler):
    """One normal with the mean and all covariances of the codes.

    ``p(z) = N(z; μ, Σ)``, ``μ = 1/N Σ_i z_i``, ``batch_shape ()``, ``event_shape latent_shape``

    It has no options, and is fitted at once. It does not represent clusters of codes: latents between them are drawn as
    well.

    Reference:
        From Variational to Deterministic Autoencoders (Ghosh et al., 2019), arXiv:1903.12436

    Example:
        >>> sampler = GaussianSampler((2,))
        >>> sampler.fit(torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 4.0], [2.0, 4.0]]))
        >>> sampler().mean, sampler().variance
        (tensor([1., 2.]), tensor([1.0000, 4.0000]))
    """

    loc: Tensor
    scale_tril: Tensor

    def __init__(self, latent_shape: tuple[int, ...]) -> None:
        super().__init__(latent_shape)
        size = torch.Size(latent_shape).numel()
        self.register_buffer("loc", torch.zeros(size))
        self.register_buffer("scale_tril", torch.eye(size))

    def fit(self, codes: Tensor, *, seed: int = 0, on_step: Callable[[int, int], None] | None = None) -> None:
        flat = codes.detach().flatten(1)
        self.loc = spread(flat)[0].to(codes)
        self.scale_tril = scale_tril_of(flat).to(codes).contiguous()

    def forward(self) -> Distribution:
        normal = MultivariateNormal(self.loc, scale_tril=self.scale_tril, validate_args=False)
        return shaped(normal, self.latent_shape)
