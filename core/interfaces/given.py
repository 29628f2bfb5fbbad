"""The model as objectives, priors and metrics see it: its context is given, or it needs none."""

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from genmod.data.conditions import Conditions
from genmod.data.dataset import DataInfo
from genmod.distributions.support import Space
from genmod.interfaces.decoder import Decoder
from genmod.interfaces.divergence import Divergence
from genmod.interfaces.encoder import Encoder
from genmod.interfaces.network import Network
from genmod.interfaces.posterior import Posterior
from genmod.spec import ModelSpec

__all__ = ["GivenModel"]


class GivenModel(Protocol):
    """A latent-variable model with its context.

    A :class:`genmod.LatentVariableModel` that is not conditional is one; ``model.given(context)`` makes one of a
    conditional model. Then ``encode(x)``, ``decode(z)`` and ``prior()`` need nothing else: what is written against this
    class works for both.

    Example:
        >>> import genmod
        >>> def elbo(model: GivenModel, x: Tensor) -> Tensor:
        ...     return model.log_weights(x, samples=10).mean(0)
        >>> elbo(genmod.build(encoder="mlp", latent=2), torch.zeros(3, 1, 8, 8)).shape
        torch.Size([3])
    """

    @property
    def spec(self) -> ModelSpec:
        """The names and options that it was assembled from."""

    @property
    def data(self) -> DataInfo:
        """Shape and range of the data."""

    @property
    def conditions(self) -> Conditions | None:
        """What the model is conditioned on; None where it is not conditional."""

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one latent."""

    @property
    def space(self) -> Space:
        """Where its latents lie."""

    @property
    def encoder(self) -> Encoder: ...

    @property
    def posterior(self) -> Posterior: ...

    @property
    def prior(self) -> Callable[..., Distribution]:
        """``p(z)``, or ``p(z|context)``, then of ``batch_shape (B,)``."""

    @property
    def network(self) -> Network: ...

    @property
    def decoder(self) -> Decoder: ...

    @property
    def divergence(self) -> Divergence: ...

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the parameters."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """What is trained."""

    def encode(self, x: Tensor, context: Tensor | None = None, /) -> Distribution:
        """``q(z|x)`` of observations ``x (B, *data.shape)``, ``batch_shape (B,)``, ``event_shape latent_shape``."""

    def decode(self, z: Tensor, context: Tensor | None = None, /) -> Distribution:
        """``p(x|z)`` of latents ``z (*batch, *latent_shape)``, ``batch_shape batch``, ``event_shape data.shape``."""

    def decoded(self, z: Tensor, context: Tensor | None = None, /) -> tuple[Distribution, Tensor]:
        """``p(x|z)`` as :meth:`decode` makes it, and what the network put out for it, ``(*batch, *parameter_shape)``."""

    def features(self, x: Tensor, context: Tensor | None = None, /) -> Tensor:
        """What the encoder makes of observations ``x (B, *data.shape)``, ``(B, *feature_shape)``."""

    def log_weights(self, x: Tensor, samples: int = 1) -> Tensor:
        """``log p(x|z) + log p(z) - log q(z|x)`` of draws ``z ~ q(z|x)``, ``(samples, B)``, nats."""

    def missing_densities(self) -> str:
        """Why this model bounds no ``log p(x)``, or nothing where it does."""

    def require_densities(self, what: str) -> None:
        """Refuse ``what`` where it is undefined.

        Raises:
            UndefinedError: a part of the model has no density; names it.
        """
