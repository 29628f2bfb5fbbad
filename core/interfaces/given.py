"""The model interface for objectives, priors and metrics: a model with its context, or one that needs none."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from genmod.data.conditions import Conditions
from genmod.data.dataset import Batch, DataInfo
from genmod.data.suited import Data
from genmod.distributions.support import Space
from genmod.interfaces.decoder import Decoder
from genmod.interfaces.divergence import Divergence
from genmod.interfaces.encoder import Encoder
from genmod.interfaces.network import Network
from genmod.interfaces.observations import Observations
from genmod.interfaces.posterior import Posterior
from genmod.spec import ModelSpec

__all__ = ["GivenModel", "WholeModel"]


class GivenModel(Protocol):
    """A latent-variable model with its context.

    An unconditional :class:`genmod.LatentVariableModel` is one; for a conditional model, ``model.given(context)``
    returns one. Its ``encode(x)``, ``decode(z)`` and ``prior()`` need no context, so code for this class works with
    both.

    Example:
        >>> import genmod
        >>> def elbo(model: GivenModel, x: Tensor) -> Tensor:
        ...     return model.log_weights(x, samples=10).mean(0)
        >>> elbo(genmod.build(encoder="mlp", latent=2), torch.zeros(3, 1, 8, 8)).shape
        torch.Size([3])
    """

    @property
    def spec(self) -> ModelSpec:
        """The specification that it was assembled from."""

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
        """The latent space: the support of the latents and its structure."""

    @property
    def encoder(self) -> Encoder:
        """The encoder of the model."""

    @property
    def posterior(self) -> Posterior:
        """The posterior of the model."""

    @property
    def prior(self) -> Callable[..., Distribution]:
        """``p(z)`` of ``batch_shape ()``, or ``p(z|context)`` of ``batch_shape (B,)``."""

    @property
    def network(self) -> Network:
        """The network of the model."""

    @property
    def decoder(self) -> Decoder:
        """The decoder of the model."""

    @property
    def divergence(self) -> Divergence:
        """The divergence of the model."""

    @property
    def has_latents(self) -> bool:
        """Whether it is a latent-variable model, of which alone this protocol is true in full."""

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the parameters."""

    def conditions_in(self, context: Tensor | None, /) -> Tensor | None:
        """The conditions in a context, ``(*batch, size of the conditions)``; None for a model that is not conditional."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """The parameters of all parts."""

    def encode(self, x: Tensor, context: Tensor | None = None, /) -> Distribution:
        """``q(z|x)`` of observations ``x (B, *data.shape)``, ``batch_shape (B,)``, ``event_shape latent_shape``."""

    def decode(self, z: Tensor, context: Tensor | None = None, /) -> Distribution:
        """``p(x|z)`` of latents ``z (*batch, *latent_shape)``, ``batch_shape batch``, ``event_shape data.shape``."""

    def decoded(self, z: Tensor, context: Tensor | None = None, /) -> tuple[Distribution, Tensor]:
        """``p(x|z)`` as from :meth:`decode`, and the output of the network, ``(*batch, *parameter_shape)``."""

    def features(self, x: Tensor, context: Tensor | None = None, /) -> Tensor:
        """The encoder's features of observations ``x (B, *data.shape)``, ``(B, *feature_shape)``."""

    def log_weights(self, x: Tensor, samples: int = 1, context: Tensor | None = None) -> Tensor:
        """Log-weights ``log p(x|z) + log p(z) - log q(z|x)`` of draws ``z ~ q(z|x)``, ``(samples, B)``, nats."""

    def missing_densities(self) -> str:
        """Why this model has no bound on ``log p(x)``; empty if it has one."""

    def require_densities(self, what: str) -> None:
        """Refuse the quantity ``what`` if it needs a density that the model lacks.

        Raises:
            UndefinedError: a part of the model has no density; the message names it.
        """


class WholeModel(GivenModel, Protocol):
    """A latent-variable model with what it makes of data: what :class:`genmod.LatentVariableModel` is, without its class."""

    @property
    def exact(self) -> bool:
        """Whether its log-weights are ``log p(x)`` itself."""

    @property
    def observations(self) -> Observations | None:
        """What its densities are of."""

    def given(self, context: Tensor | None) -> GivenModel:
        """The model given the context of a batch."""

    def context(self, batch: Batch) -> Tensor | None:
        """What parts of the model are given of examples beside their values, ``(B, size)``, or None."""

    def observe(self, x: Tensor) -> Tensor:
        """Stored examples as they are encoded and scored, ``(B, *data.shape)``."""

    def suited(self, data: Data) -> Data:
        """Data in the terms of the model."""

    def modules(self) -> Iterator[nn.Module]:
        """The model and all of its parts."""

    def eval(self) -> Any:
        """Put it in evaluation mode."""
