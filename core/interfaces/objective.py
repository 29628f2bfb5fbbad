"""Objectives: the loss that is minimised, and the named terms that are reported."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from genmod.interfaces.given import GivenModel
from genmod.interfaces.part import MAIN, Draw, Part
from genmod.system.explained import explained

__all__ = ["Objective", "Terms"]


@dataclass(frozen=True)
class Terms:
    """Loss and named terms of a batch.

    Args:
        loss: the loss that is differentiated, ``()``, nats per data point; or one for each parameter group of
            :meth:`Objective.groups`, which updates that group alone.
        values: named values of each example, each ``(B,)``, nats. ``elbo`` is the bound on ``log p(x)`` itself, never
            a surrogate.
        watch: value that is logged as the loss and selects the best weights, ``()``; by default the loss, or the first
            of several.
        draw: posterior, latents and likelihood of the batch, see :attr:`Objective.hands_out_draws`.
    """

    loss: Tensor | Mapping[str, Tensor]
    values: Mapping[str, Tensor] = field(default_factory=dict)
    watch: Tensor | None = None
    draw: Draw | None = None

    @property
    def total(self) -> Tensor:
        """The value that is logged and selects the best weights, ``()``."""
        if self.watch is not None:
            return self.watch
        return self.loss if isinstance(self.loss, Tensor) else next(iter(self.loss.values()))


@explained
class Objective(Part, ABC):
    """The loss that training minimises.

    The laws: repeating the examples of a batch does not change the loss; training and validation use the same loss;
    only the trainer advances schedules among its options.
    """

    uses_divergence: bool = True
    """Whether the loss has the divergence in it; if not, a model with a divergence is refused."""

    needs_densities: bool = False
    """Whether posterior, prior and likelihood must all have densities."""

    hands_out_draws: bool = False
    """Whether its :class:`Terms` have a :class:`Draw`, which other parts need to add losses."""

    @abstractmethod
    def forward(self, model: GivenModel, x: Tensor) -> Terms:
        """Loss and named terms of observations ``x (B, *data_shape)``, which the decoder's ``observe`` has returned."""

    def groups(self, model: GivenModel) -> Mapping[str, Iterable[nn.Parameter]]:
        """Parameter groups by name; each has its own optimizer, and its own loss if :class:`Terms` has several."""
        return {MAIN: model.parameters()}

    def check(self, model: GivenModel) -> None:
        """Called when the model is complete, before anything is trained.

        Args:
            model: may be on the ``meta`` device; tensors that are tried on it are made on ``model.device``.

        Raises:
            UsageError: the objective cannot train this model; the hint says what to choose instead.
        """
        return
