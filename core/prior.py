"""Priors: the distribution of latents before any data are seen."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import nn
from torch.distributions import Distribution
from torch.distributions.constraints import Constraint

if TYPE_CHECKING:
    from genmod.model import LatentVariableModel

__all__ = ["Prior"]


class Prior(nn.Module, ABC):
    """A distribution ``p(z)``, fixed or learned.

    ``() → Distribution`` with ``batch_shape ()`` and ``event_shape latent_shape``.

    The laws: draws lie in :attr:`support`, the density is normalised over it and agrees with the draws.

    Args:
        latent_shape: shape of one latent, as the posterior makes it.
    """

    support: Constraint | None
    """Where latents lie, event dimensions included; None where there is no distribution at all."""

    has_density: bool = True
    """Whether ``log p(z)`` exists; a model whose prior has none cannot be sampled."""

    def __init__(self, latent_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.latent_shape = latent_shape

    @abstractmethod
    def forward(self) -> Distribution:
        """``p(z)``, ``batch_shape ()``, ``event_shape latent_shape``.

        Raises:
            UndefinedError: there is no distribution; the hint says what to do instead.
        """

    def bind(self, model: "LatentVariableModel") -> None:
        """Called once when the model is complete, for a prior that is made of other parts of it."""
        return
