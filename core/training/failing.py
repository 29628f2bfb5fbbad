"""What a run does about an error: after a step with a value that is not finite, all is as before it, and it can be repeated."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from genmod.bundle.directory import ModelDirectory
from genmod.bundle.model import write_trained
from genmod.interfaces.model import GenerativeModel
from genmod.interfaces.part import Part
from genmod.options.schedule import Clock, Schedule
from genmod.system.parallel import local
from genmod.system.shards import StoredTensor
from genmod.training.batches import Batches
from genmod.training.captured import CapturedSteps, CudaGraph
from genmod.training.checkpoint import newest
from genmod.training.distributed import Team
from genmod.training.nonfinite import Buffers, NonFiniteError, non_finite
from genmod.training.replay import trace
from genmod.training.settings import TrainSettings
from genmod.training.sharding import write_whole
from genmod.training.state import RunState
from genmod.training.step import Stepper
from genmod.training.tracking import Tracking

__all__ = ["Failing"]


class Failing:
    """The part of :class:`genmod.training.trainer.Run` that ends it after an error."""

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
    place: ModelDirectory | None
    tracking: Tracking
    total: int
    per_epoch: int
    _looked: int
    _began: float
    _write: Callable[..., None]
    _record: Callable[[str], None]
    _leave: Callable[[Mapping[str, Tensor]], None]
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

    def _give_up(self, status: str) -> None:
        """End after an error or a second Ctrl-C, perhaps within a step, whose weights are therefore not saved."""
        self.state.seconds = time.perf_counter() - self._began
        self.tracking.close(status)
        self._record(status)
        if not self.sharded:
            self._leave(self.model.state_dict())
        if status == "failed" and self.place is not None and (best := self._best()):
            write_trained(self.model, self.place, best, write=write_whole)

    def _best(self) -> Mapping[str, Tensor | StoredTensor]:
        """The best weights so far, by this process alone; empty if there are none."""
        if not self.sharded:
            return self.state.best
        # Other processes may have gone, with what they had since the last checkpoint.
        found, _ = newest(self.place.checkpoints) if self.place is not None else (None, [])
        return {} if found is None else found.tensors.get("best", {})

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
