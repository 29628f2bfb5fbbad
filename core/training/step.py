"""One optimizer step: gradients of all parts of a batch, checked before the weights are updated."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn, optim

from genmod.errors import UsageError
from genmod.interfaces.objective import Terms
from genmod.interfaces.part import ParameterGroup
from genmod.system.random import reseed, seed_for
from genmod.training.checkpoint import Checkpoint
from genmod.training.compilation import Compilation
from genmod.training.distributed import Team
from genmod.training.faded import EVERY, drop_faded
from genmod.training.groups import moved_by
from genmod.training.late_check import LateCheck, may_look_late
from genmod.training.nonfinite import Buffers, all_finite
from genmod.training.settings import TrainSettings
from genmod.training.shared_noise import SharedNoise, Unrehearsed

__all__ = ["Stepper"]


def _detached(terms: Terms) -> Terms:
    """The numbers of terms, without what they were computed from."""
    loss = terms.loss
    return Terms(
        loss.detach() if isinstance(loss, Tensor) else {name: each.detach() for name, each in loss.items()},
        {name: each.detach() for name, each in terms.values.items()},
        None if terms.watch is None else terms.watch.detach(),
    )


class Stepper:
    """Computes the gradients of a step, and updates the weights.

    Args:
        terms: loss and terms of stored examples; averages gradients if there are several processes.
        groups: parameter groups by name.
        optimizers: one for each group.
        settings: of the run.
        batch_size: examples in a step, over all processes.
        team: the processes.
        device: device of the random numbers.
        total: steps of the run.
        warn: called with what is said of compiling.
        found: the checkpoint that the run goes on from.

    Attributes:
        late: notes on the device whether steps are finite; None where that is waited for.

    Raises:
        UsageError: a batch cannot be shared evenly among the processes.
    """

    def __init__(
        self,
        terms: Callable[..., Terms],
        groups: Mapping[str, ParameterGroup],
        optimizers: Mapping[str, optim.Optimizer],
        settings: TrainSettings,
        *,
        batch_size: int,
        team: Team,
        device: torch.device,
        total: int,
        warn: Callable[[str], None],
        found: Checkpoint | None = None,
    ) -> None:
        self.parts = settings.accumulate if batch_size % settings.accumulate == 0 else 1
        self.share = team.share(batch_size // self.parts)
        self._plain_terms = terms
        self._groups, self._optimizers, self._settings = groups, optimizers, settings
        self._parameters = [p for group in groups.values() for p in group.parameters]
        self._team = team
        whole = batch_size // self.parts
        self._noise = SharedNoise(self.share, whole, device) if team.size > 1 else None
        how = dict[str, Any](total=total, device=device, team=team, warn=warn)
        decided = None if found is None else found.state.get("compilation")
        self._compilation = Compilation(terms, settings.compile, **how, found=decided)
        late = may_look_late(device, optimizers)
        self.late = LateCheck(device, together=team.size > 1) if late else None

    def state(self) -> dict[str, Any]:
        """What a resumed run needs to know of it, as plain data for a checkpoint."""
        return {"compilation": self._compilation.state()}

    def gradients(
        self, step: int, x: Tensor, context: Tensor | None = None
    ) -> tuple[list[tuple[Terms, int]], bool]:
        """Compute the gradients of a step.

        Args:
            step: counted from 0.
            x: the stored examples, of all processes.
            context: their conditions, for a conditional model.

        Returns:
            Terms and number of examples of each part, and whether all losses and gradients are finite; where :attr:`late`
            notes that, true.
        """
        return self._compilation.run(step, lambda: self._gradients(step, x, context), self.drop)

    @property
    def terms(self) -> Callable[..., Terms]:
        """What computes the loss and the terms now."""
        return self._compilation.terms

    def tried(self, step: int, compute: Callable[[], Tensor]) -> Tensor:
        """What ``compute`` returns; without compiling, where that is impossible."""
        return self._compilation.run(step, compute, self.drop)

    def whole(self, *given: Tensor, lr: Tensor) -> Terms:
        """A step of one part in one process in which every group moves, from what the generator gives next.

        Args:
            given: the stored examples, and their conditions, for a conditional model.
            lr: the learning rate, ``()``.
        """
        assert self.late is not None
        terms = self.terms(*given)
        self._backward(terms, 1.0, 0)
        self.late.see([terms.total], [p.grad for p in self._parameters if p.grad is not None])
        self.move(0, lr)
        return terms

    def recordable(self) -> bool:
        """Whether each step does the same as the last one."""
        groups = self._groups.values()
        alone = self._team.size == 1 and self.parts == 1 and self.late is not None
        return alone and all(group.every == 1 and not group.start for group in groups)

    def capturable(self) -> None:
        """Tell the optimizers that they are going to be recorded."""
        for optimizer in self._optimizers.values():
            for group in optimizer.param_groups:
                if "capturable" in group:
                    group["capturable"] = True

    def move(self, step: int, lr: float | Tensor) -> int:
        """Move the weights of the groups whose turn it is by their gradients, each clipped alone, and drop these.

        Returns:
            How many groups were left as they are, since their gradient was too large; where :attr:`late` counts them, 0.
        """
        skipped = 0
        for name, optimizer in self._optimizers.items():
            group = self._groups[name]
            if not group.moves(step):
                continue
            if self.late is not None:
                stays = (
                    self.late.stays(self._norm(group), self._settings.skip)
                    if self._settings.skip
                    else self.late.stopped
                )
                optimizer.found_inf = stays  # type: ignore[attr-defined]
            elif self._settings.skip and float(self._norm(group)) > self._settings.skip:
                skipped += 1
                continue
            if self._settings.clip:
                nn.utils.clip_grad_norm_(group.parameters, self._settings.clip)
            for each in optimizer.param_groups:
                each["lr"] = lr * group.lr
            optimizer.step()
        # Counted from the first step of the run, so that a resumed one does the same.
        if step % EVERY == EVERY - 1:
            drop_faded(self._optimizers.values())
        self.drop()
        return skipped

    def _norm(self, group: ParameterGroup) -> Tensor:
        """Norm of the gradient of a group; the same in all processes."""
        gradients = [p.grad for p in group.parameters if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        return norm.full_tensor() if hasattr(norm, "full_tensor") else norm

    @property
    def stopped(self) -> Tensor | None:
        """Whether a step was not finite, noted on the device, ``()``; None where that is known at once."""
        return None if self.late is None else self.late.stopped

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
        for i, (part, given) in enumerate(zip(chunks, contexts, strict=True)):
            last = i == len(chunks) - 1
            terms = self._part(step * self.parts + i, part, given, 1 / len(chunks), last=last)
            if not last:
                # What is reported keeps no activations while the next part is computed.
                terms = _detached(terms)
            done.append((terms, self.share.stop - self.share.start))
        self._check_streams(step)
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        if not isinstance(terms.loss, Tensor):
            self._team.average(gradients)
        losses = [terms.total for terms, _ in done]
        if self.late is None:
            return done, all_finite(losses, gradients)
        self.late.see(losses, gradients)
        return done, True

    def _part(self, count: int, x: Tensor, context: Tensor | None, scale: float, *, last: bool) -> Terms:
        """Terms of this process's share of a part of a batch, with their gradients."""
        given = [each for each in (x, context) if each is not None]
        mine = given if self._noise is None else [each[self.share] for each in given]
        if self._noise is not None and not self._noise.rehearsed:
            self._rehearse(x, context)
        for attempt in range(2):
            reseed(seed_for(self._settings.seed, "noise", count))
            try:
                with self._noise or nullcontext(), self._averaging(last):
                    terms: Terms = self._compilation.terms(*mine)
                    self._backward(terms, scale, count // self.parts)
                return terms
            except Unrehearsed:
                if attempt:
                    raise UsageError(
                        "random numbers of this model cannot be shared among processes: its random operations change "
                        "from one computation of a step to the next",
                        hint="train in one process",
                    ) from None
                self._rehearse(x, context)
        raise AssertionError

    def _rehearse(self, x: Tensor, context: Tensor | None) -> None:
        """Record the random operations of a step computed with another number of examples; buffers are restored."""
        terms = self._plain_terms
        # Not through DistributedDataParallel, which would wait for the backward pass.
        plain = terms.module if isinstance(terms, nn.parallel.DistributedDataParallel) else terms
        assert self._noise is not None
        assert isinstance(plain, nn.Module)
        buffers = Buffers(plain)
        buffers.keep()
        with self._noise.rehearsing(plain) as count, torch.set_grad_enabled(plain is not terms):
            some = torch.arange(count, device=x.device) % len(x)
            plain(*(each[some] for each in (x, context) if each is not None))
        buffers.put_back()

    def _check_streams(self, step: int) -> None:
        """Check, in some of the steps, that the generators of all processes have the same state.

        Raises:
            UsageError: they differ.
        """
        if self._noise is None or (step & (step - 1) and step % 64):
            return
        mark = self._noise.mark()
        high, low = self._team.largest(mark, -mark)
        if high != -low:
            raise UsageError(
                "the processes have drawn different amounts of random numbers: a component draws in a loop whose length "
                "depends on the draws",
                hint="train in one process; or repeat that loop while genmod.system.any_process(condition) is true",
            )

    def _averaging(self, last: bool) -> AbstractContextManager[None]:
        """Context in which gradients are averaged over processes only in the last part of a step."""
        if not last and isinstance(self._plain_terms, nn.parallel.DistributedDataParallel):
            return self._plain_terms.no_sync()
        return nullcontext()

    def _backward(self, terms: Terms, scale: float, step: int) -> None:
        """Compute the gradients of each parameter group from its loss; groups without one take the first loss."""
        if isinstance(terms.loss, Tensor):
            (terms.loss if scale == 1 else terms.loss * scale).backward()  # type: ignore[no-untyped-call]
            return
        moved = moved_by(terms.loss, self._groups, step)
        due = [name for name in moved if terms.loss[name].requires_grad]
        for name in due:
            loss, parameters = terms.loss[name] * scale, moved[name]
            retain = name != due[-1]
            gradients = torch.autograd.grad(loss, parameters, retain_graph=retain, allow_unused=True)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
