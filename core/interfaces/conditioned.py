"""A model together with its context."""

from typing import Any

from torch import Tensor
from torch.distributions import Distribution

from genmod.interfaces.given import GivenModel

__all__ = ["Given", "given_part", "log_weights"]


class Given:
    """A model with its context, used by objectives, metrics and figures like one that has none.

    Args:
        model: the model.
        context: of each example, ``(B, size)``; latents of shape ``(*samples, B, *latent_shape)`` are decoded.
    """

    def __init__(self, model: Any, context: Tensor) -> None:
        self._model, self._context = model, context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode(self, x: Tensor, context: Tensor | None = None) -> Distribution:
        return self._model.encode(x, self._context if context is None else context)

    def decode(self, z: Tensor, context: Tensor | None = None) -> Distribution:
        return self._model.decode(z, self._context if context is None else context)

    def decoded(self, z: Tensor, context: Tensor | None = None) -> tuple[Distribution, Tensor]:
        return self._model.decoded(z, self._context if context is None else context)

    def features(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self._model.features(x, self._context if context is None else context)

    def prior(self, context: Tensor | None = None) -> Distribution:
        return self._model.prior(self._model.conditions_in(self._context if context is None else context))

    def log_weights(self, x: Tensor, samples: int = 1, context: Tensor | None = None) -> Tensor:
        return self._model.log_weights(x, samples, self._context if context is None else context)


def given_part(model: GivenModel, some: slice) -> GivenModel:
    """The model with the contexts of these examples alone; a model that has none as it is."""
    return Given(model._model, model._context[some]) if isinstance(model, Given) else model


def log_weights(model: GivenModel, x: Tensor, samples: int) -> Tensor:
    """Log-weights ``log p(x|z) + log p(z) - log q(z|x)`` of draws ``z ~ q(z|x)``.

    ``x (B, *data.shape) → (samples, B)``, nats.

    Raises:
        UndefinedError: a part of the model has no density.
    """
    model.require_densities("log-weights")
    q = model.encode(x)
    z = q.rsample((samples,))
    return model.decode(z).log_prob(x) + model.prior().log_prob(z) - q.log_prob(z)
