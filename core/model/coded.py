"""Priors over the codes of a posterior that has a codebook."""

from typing import Any

from torch import Tensor

from genmod.distributions.codes import Codebook, CodedPrior, InCodebook
from genmod.interfaces.posterior import Posterior
from genmod.interfaces.prior import Prior

__all__ = ["PriorOfCodes", "shape_of_prior"]


def shape_of_prior(posterior: Posterior) -> tuple[int, ...]:
    """The latent shape that a prior is built with: that of the posterior, or ``(*shape, classes)`` of its codebook."""
    if isinstance(posterior, Codebook):
        return (*posterior.shape, posterior.classes)
    return posterior.latent_shape


class PriorOfCodes(Prior):
    """A prior over codes as a prior over the latents that these codes stand for.

    Args:
        prior: a prior over one-hot codes, ``(*codebook.shape, codebook.classes)``.
        codebook: the posterior.
        latent_shape: shape of one latent of the posterior.
    """

    def __init__(self, prior: Prior, codebook: Codebook, latent_shape: tuple[int, ...]) -> None:
        super().__init__(latent_shape)
        self.of = prior
        self.support, self.has_density = InCodebook(codebook, len(latent_shape)), prior.has_density
        self.wants_context = prior.wants_context
        # In a tuple, so that torch does not register the posterior as a submodule of the prior.
        self._codebook = (codebook,)

    def bind(self, model: Any) -> None:
        self.of.bind(model)

    def forward(self, context: Tensor | None = None) -> CodedPrior:
        return CodedPrior(self.of(context), self._codebook[0], self.latent_shape)
