"""No prior at all."""

from typing import NoReturn, final

from torch import Tensor

from genmod import Prior, UndefinedError

__all__ = ["NoPrior"]


@final
class NoPrior(Prior):
    """The absence of a prior: the model reconstructs, and cannot be sampled by itself.

    There is no distribution of likely latents, and most of the latent space decodes to nothing in particular, until a
    sampler is fitted to the codes: ``genmod fit-sampler``.

    Reference:
        Reducing the Dimensionality of Data with Neural Networks (Hinton and Salakhutdinov, 2006),
        doi:10.1126/science.1127647

    Example:
        >>> NoPrior((2,)).has_density
        False
    """

    support = None
    has_density = False

    def forward(self, context: Tensor | None = None) -> NoReturn:
        raise UndefinedError(
            "this model has no prior, so there is nothing to draw latents from: it was built with --prior none",
            hint="fit a distribution to its codes and draw from that: genmod fit-sampler --sampler gmm\n"
            "or build a model that has a prior: genmod build vae",
        )
