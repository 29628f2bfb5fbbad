"""Point-mass posterior: one code for each example."""

import math
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from genmod import Posterior, UndefinedError

__all__ = ["Delta", "DeltaPosterior"]


@final
class Delta(Distribution):
    """All mass at one point.

    Args:
        point: where, ``(*batch_shape, *event_shape)``.
        event_dims: how many of the last dimensions are one event.

    Raises:
        UndefinedError: by :meth:`log_prob`; a point mass has no density.

    Example:
        >>> Delta(torch.ones(3, 2), 1).sample((5,)).shape
        torch.Size([5, 3, 2])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    has_rsample = True

    def __init__(self, point: Tensor, event_dims: int) -> None:
        self.point = point
        batch_dims = point.dim() - event_dims
        super().__init__(point.shape[:batch_dims], point.shape[batch_dims:], validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.real, len(self.event_shape))

    @property
    def mean(self) -> Tensor:
        return self.point

    @property
    def mode(self) -> Tensor:
        return self.point

    @property
    def variance(self) -> Tensor:
        return torch.zeros_like(self.point)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Delta":
        return Delta(self.point.expand(*batch_shape, *self.event_shape), len(self.event_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.point.expand(*sample_shape, *self.point.shape)

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
