"""A normal sampler with independent dimensions."""

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution

from genmod import Sampler, diagonal_normal

__all__ = ["TemplateSampler"]


@final
class TemplateSampler(Sampler):
    """A normal with the means and the variances of the codes.

    ``p(z) = Π_d N(z_d; loc_d, scale_d²)``, ``batch_shape ()``, ``event_shape latent_shape``
    """

    # Correlations of the codes are lost. A sampler that keeps them leaves this line out.
    independent = True

    loc: Tensor
    log_scale: Tensor

    def __init__(self, latent_shape: tuple[int, ...]) -> None:
        super().__init__(latent_shape)
        # What is fitted is saved with the model, so it is kept in buffers.
        self.register_buffer("loc", torch.zeros(latent_shape))
        self.register_buffer("log_scale", torch.zeros(latent_shape))

    def fit(self, codes: Tensor, *, seed: int = 0, on_step: Callable[[int, int], None] | None = None) -> None:
        self.loc = codes.mean(0)
        self.log_scale = codes.std(0, correction=0).clamp(min=1e-6).log()

    def forward(self) -> Distribution:
        return diagonal_normal(self.loc, self.log_scale, len(self.latent_shape))
