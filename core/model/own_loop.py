"""Training a model in a loop of one's own, or of another library."""

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from genmod.data.dataset import Batch
from genmod.data.sources import as_dataset
from genmod.errors import UsageError
from genmod.interfaces.divergence import Divergence
from genmod.interfaces.model import GenerativeModel
from genmod.interfaces.part import Part
from genmod.model.prepare import prepare_parts
from genmod.options.schedule import Clock

__all__ = ["InOwnLoop"]


class InOwnLoop(GenerativeModel):
    """A model that any loop can train: it is called with a batch and returns its loss.

    :func:`genmod.train` needs none of this.
    """

    _advanced: bool = False
    _prepared: bool = False
    _unfinished: bool = False
    """Whether a loss was computed since the last step was finished."""

    def forward(
        self, x: Tensor, labels: Tensor | None = None, factors: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Loss and named terms of a batch, as Lightning, Accelerate and ``transformers.Trainer`` want them.

        Args:
            x: examples as they are stored, ``(B, *data.shape)``; ``model.suited(data)`` has them of anything else.
            labels: numbers of their classes, ``(B,)``, for a model that is conditioned on them.
            factors: values of their factors, ``(B, number of factors)``, for a model that is conditioned on some.

        Returns:
            ``loss``, ``()``, nats per example; and each term by its name, such as ``elbo``, ``(B,)``, without a gradient.

        Raises:
            UsageError: parts of the model have losses of their own, as critics have, which no single loss can train.

        Example:
            >>> import genmod
            >>> model = genmod.build(encoder="mlp", latent=2)
            >>> made = model(torch.zeros(3, 1, 8, 8))
            >>> made["loss"].shape, made["elbo"].shape
            (torch.Size([]), torch.Size([3]))
        """
        if self.training and torch.is_grad_enabled():
            self._unfinished = True
            self._tell_what_stands_still()
        context = self.context(Batch(x, labels, factors))
        terms = self.terms(x, *([] if context is None else [context]))
        if not isinstance(terms.loss, Tensor):
            raise UsageError(
                f"the model has a loss for each group of its parameters, {', '.join(terms.loss)}; one cannot train them all",
                hint="train it with genmod.train(model, data), or each group by its loss: model.terms(x).loss, model.groups()",
            )
        return {"loss": terms.loss, **{name: value.detach() for name, value in terms.values.items()}}

    def advance(self, step: int, total: int, *, per_epoch: int | None = None) -> None:
        """Finish the step before, and move all schedules to a step: to be called before each, and after the last one.

        What changes with the steps, such as the codebook of posterior ``vq``, is updated where a loss was computed since the
        last call. ``advance(total, total)`` leaves schedules at their final values, for evaluation.

        Args:
            step: optimizer steps done.
            total: steps of the whole run.
            per_epoch: steps in an epoch, for schedules in epochs.

        Raises:
            UsageError: a schedule is longer than the run, or in epochs without ``per_epoch``.

        Example:
            >>> import genmod
            >>> model = genmod.build("beta-vae", encoder="mlp", settings={"objective.beta": "0->4 over 50%"})
            >>> model.advance(25, 100)
            >>> float(model.objective.beta)
            2.0
        """
        if self._unfinished:
            for part in _stepping(self):
                part.after_step()
        self._unfinished, self._advanced = False, True
        for name, schedule in self.schedules():
            if schedule.is_constant:
                continue
            spans = [span.unit for span in (schedule.over, schedule.after) if span is not None]
            if per_epoch is None and "epochs" in spans:
                raise UsageError(
                    f"{name} = '{schedule}' is in epochs, whose length is not known here",
                    hint="say it: model.advance(step, total, per_epoch=len(loader))",
                )
            schedule.check(total, per_epoch or total, name)
            schedule.advance(Clock(step, per_epoch or total, total))

    def prepare(self, data: Any, *, seed: int = 0) -> None:
        """Give parts the training examples that they begin with, such as the components of prior ``vamp``.

        Args:
            data: of which the training split is taken; what :func:`genmod.as_dataset` takes.
            seed: of the choice of examples.

        Raises:
            DataError: the data do not suit the model.
        """
        split = self.suited(as_dataset(data, known=self.data)).split("train")
        prepare_parts(self, split, seed, resumed=False)
        self._prepared = True

    def _tell_what_stands_still(self) -> None:
        if not self._advanced:
            moving = [name for name, schedule in self.schedules() if not schedule.is_constant]
            still = [*moving, *(type(part).__name__ for part in _stepping(self))]
            if still:
                warnings.warn(
                    f"nothing says how far training is, so that these stand still: {', '.join(still)}; call "
                    "model.advance(step, total) before each step",
                    stacklevel=3,
                )
        if not self._prepared:
            wanting = [type(part).__name__ for part in self.modules() if _wants_examples(part)]
            if wanting:
                warnings.warn(
                    f"these were given no training examples: {', '.join(wanting)}; call model.prepare(data) before the first "
                    "step",
                    stacklevel=3,
                )
        # Once is enough.
        self._advanced = self._prepared = True


def _stepping(model: nn.Module) -> Iterator[Part]:
    """Parts that change after each step."""
    for part in model.modules():
        if isinstance(part, Part) and type(part).after_step is not Part.after_step:
            yield part


def _wants_examples(part: nn.Module) -> bool:
    if isinstance(part, Divergence) and type(part).set_dataset_size is not Divergence.set_dataset_size:
        return True
    return isinstance(part, Part) and part.examples_wanted > 0
