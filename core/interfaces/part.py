"""What the parts of a model have in common: how they learn of each other, of the data and of the steps of a run."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.distributions import Distribution

__all__ = ["MAIN", "Draw", "Loss", "ParameterGroup", "Part"]

MAIN = "model"
"""The group of all parameters that belong to no other."""


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that are moved and clipped by themselves, by losses of their own.

    Args:
        parameters: which.
        lr: factor of the run's learning rate.
        optimizer: options of the run's optimizer that differ; ``name`` chooses another.
        start: first step in which they are moved, from 0.
        every: they are moved once in so many steps.

    Example:
        >>> group = ParameterGroup((), start=2, every=3)
        >>> [step for step in range(9) if group.moves(step)]
        [2, 5, 8]
    """

    parameters: Iterable[nn.Parameter]
    lr: float = 1.0
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    start: int = 0
    every: int = 1

    def __iter__(self) -> Iterator[nn.Parameter]:
        return iter(self.parameters)

    def moves(self, step: int) -> bool:
        """Whether they are moved in a step, counted from 0."""
        return step >= self.start and (step - self.start) % self.every == 0


@dataclass(frozen=True)
class Draw:
    """What an objective drew to compute its loss, for the losses of other parts.

    Args:
        x: observations, ``(B, *data.shape)``.
        q: posterior, ``batch_shape (B,)``.
        z: draws of it, ``(K, B, *latent_shape)``.
        prior: makes the prior of these examples, ``batch_shape ()`` or ``(B,)``.
        likelihood: of these draws, ``batch_shape (K, B)``, or ``(B,)`` where K is 1.
        parameters: what the network put out for it, ``(*batch_shape, *parameter_shape)``, with its gradient.
        distortion: of each example, ``-log p(x|z)`` on average over its draws, ``(B,)``, nats.
    """

    x: Tensor
    q: Distribution
    z: Tensor
    prior: Callable[[], Distribution]
    likelihood: Distribution
    parameters: Tensor
    distortion: Tensor


@dataclass(frozen=True)
class Loss:
    """A loss that a part adds to those of the objective.

    Args:
        values: of each example, ``(B,)``, as they are reported.
        group: of parameters, which alone it moves.
        weight: in the loss of that group, ``()``.
    """

    values: Tensor
    group: str = MAIN
    weight: Tensor | float = 1.0


class Part(nn.Module):
    """A part of a model. All that it can do beside its own task is here, and none of it need be done."""

    examples_wanted: int = 0
    """How many training examples :meth:`prepare` is to be given; it is not called where there are none."""

    def bind(self, model: Any) -> None:
        """Called once when the model is complete, in the order in which its parts were made.

        Args:
            model: a :class:`genmod.GivenModel`, whose other parts this one uses. What is made here of layers is part of
                the model; the model itself must be kept where torch does not look for layers, as in a tuple.
        """
        return

    def prepare(self, examples: Tensor) -> None:
        """Called when a run begins, not when it is resumed, with training examples chosen at random.

        What is taken from them belongs into parameters or buffers, which are saved with the model.

        Args:
            examples: :attr:`examples_wanted` of them, or all where there are fewer, stored as the dataset has them,
                ``(n, *data.shape)``.
        """
        return

    def after_step(self) -> None:
        """Called by the trainer after each of its steps, for what moves with them; such state is a buffer.

        Once a step, however many parts its batch has, and by every process; what a process has seen of its own examples
        is put together here, by :mod:`genmod.system.parallel`.
        """
        return

    def parameter_groups(self) -> Mapping[str, ParameterGroup]:
        """Parameters with an optimizer of their own, by group; they are taken out of the group that they were in."""
        return {}

    def losses(self, draw: Draw) -> Mapping[str, Loss]:
        """Losses beside the objective's, by the name under which they are reported.

        Each moves the parameters of its group alone, so that nothing has to be detached or frozen. Values do not depend
        on the size of the batch; the mean over examples is what is minimised.
        """
        return {}
