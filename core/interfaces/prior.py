"""Priors: the distribution of latents before any data are seen."""

import functools
import inspect
from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor
from torch.distributions import Distribution
from torch.distributions.constraints import Constraint

from genmod.interfaces.part import Part
from genmod.system.explained import explained

__all__ = ["Prior"]


@explained
class Prior(Part, ABC):
    """A distribution ``p(z)``, fixed or learned.

    ``context (B, size) or None → Distribution`` with ``event_shape latent_shape`` and ``batch_shape ()``, or ``(B,)``
    of a prior that depends on the context, see :attr:`wants_context`.

    The laws: draws lie in :attr:`support`, the density is normalised over it and agrees with the draws.

    Args:
        latent_shape: shape of one latent, as the posterior makes it.
    """

    support: Constraint | None
    """Where latents lie, event dimensions included; None where there is no distribution at all."""

    has_density: bool = True
    """Whether ``log p(z)`` exists; a model whose prior has none cannot be sampled."""

    wants_context: bool = False
    """Whether it depends on the context of a conditional model. Its constructor is then given, after
    ``latent_shape``, the length of a context, 0 of a model that is not conditional."""

    group_sizes: tuple[int, ...] = ()
    """Sizes of the groups of latents that it draws one after the other, in that order; empty of a prior without groups."""

    def __init__(self, latent_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.latent_shape = latent_shape

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of what :meth:`features` makes of one latent."""
        return self.latent_shape

    def features(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """What the network below the decoder is given in place of latents: these, unless the prior computes more on its way.

        Args:
            z: latents, ``(B, *latent_shape)``.
            context: what a conditional model was given of each, ``(B, size)``.

        Returns:
            ``(B, *feature_shape)``; of an example it depends on its latents and its context alone.
        """
        return z

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let a ``forward(self)`` without a context, as priors had it before, be called with one."""
        super().__init_subclass__(**kwargs)
        forward = cls.__dict__.get("forward")
        if forward is not None and len(inspect.signature(forward).parameters) == 1:
            cls.forward = functools.wraps(forward)(lambda self, context=None: forward(self))  # type: ignore[method-assign]

    @abstractmethod
    def forward(self, context: Tensor | None = None) -> Distribution:
        """``p(z)``, ``event_shape latent_shape``.

        Args:
            context: what a conditional model was given of each example, ``(*batch, size)``; only a prior that depends
                on it has ``batch_shape batch``, every other ``()``.

        Raises:
            UndefinedError: there is no distribution; the hint says what to do instead.
        """
