"""The base class of all parts of a model: hooks for the other parts, the data, the steps and the losses of a run."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.distributions import Distribution

from genmod.data.dataset import Batch
from genmod.system.explained import explained

__all__ = ["MAIN", "Draw", "Loss", "ParameterGroup", "Part"]

MAIN = "model"
"""The group of all parameters that belong to no other."""


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters with their own loss, optimizer and gradient clipping.

    Args:
        parameters: the parameters.
        lr: factor of the run's learning rate.
        optimizer: options that differ from those of the run's optimizer; ``name`` chooses another optimizer.
        start: first step in which they are updated, from 0.
        every: steps between two updates.

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
        """Whether they are updated in a step, counted from 0."""
        return step >= self.start and (step - self.start) % self.every == 0


@dataclass(frozen=True)
class Draw:
    """The posterior, latents and likelihood from which an objective computed its loss, for the losses of other parts.

    Args:
        x: observations, ``(B, *data.shape)``.
        q: posterior, ``batch_shape (B,)``.
        z: draws from ``q``, ``(K, B, *latent_shape)``.
        prior: returns the prior of these examples, ``batch_shape ()`` or ``(B,)``.
        likelihood: ``p(x|z)`` of these draws, ``batch_shape (K, B)``, or ``(B,)`` if K is 1.
        parameters: output of the network, ``(*batch_shape, *parameter_shape)``, with its gradient.
        distortion: ``-log p(x|z)`` of each example, averaged over its draws, ``(B,)``, nats.
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
        values: values of each example, ``(B,)``, as they are reported.
        group: name of the parameter group, the only one that it updates.
        weight: weight in the loss of that group, ``()``.
        measures: whether it says how good the model is, as a distance of reconstructions does and what a critic judges does
            not: then it counts in the loss that is logged and by which the weights to keep are chosen.
    """

    values: Tensor
    group: str = MAIN
    weight: Tensor | float = 1.0
    measures: bool = False


@explained
class Part(nn.Module):
    """A part of a model. All methods of this class are optional hooks."""

    examples_wanted: int = 0
    """How many training examples :meth:`prepare` is given; it is not called if this is 0."""

    def bind(self, model: Any) -> None:
        """Called once when the model is complete, in the order in which its parts were made.

        Args:
            model: a :class:`genmod.GivenModel`, whose other parts this one may use. Layers that are made here belong to
                the model. A reference to the model must be kept where torch does not register it, as in a tuple.
        """
        return

    def prepare(self, examples: Tensor) -> None:
        """Called when a run begins, not when it is resumed, with training examples chosen at random.

        Keep what is computed from them in parameters or buffers, which are saved with the model.

        Args:
            examples: :attr:`examples_wanted` examples, or all if there are fewer, as they are stored in the dataset,
                ``(n, *data.shape)``.
        """
        return

    def prepare_batch(self, batch: Batch) -> None:
        """Called in place of :meth:`prepare`, with the same examples and what is known of each, such as its class."""
        self.prepare(batch.x)

    def after_step(self) -> None:
        """Called by the trainer after each step, to update state that changes with the steps; such state is a buffer.

        It is called once a step, also if the batch is computed in parts, and in every process. Statistics of the
        examples of each process are combined here, by :mod:`genmod.system.parallel`.
        """
        return

    def parameter_groups(self) -> Mapping[str, ParameterGroup]:
        """Parameter groups with optimizers of their own, by name; their parameters are taken out of other groups."""
        return {}

    def losses(self, draw: Draw) -> Mapping[str, Loss]:
        """Losses that are added to the objective's, by the name under which they are reported.

        Each updates the parameters of its group alone, so nothing has to be detached or frozen. The mean over examples
        is minimised; values must not depend on the size of the batch.
        """
        return {}
