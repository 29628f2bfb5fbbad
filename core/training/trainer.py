"""A run: the loop over optimizer steps, with validation, checkpoints and metrics."""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from genmod.bundle.directory import ModelDirectory
from genmod.bundle.model import write_trained
from genmod.data.dataset import Dataset
from genmod.evaluation.impossible import ImpossibleError, limits_of
from genmod.interfaces.model import GenerativeModel
from genmod.interfaces.objective import Terms
from genmod.model.prepare import prepare_parts
from genmod.options.schedule import Clock
from genmod.system.allocator import keep_freed_memory
from genmod.system.device import pick_device
from genmod.system.memory import bytes_of_weights, physical_memory
from genmod.training import resume as resuming
from genmod.training.batches import batches_of
from genmod.training.checkpoint import Checkpoint, save_together
from genmod.training.distributed import Team, parallel_terms
from genmod.training.events import Event, TrainResult
from genmod.training.failing import Failing
from genmod.training.film import Film
from genmod.training.freezing import frozen_modules
from genmod.training.groups import moves_with_steps, trained
from genmod.training.metrics import RunningMeans
from genmod.training.nonfinite import Buffers, NonFiniteError
from genmod.training.precision import network_dtype
from genmod.training.record import Record
from genmod.training.settings import TrainSettings
from genmod.training.sharding import shared_out_like, write_whole
from genmod.training.signals import Interrupted, StopSignals
from genmod.training.state import begin
from genmod.training.step import Stepper
from genmod.training.tracking import Tracking
from genmod.training.validation import validation_means

__all__ = ["Run"]

_SECONDS_BETWEEN_CHECKPOINTS = 10.0


