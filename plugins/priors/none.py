"""No prior at all."""

from typing import NoReturn, final

from genmod.errors import UndefinedError
from genmod.prior import Prior

__all__ = ["NoPrior"]


@final
class NoPrior(Prior):
    """The absence of a prior: the model reconstructs, and cannot be sampled.

    Nothing says which latents are likely, so most of the latent space decodes to nothing in particular.

    Reference:
        Reducing the Dimensionality of Data with Neural Networks (Hinton and Salakhutdinov, 2006),
        doi:10.1126/science.1127647

    Example:
        >>> NoPrior((2,)).has_density
        False
    """

    support = None
    has_density = False

    def forward(self) -> NoReturn:
        raise UndefinedError(
            "this model has no prior, so there is nothing to draw latents from: it was built with --prior none",
            hint="build a model that has one (genmod build vae), or see what it does with data: genmod reconstruct",
        )
