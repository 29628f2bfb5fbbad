"""Priors: the distribution of latents before any data are seen."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.distributions import Distribution
from torch.distributions.constraints import Constraint

if TYPE_CHECKING:
    from genmod.model.latent_variable import LatentVariableModel

__all__ = ["Prior"]


class Prior(nn.Module, ABC):
    """A distribution ``p(z)``, fixed or learned.

    ``() → Distribution`` with ``batch_shape ()`` and ``event_shape latent_shape``; of a conditional model,
    ``context (B, size) → Distribution`` with ``batch_shape (B,)``, see :attr:`wants_context`.

    The laws: draws lie in :attr:`support`, the density is normalised over it and agrees with the draws.

    Args:
        latent_shape: shape of one latent, as the posterior makes it.
    """

    support: Constraint | None
    """Where latents lie, event dimensions included; None where there is no distribution at all."""

    has_density: bool = True
    """Whether ``log p(z)`` exists; a model whose prior has none cannot be sampled."""

    wants_context: bool = False
    """Whether it depends on the conditions of a conditional model: its constructor then takes, after
    ``latent_shape``, the length of their vector, 0 where there are none, and ``forward`` takes the vectors,
    ``(*batch, size) → batch_shape batch``, or None."""

    examples_wanted: int = 0
    """How many training examples :meth:`prepare` is to be given; it is not called where there are none."""

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

    def prepare(self, examples: Tensor) -> None:
        """Called when a run begins, not when it is resumed, with training examples chosen at random.

        What is taken from them belongs into parameters or buffers, which are saved with the model.

        Args:
            examples: :attr:`examples_wanted` of them, or all where there are fewer, stored as the dataset has them,
                ``(n, *data.shape)``.
        """
        return