class Run(Failing):
    """A training run: its state, its collaborators and the loop.

    Args:
        model: trained in place.
        data: dataset with the splits.
        settings: of the run, with a precision chosen (:func:`genmod.training.precision.settled`).
        directory: model directory; None to write no files.
        found: the checkpoint to resume from; None for a new run.
        tell: called with each event.
        stop: the signals that stop the run.
        began: what the run begins with, for its record.
    """

    def __init__(
        self,
        model: GenerativeModel,
        data: Dataset,
        settings: TrainSettings,
        directory: Path | None,
        found: Checkpoint | None,
        tell: Callable[[Event], None],
        stop: StopSignals,
        began: Mapping[str, Any],
    ) -> None:
        self.settings, self.stop, self.team = settings, stop, Team()
        self.device = pick_device(settings.device)
        # Only rank 0 writes files and reports events.
        self.directory = directory if self.team.leads else None
        self.place = None if self.directory is None else ModelDirectory(self.directory)
        self.files = self.team.from_leader(directory is not None)
        self._tell_event = tell if self.team.leads else lambda event: None
        if self.device.type == "cpu":
            # Where weights, gradients and the optimizer's state fit four times, gaps between blocks do no harm.
            keep_freed_memory(large=16 * bytes_of_weights(model) < physical_memory())
        self.model = model.to(self.device)
        train_split, self.validation = data.split("train"), data.split("validation")
        self.batches = batches_of(train_split, data.info, settings, self.device)
        whole_batches = replace(settings, batch_size=self.batches.batch_size, accumulate=1)
        self.total, self.per_epoch = whole_batches.run_length(len(train_split))
        still = frozen_modules(model)
        self.stepping = [p for p in model.modules() if moves_with_steps(p) and p not in still]
        prepare_parts(model, train_split, settings.seed, resumed=found is not None, still=still)
        self.schedules = dict(model.schedules())
        for name, schedule in self.schedules.items():
            schedule.check(self.total, self.per_epoch, name)
        self.moving = [schedule for schedule in self.schedules.values() if not schedule.is_constant]
        model.autocast_dtype = network_dtype(settings)
        self.terms: Callable[..., Terms] = model.terms
        self.sharded = self.team.size > 1 and settings.strategy == "fsdp"
        if self.team.size > 1:
            self.terms = parallel_terms(model, settings.strategy, self.device, train_split)
        groups = trained(model.groups())
        self._later = [group.start for group in groups.values() if group.start]
        self.state = begin(model, groups, settings, self.total)
        self.facts = resuming.facts(model, settings, train_split, self.validation)
        if found is not None:
            resuming.check_facts(found, self.facts)
            self.state.restore(found)
        self.state.means.limits = limits_of(model)
        self.record = Record(self.directory, model.spec, settings, str(self.device), began)
        self.tracking = Tracking(
            self.directory,
            settings.trackers if self.team.leads else (),
            {"model": model.spec.to_json(), "settings": settings.to_json()},
            since=self.state.step,
            warn=self._warn,
        )
        self.stepper = Stepper(
            self.terms,
            groups,
            self.state.optimizers,
            settings,
            batch_size=self.batches.batch_size,
            team=self.team,
            device=self.device,
            total=self.total,
            warn=self._warn,
            found=found,
        )
        self._looked, self.state.means.waits = self.state.step, self.stepper.late is not None
        self.buffers = Buffers(model, self.stepping if self.state.means.waits else ())
        self.captured = self._captured()
        if found is not None and not self.team.leads:
            # The checkpoint has the sums over all processes; rank 0 continues them.
            self.state.means.take()
        # With sharded weights, all processes would have to gather them for each picture.
        place, epochs = None if self.sharded else self.directory, math.ceil(self.total / self.per_epoch)
        how: dict[str, Any] = {"every": settings.film_every, "seed": settings.seed, "warn": self._warn}
        self.film = Film(place, model, self.validation, epochs, resumed=found is not None, **how)
        self._asked_to_stop, self._due, self._reported = 0, 0, 0.0
        self._resumed, self._saved = found is not None, -1 if found is None else self.state.step
        self._began, self._checkpointed = time.perf_counter() - self.state.seconds, time.monotonic()

    def go(self) -> TrainResult:
        """Train to the end; however the run ends, the files in the directory are complete."""
        state = self.state
        try:
            self.tracking.begin()
            # A checkpoint to resume from exists before the record says that a run has begun.
            self._checkpoint()
            self._record("running")
            if self._resumed:
                self._tell("resume", {})
            else:
                self.film.begin()
            status = self._loop()
            self._finish(status)
        except (Interrupted, NonFiniteError, ImpossibleError) as error:
            self._finish("interrupted" if isinstance(error, Interrupted) else "failed")
            raise
        except BaseException as error:
            # Raise the error that ended the run, whatever else fails now.
            with suppress(Exception):
                self._give_up("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        finally:
            self.batches.close()
        self._tell("end", {"loss": state.best_loss})
        return TrainResult(
            status, state.step, state.seconds, state.best_step, state.best_loss, tuple(self.tracking.rows)
        )

    def _loop(self) -> str:
        settings, state, moving = self.settings, self.state, self.moving
        self.model.train()
        while state.step < self.total:
            if settings.patience and state.waited >= settings.patience:
                return "stopped early"
            lr = self.once()
            epoch_ends = state.step % self.per_epoch == 0 or state.step == self.total
            if state.step % settings.log_every == 0 or epoch_ends:
                means = self._means()
                state.means.take()
                more = {"skipped": float(state.skipped)} if settings.skip else {}
                self._row("train", {**means.take(), **more}, lr=lr)
            if epoch_ends:
                settled = all(float(schedule) == schedule.final for schedule in moving)
                better = self._validate()
                with state.averaged():
                    self.film.after(math.ceil(state.step / self.per_epoch), last=state.step == self.total)
                state.waited = 0 if better or not settled else state.waited + 1
            if self._due or self._asked_to_stop:
                self._checkpoint()
            if self._asked_to_stop:
                raise Interrupted(self._asked_to_stop, state.step)
            if time.monotonic() - self._reported > self.report_every:
                self._tell("progress", self._so_far())
        return "finished"

    def once(self) -> float:
        """One optimizer step and what belongs to it: schedules, parts that move with steps, averages; as :meth:`step`."""
        state, stopped = self.state, self.stepper.stopped
        for schedule in self.moving:
            schedule.advance(Clock(state.step, self.per_epoch, self.total))
        lr = self.step()
        state.step += 1
        for part in self.stepping:
            part.after_step()
        if stopped is not None:
            self.buffers.hold(stopped)
        if self.settings.ema:
            state.update_ema(self.settings.ema, stopped)
        return lr

    def step(self) -> float:
        """One optimizer step; returns the learning rate."""
        state = self.state
        lr = state.lr.at(state.step)
        batch = self.batches[state.step]
        x, context = batch.x, self.model.context(batch)
        if state.means.full:
            self._means()
        recorded = self.captured.run(state.step, x, context, lr) if self.captured is not None else None
        if recorded is None:
            self.buffers.keep(self.stepper.stopped)
        done, finite = recorded or self.stepper.gradients(state.step, x, context)
        failed, self._asked_to_stop, self._due = self.team.largest(
            not finite, self.stop.received or 0, self._is_due(state.step + 1)
        )
        if failed:
            raise self._non_finite(x, context)
        for terms, examples in done:
            state.means.add(terms, examples)
        if recorded is None:
            state.skipped += self.stepper.move(state.step, lr)
        return lr

    def _is_due(self, step: int) -> bool:
        """Whether a checkpoint is due after a step."""
        every = self.settings.checkpoint_every
        epoch_ends = step % self.per_epoch == 0
        waited = time.monotonic() - self._checkpointed
        return (every > 0 and step % every == 0) or (epoch_ends and waited > _SECONDS_BETWEEN_CHECKPOINTS)

    def _means(self) -> RunningMeans:
        """Training metrics since the last row, over all processes.

        Raises:
            NonFiniteError: a step since the last look was not finite.
        """
        self.look()
        return RunningMeans.of(self.team.gather(self.state.means.state())).possible()

    def _validate(self) -> bool:
        """Validate with all schedules at their final values; keep the weights if the loss is the lowest so far."""
        state = self.state
        for schedule in self.schedules.values():
            schedule.settle()
        with state.averaged():
            values = validation_means(
                self.model,
                # With sharded weights, all processes must compute the same pieces.
                self.terms if self.sharded else self.model.terms,
                self.validation,
                seed=self.settings.seed,
                team=None if self.sharded else self.team,
            )
        better = state.keep_better(values["loss"], self._later)
        state.lr.end_epoch(values["loss"])
        self._row("validation", values, best=better)
        return better

    def _checkpoint(self) -> None:
        if self._saved == self.state.step:
            return
        means, self._checkpointed = self._means(), time.monotonic()
        self.tracking.flush()
        self._write(means, keep=self.settings.keep_checkpoints)
        self._saved = self.state.step
        self._tell("checkpoint", {})

    def _write(self, means: RunningMeans, *, stopped: bool = False, keep: int = 2, **more: Any) -> None:
        """Write the state as a checkpoint; of sharded weights, each process its part."""
        if not self.files:
            return
        self.state.seconds = time.perf_counter() - self._began
        more |= {"facts": self.facts, "environment": self.record.environment, **self.stepper.state()}
        checkpoint = replace(self.state, means=means).checkpoint(more)
        place = self.place
        folder = None if place is None else place.stopped_step if stopped else place.checkpoints
        save_together(folder, checkpoint, self.team if self.sharded else None, keep=keep)

    def _row(self, split: str, values: Mapping[str, float], best: bool = False, **more: float) -> None:
        moving = {
            name: float(s) for name, s in self.schedules.items() if not s.is_constant and split == "train"
        }
        place = {"step": (step := self.state.step), "epoch": round(step / self.per_epoch, 4), "split": split}
        self.tracking.write({**place, **values, **more, **moving})
        self._tell(split, values, best)

    def _warn(self, text: str) -> None:
        self._tell_event(Event("warning", self.state.step, self.total, 0.0, text=text))

    def _tell(self, kind: str, values: Mapping[str, float], best: bool = False) -> None:
        self._reported = time.monotonic()
        step = self.state.step
        self._tell_event(Event(kind, step, self.total, step / self.per_epoch, values, best))

    def _finish(self, status: str) -> None:
        """Write the last files, and load the best weights into the model."""
        state = self.state
        state.seconds = time.perf_counter() - self._began
        if status in ("finished", "stopped early"):
            self._checkpoint()
        weights = state.weights()
        if self.files and state.step:
            write_trained(self.model, self.place, state.best or weights, weights, write=write_whole)
        self._leave(weights)
        self.film.end()
        self.tracking.close(status)
        self._record(status)

    def _leave(self, weights: Mapping[str, Tensor]) -> None:
        """Load the best weights so far, else the given ones, and put the model in evaluation mode."""
        own = self.model.state_dict()
        best = {name: shared_out_like(t, own[name]) for name, t in (self.state.best or weights).items()}
        self.model.load_state_dict(best)
        for schedule in self.schedules.values():
            schedule.settle()
        self.model.autocast_dtype = None
        self.model.eval()

    def _record(self, status: str) -> None:
        state = self.state
        self.record.write(
            status,
            step=state.step,
            total_steps=self.total,
            best_step=state.best_step,
            best_loss=state.best_loss,
            seconds=round(state.seconds, 3),
        )
