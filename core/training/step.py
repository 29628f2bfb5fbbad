"""One optimizer step: gradients of all parts of a batch, looked at before they move a weight."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn, optim

from genmod.interfaces.objective import Terms
from genmod.system.random import reseed, seed_for
from genmod.training.distributed import SharedNoise, Team
from genmod.training.nonfinite import all_finite
from genmod.training.settings import TrainSettings

__all__ = ["Stepper"]


class Stepper:
    """Computes the gradients of a step, and moves the weights by them.

    Args:
        terms: loss and terms of stored examples; averages gradients over processes where there are several.
        groups: parameters by the loss that moves them.
        optimizers: one for each group.
        settings: of the run.
        batch_size: examples in a step, over all processes.
        team: the processes.
        device: where noise is drawn.
        warn: called when the step cannot be compiled.

    Raises:
        UsageError: the processes cannot share a batch evenly.
    """

    def __init__(
        self,
        terms: Callable[..., Terms],
        groups: Mapping[str, list[nn.Parameter]],
        optimizers: Mapping[str, optim.Optimizer],
        settings: TrainSettings,
        *,
        batch_size: int,
        team: Team,
        device: torch.device,
        warn: Callable[[str], None],
    ) -> None:
        self.parts = settings.accumulate if batch_size % settings.accumulate == 0 else 1
        self.share = team.share(batch_size // self.parts)
        self._plain_terms, self._terms = terms, terms
        self._groups, self._optimizers, self._settings = groups, optimizers, settings
        self._parameters = [p for group in groups.values() for p in group]
        self._team, self._device, self._warn = team, device, warn
        self._untried = settings.compile
        if settings.compile:
            self._terms = torch.compile(terms)

    def gradients(
        self, step: int, x: Tensor, context: Tensor | None = None
    ) -> tuple[list[tuple[Terms, int]], bool]:
        """Compute the gradients of a step.

        Args:
            step: counted from 0.
            x: the stored examples, of all processes.
            context: what a conditional model is given of them.

        Returns:
            Terms and number of examples of each part, and whether all losses and gradients are finite.
        """
        if not self._untried:
            return self._gradients(step, x, context)
        self._untried = False
        try:
            return self._gradients(step, x, context)
        except Exception as error:
            # Whatever is wrong with the model itself is reported by the plain step.
            self._terms = self._plain_terms
            self.drop()
            result = self._gradients(step, x, context)
            self._warn(
                f"the step cannot be compiled and runs as it is: {str(error).strip().partition(chr(10))[0]}"
            )
            return result

    def move(self, lr: float) -> None:
        """Move the weights by the gradients, and drop these."""
        if self._settings.clip:
            nn.utils.clip_grad_norm_(self._parameters, self._settings.clip)
        for optimizer in self._optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
        self.drop()

    def drop(self) -> None:
        """Drop the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    def _gradients(
        self, step: int, x: Tensor, context: Tensor | None
    ) -> tuple[list[tuple[Terms, int]], bool]:
        done = []
        chunks = x.chunk(self.parts) if self.parts > 1 else (x,)
        contexts = [None] * len(chunks) if context is None else context.chunk(len(chunks))
        for part, (whole, told) in enumerate(zip(chunks, contexts, strict=True)):
            mine, mine_told = whole[self.share], None if told is None else told[self.share]
            with self._noise(step * self.parts + part, len(whole)), self._averaging(part == len(chunks) - 1):
                terms = self._terms(mine) if mine_told is None else self._terms(mine, mine_told)
                self._backward(terms, 1 / len(chunks))
            done.append((terms, len(mine)))
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        if not isinstance(terms.loss, Tensor):
            self._team.average(gradients)
        return done, all_finite([terms.total for terms, _ in done], gradients)

    @contextmanager
    def _noise(self, count: int, whole: int) -> Iterator[None]:
        """The noise of a part of a step, for the whole batch whatever the number of processes."""
        seed = seed_for(self._settings.seed, "noise", count)
        if self._team.size == 1:
            reseed(seed)
            yield
            return
        reseed(seed_for(seed, "process", self._team.rank))
        with SharedNoise(seed, self._device, self.share, whole):
            yield

    def _averaging(self, last: bool) -> AbstractContextManager[None]:
        """Gradients are averaged over processes once a step."""
        if not last and isinstance(self._plain_terms, nn.parallel.DistributedDataParallel):
            return self._plain_terms.no_sync()
        return nullcontext()

    def _backward(self, terms: Terms, scale: float) -> None:
        """Each group's gradients from its own loss."""
        if isinstance(terms.loss, Tensor):
            (terms.loss if scale == 1 else terms.loss * scale).backward()  # type: ignore[no-untyped-call]
            return
        for i, (name, loss) in enumerate(terms.loss.items()):
            group = self._groups[name]
            last = i == len(terms.loss) - 1
            gradients = torch.autograd.grad(loss * scale, group, retain_graph=not last, allow_unused=True)
            for parameter, gradient in zip(group, gradients, strict=True):
                if gradient is not None:
                    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
