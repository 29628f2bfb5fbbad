"""What a run does about a step with a value that is not finite: everything is as before it, and it can be repeated."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from genmod.interfaces.model import GenerativeModel
from genmod.interfaces.part import Part
from genmod.options.schedule import Clock, Schedule
from genmod.system.parallel import local
from genmod.training.batches import Batches
from genmod.training.captured import CapturedSteps, CudaGraph
from genmod.training.distributed import Team
from genmod.training.nonfinite import Buffers, NonFiniteError, non_finite
from genmod.training.replay import trace
from genmod.training.settings import TrainSettings
from genmod.training.state import RunState
from genmod.training.step import Stepper

__all__ = ["Failing"]


class Failing:
    """The part of :class:`genmod.training.trainer.Run` that ends it at such a step."""

    model: GenerativeModel
    settings: TrainSettings
    state: RunState
    stepper: Stepper
    batches: Batches
    buffers: Buffers
    moving: list[Schedule]
    stepping: Sequence[Part]
    captured: CapturedSteps | None
    sharded: bool
    team: Team
    directory: Path | None
    total: int
    per_epoch: int
    _looked: int
    _write: Callable[..., None]
    _warn: Callable[[str], None]

    def look(self) -> None:
        """Look whether all steps so far were finite, where that was not seen at once.

        Raises:
            NonFiniteError: one was not; the state is that before it.
        """
        late, state = self.stepper.late, self.state
        if late is None or state.step == self._looked:
            return
        seen = late.look()
        state.skipped += seen.skipped
        if seen.stopped:
            steps = state.step - self._looked
            state.means.forget((steps - seen.steps) * self.stepper.parts)
            state.step = self._looked + seen.steps
            for schedule in self.moving:
                schedule.advance(Clock(state.step, self.per_epoch, self.total))
            batch = self.batches[state.step]
            raise self._non_finite(batch.x, self.model.context(batch))
        self._looked = state.step

    def _captured(self) -> CapturedSteps | None:
        """Steps that are recorded, where that is asked for and each does the same as the last one."""
        if self.settings.compile is not True or self.stepping or not self.stepper.recordable():
            return None
        how = self.stepper, self.model, self.buffers, self.settings.seed, self.moving, self._warn
        return CapturedSteps(*how, recording=CudaGraph)

    @property
    def report_every(self) -> float:
        """Seconds between two reports; one of a device that runs behind the program waits for it."""
        return 0.1 if self.stepper.late is None else 1.0

    def _so_far(self) -> Mapping[str, float]:
        """Training metrics since the last row, for those who watch."""
        if self.stepper.late is None:
            return self.state.means.so_far()
        if self.team.size > 1:
            # Processes watch at times of their own, and must fail at the same time.
            return {}
        self.look()
        return self.state.means.so_far()

    def _non_finite(self, x: Tensor, context: Tensor | None) -> NonFiniteError:
        state = self.state
        self.stepper.drop()
        self.buffers.put_back()
        where = ""
        if not self.sharded:
            with local():
                where = trace(
                    self.model, x, context, self.stepper.parts, seed=self.settings.seed, step=state.step
                )
            self.buffers.put_back()
        more: dict[str, Any] = {"where": where, "indices": self.batches.indices(state.step)}
        self._write(state.means, stopped=True, **more, per_epoch=self.per_epoch, total=self.total)
        return non_finite(state.step + 1, where, self.directory)
