"""Objectives: what is minimised, and the named terms that are reported."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from genmod.interfaces.given import GivenModel
from genmod.interfaces.part import MAIN, Draw, Part

__all__ = ["Objective", "Terms"]


@dataclass(frozen=True)
class Terms:
    """What an objective says about a batch.

    Args:
        loss: the number whose gradient is followed, ``()``, nats per data point; or one for each group of
            parameters of :meth:`Objective.groups`, each followed by its own group alone.
        values: named values of each example, each ``(B,)``, nats; ``elbo`` is a bound on ``log p(x)``, so its
            value is reported, never a surrogate.
        watch: what is logged as the loss and chooses the best weights, ``()``; without, the loss, or the first of them.
        draw: what was drawn, see :attr:`Objective.hands_out_draws`.
    """

    loss: Tensor | Mapping[str, Tensor]
    values: Mapping[str, Tensor] = field(default_factory=dict)
    watch: Tensor | None = None
    draw: Draw | None = None

    @property
    def total(self) -> Tensor:
        """The number that is logged and watched, ``()``."""
        if self.watch is not None:
            return self.watch
        return self.loss if isinstance(self.loss, Tensor) else next(iter(self.loss.values()))


class Objective(Part, ABC):
    """What training minimises.

    The laws: the loss does not depend on the size of the batch when examples are repeated; training and
    validation use the same one; every schedule among its options is moved by the trainer alone.
    """

    uses_divergence: bool = True
    """Whether the divergence takes part; a model that has one is refused otherwise."""

    needs_densities: bool = False
    """Whether posterior, prior and likelihood must all have densities."""

    hands_out_draws: bool = False
    """Whether its :class:`Terms` have a :class:`Draw`, without which no other part can add a loss."""

    @abstractmethod
    def forward(self, model: GivenModel, x: Tensor) -> Terms:
        """Loss and named terms of the observations ``x (B, *data_shape)``, as made by the decoder's ``observe``."""

    def groups(self, model: GivenModel) -> Mapping[str, Iterable[nn.Parameter]]:
        """Parameters by group; each group has its own optimizer, and its own loss where :class:`Terms` gives several."""
        return {MAIN: model.parameters()}

    def check(self, model: GivenModel) -> None:
        """Called once when the model is complete, before anything is trained.

        Raises:
            UsageError: the parts of the model cannot be trained this way; says what to choose instead.
        """
        return
