"""Priors over the codes of a posterior that draws from a codebook."""

from typing import Any

from torch import Tensor

from genmod.distributions.codes import Codebook, CodedPrior, InCodebook
from genmod.interfaces.posterior import Posterior
from genmod.interfaces.prior import Prior

__all__ = ["PriorOfCodes", "shape_of_prior"]


def shape_of_prior(posterior: Posterior) -> tuple[int, ...]:
    """What a prior is made for: the latents, or one class for each code of theirs."""
    if isinstance(posterior, Codebook):
        return (*posterior.shape, posterior.classes)
    return posterior.latent_shape


class PriorOfCodes(Prior):
    """A prior over classes as one of the latents that these are the codes of.

    Args:
        prior: over latents of shape ``(*codebook.shape, codebook.classes)``.
        codebook: the posterior.
        latent_shape: shape of one latent of it.
    """

    def __init__(self, prior: Prior, codebook: Codebook, latent_shape: tuple[int, ...]) -> None:
        super().__init__(latent_shape)
        self.of = prior
        self.support, self.has_density = InCodebook(codebook, len(latent_shape)), prior.has_density
        self.wants_context = prior.wants_context
        # In a tuple, so that the posterior is not a part of the prior.
        self._codebook = (codebook,)

    def bind(self, model: Any) -> None:
        self.of.bind(model)

    def forward(self, context: Tensor | None = None) -> CodedPrior:
        return CodedPrior(self.of(context), self._codebook[0], self.latent_shape)
