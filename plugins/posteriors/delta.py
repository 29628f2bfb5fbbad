"""Point-mass posterior: one code for each example."""

import math
from typing import Any, final

from torch import Tensor, nn
from torch.distributions import constraints

from genmod import Posterior, UndefinedError
from genmod.distributions import PointMass

__all__ = ["Delta", "DeltaPosterior"]


@final
class Delta(PointMass):
    """All mass at one point.

    Args:
        point: where, ``(*batch_shape, *event_shape)``.
        event_dims: how many of the last dimensions are one event.

    Raises:
        UndefinedError: by :meth:`log_prob`; a point mass has no density.

    Example:
        >>> import torch
        >>> Delta(torch.ones(3, 2), 1).sample((5,)).shape
        torch.Size([5, 3, 2])
    """

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.real, len(self.event_shape))

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Delta":
        return Delta(self.point.expand(*batch_shape, *self.event_shape), len(self.event_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        raise UndefinedError(
            "a point mass (posterior 'delta') has no density, so no KL and no ELBO either",
            hint="use --posterior normal, or --divergence none --objective reconstruction",
        )


@final
class DeltaPosterior(Posterior):
    """One latent for each example, linear in the features: the code of a plain autoencoder.

    ``q(z|x) = δ(z - code(x))``

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``.

    Reference:
        Reducing the Dimensionality of Data with Neural Networks (Hinton and Salakhutdinov, 2006),
        doi:10.1126/science.1127647

    Example:
        >>> import torch
        >>> DeltaPosterior((256,), (2,))(torch.zeros(3, 256)).mean.shape
        torch.Size([3, 2])
    """

    support = None
    has_density = False

    def __init__(self, feature_shape: tuple[int, ...], latent_shape: tuple[int, ...]) -> None:
        super().__init__(feature_shape, latent_shape)
        self.head = nn.Linear(math.prod(feature_shape), math.prod(latent_shape))

    def forward(self, features: Tensor) -> Delta:
        code = self.head(features.flatten(1)).unflatten(1, self.latent_shape)
        return Delta(code, len(self.latent_shape))
