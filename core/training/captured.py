"""Steps that are recorded once, as a CUDA graph, and then replayed: the program starts one thing a step, not hundreds.

Small models leave a GPU waiting for the program. All steps of a run have the same shapes, so the operations of one, from
the loss to the optimizer, can be recorded and replayed on other examples, with other random numbers and another learning
rate: these lie in tensors, and in the generator, whose seed a replay reads when it begins. The random numbers are those of
the step when it is not recorded, since operations take them at the same places of the same stream.

What a program decides in Python is recorded as it was: so parts with a state of their own between steps, critics with steps
of their own, parts of batches, and several processes are not recorded, and a schedule only once it has come to its end.
What cannot be recorded runs as it is, with a warning. A recording is used only after it has given the loss of the step that
is not recorded, for other examples and other random numbers.
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from genmod.interfaces.objective import Terms
from genmod.options.schedule import Schedule
from genmod.system.random import reseed, seed_for
from genmod.training.nonfinite import Buffers
from genmod.training.step import Stepper

__all__ = ["CapturedSteps", "CudaGraph", "Recording"]

_WARM = 3
"""Steps before the recording: libraries begin, and optimizers make their state."""
_TOLERANCE = 1e-3


class Recording(Protocol):
    """Something that records what a function does on a device, and does it again."""

    def warm(self, body: Callable[[], Any]) -> Any:
        """Call it as it is, where it is going to be recorded."""

    def record(self, body: Callable[[], Any]) -> Any:
        """Record it; its results hold values after the first replay."""

    def replay(self) -> None:
        """Do again what was recorded."""


class CudaGraph:
    """A recording by ``torch.cuda.CUDAGraph``."""

    def __init__(self) -> None:
        self._graph, self._stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()

    def warm(self, body: Callable[[], Any]) -> Any:
        """Call it on the stream of the recording, in its turn."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            made = body()
        torch.cuda.current_stream().wait_stream(self._stream)
        return made

    def record(self, body: Callable[[], Any]) -> Any:
        """Record it; nothing is computed."""
        with torch.cuda.graph(self._graph, stream=self._stream):
            return body()

    def replay(self) -> None:
        """Compute what was recorded."""
        self._graph.replay()


class CapturedSteps:
    """The steps of a run, from the loss to the optimizer, recorded where that is possible.

    Args:
        stepper: of the run; it notes on the device whether steps are finite.
        model: that is trained.
        buffers: that each step keeps.
        seed: of the run.
        moving: schedules that move; steps are recorded once they have come to their end.
        warn: called where steps cannot be recorded.
        recording: makes one.
    """

    def __init__(
        self,
        stepper: Stepper,
        model: nn.Module,
        buffers: Buffers,
        seed: int,
        moving: list[Schedule],
        warn: Callable[[str], None],
        recording: Callable[[], Recording] = CudaGraph,
    ) -> None:
        self._stepper, self._model, self._buffers, self._seed = stepper, model, buffers, seed
        self._moving, self._warn, self._recording = moving, warn, recording()
        self._x, self._context, self._lr = torch.empty(0), torch.empty(0), torch.empty(0)
        self._warmed, self._ready, self._off = 0, False, False
        self._names: list[str] = []
        self._sizes: list[int] = []
        self._made = torch.empty(0)

    @property
    def now(self) -> bool:
        """Whether the next step is one of these."""
        return not self._off and all(float(each) == each.final for each in self._moving)

    def run(
        self, step: int, x: Tensor, context: Tensor | None, lr: float
    ) -> tuple[list[tuple[Terms, int]], bool] | None:
        """A whole step: what :meth:`Stepper.gradients` returns; None, and nothing is done, where it is not one of these.

        Args:
            step: counted from 0.
            x: the stored examples.
            context: their conditions, for a conditional model.
            lr: the learning rate.
        """
        if not self.now:
            return None
        self._fill(x, context, lr)
        if not self._ready and self._warmed >= _WARM:
            self._record(step)
        self._reseed(step)
        if self._ready:
            self._recording.replay()
        elif self._off:
            self._made = self._body()
        else:
            self._made = self._recording.warm(lambda: self._stepper.tried(step, lambda: self._seeded(step)))
            self._warmed += 1
        return [(self._terms(), len(x))], True

    def _fill(self, x: Tensor, context: Tensor | None, lr: float) -> None:
        if self._x.shape != x.shape:
            self._x, self._lr = x.clone(), torch.empty((), device=x.device)
            self._context = x.new_empty(0) if context is None else context.clone()
        self._x.copy_(x)
        if context is not None:
            self._context.copy_(context)
        self._lr.fill_(lr)

    @property
    def _given(self) -> tuple[Tensor, ...]:
        return (self._x, self._context) if self._context.numel() else (self._x,)

    def _body(self) -> Tensor:
        """What is recorded: all that a step does on the device. Its terms, one after the other."""
        self._buffers.keep(self._stepper.stopped)
        terms = self._stepper.whole(*self._given, lr=self._lr)
        self._names = list(terms.values)
        values = [terms.total.detach(), *(value.detach() for value in terms.values.values())]
        self._sizes = [value.numel() for value in values]
        return torch.cat([value.reshape(-1) for value in values])

    def _seeded(self, step: int) -> Tensor:
        """The same; what is tried again after a failure draws what it would have drawn."""
        self._reseed(step)
        return self._body()

    def _terms(self) -> Terms:
        # The next replay writes where this one wrote.
        total, *values = self._made.clone().split(self._sizes)
        return Terms(total[0], dict(zip(self._names, values, strict=True)))

    def _record(self, step: int) -> None:
        try:
            self._stepper.capturable()
            self._made = self._recording.record(self._body)
            why = self._difference(step)
        except Exception as error:
            why = str(error).strip().partition("\n")[0]
            self._stepper.drop()
        self._ready, self._off = not why, bool(why)
        if why:
            self._warn(f"steps cannot be recorded as a CUDA graph, and run as they are: {why}")

    def _difference(self, step: int) -> str:
        """How the recording differs from the step, in the loss of two batches; empty where it does not. Nothing moves."""
        assert self._stepper.stopped is not None
        stopped, before = self._stepper.stopped.clone(), Buffers(self._model)
        before.keep()
        x = self._x.clone()
        try:
            # With the flag of a bad step, a replay computes everything and moves nothing.
            self._stepper.stopped.fill_(1)
            for turn in (1, 2):
                self._x.copy_(x.roll(turn, 0))
                self._reseed(step + turn)
                plain = float(self._stepper.terms(*self._given).total.detach())
                before.put_back()
                self._reseed(step + turn)
                self._recording.replay()
                before.put_back()
                found = float(self._made[0])
                if abs(found - plain) > _TOLERANCE * (1 + abs(plain)):
                    return f"replayed, a step has the loss {found:.6g}, and {plain:.6g} as it is"
        finally:
            self._stepper.stopped.copy_(stopped)
            self._x.copy_(x)
        return ""

    def _reseed(self, step: int) -> None:
        reseed(seed_for(self._seed, "noise", step))
