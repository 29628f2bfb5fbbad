"""Training a model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from genmod.bundle.directory import ModelDirectory
from genmod.bundle.model import save, start_over
from genmod.data.dataset import Dataset
from genmod.errors import FileError, UsageError
from genmod.interfaces.model import GenerativeModel
from genmod.model.assembly import open_dataset
from genmod.system.failures import named_failures
from genmod.system.random import seed_for, seeded
from genmod.training import resume as resuming
from genmod.training.distributed import Team
from genmod.training.events import Event, TrainResult
from genmod.training.settings import TrainSettings
from genmod.training.signals import Interrupted, StopSignals
from genmod.training.trainer import Run

__all__ = ["Event", "TrainResult", "train"]


def train(
    model: GenerativeModel,
    data: Dataset | None = None,
    *,
    directory: Path | str | ModelDirectory | None = None,
    resume: bool = False,
    overwrite: bool = False,
    settings: TrainSettings | None = None,
    root: Path | str | None = None,
    on_event: Callable[[Event], None] | None = None,
    **overrides: Any,
) -> TrainResult:
    """Train a model; it ends with the weights of the lowest validation loss, in evaluation mode.

    All randomness is a function of (seed, stream, step), and the caller's random state is left as it was. With
    a directory, a run that was stopped or killed at any moment goes on from its last checkpoint with ``resume``,
    as if it had not been.

    Args:
        model: trained in place.
        data: where the splits come from; by default the dataset that the model was built for.
        directory: model directory that gets weights, metrics, checkpoints and a record of the run.
        resume: go on from the newest checkpoint in the directory, with the settings it was started with.
        overwrite: train although the directory holds a trained model. That is set aside once everything has been
            checked, complete, in a folder ``before-DATE`` of the directory, and removed when the new one has finished.
        settings: what can be chosen; defaults otherwise.
        root: folder with data files.
        on_event: called with news; must not draw random numbers.
        **overrides: single settings, such as ``epochs=5``.

    Raises:
        UsageError: a setting that cannot be or that differs from those of the run resumed, or a schedule longer
            than the run.
        FileError: the directory holds a trained model and neither ``resume`` nor ``overwrite`` is asked for, another
            run is at work in it, or it cannot be written.
        DataError: data that do not fit the model.
        NonFiniteError: the loss or a gradient became infinite or not a number.
        Interrupted: SIGINT, SIGTERM or SIGUSR1 came; everything is saved.

    Example:
        >>> from genmod import build
        >>> model = build(encoder="mlp", latent=2)
        >>> result = train(model, steps=20, device="cpu")
        >>> result.status, result.steps
        ('finished', 20)
    """
    unknown = sorted(set(overrides) - set(TrainSettings.names()))
    if unknown:
        raise UsageError(
            f"no such setting: {', '.join(unknown)}", hint=f"settings: {', '.join(TrainSettings.names())}"
        )
    if data is None:
        data = open_dataset(model.spec, root, info=model.data)
    data = model.suited(data)
    there = ModelDirectory.of(directory) if directory is not None else None
    place = there.path if there is not None else None
    found = None
    chosen = replace(settings or TrainSettings(), **({} if resume else overrides))
    tell = on_event or (lambda event: None)
    if resume and overwrite:
        raise UsageError("resume goes on with a run, overwrite starts over; give one of them")
    team = Team()
    if not resume and there is not None:
        _claim(model, there, team, overwrite=overwrite)
    with _alone(place), StopSignals() as stop:
        if resume:
            found, chosen = resuming.find(
                place, settings, overrides, lambda text: tell(Event("warning", 0, 0, 0.0, text=text))
            )
        with seeded(seed_for(chosen.seed, "run")), named_failures():
            run = Run(model, data, chosen, place, found, tell, stop)
            if overwrite and there is not None:
                _start_over(model, there, team, tell)
            result = run.go()
            if place is not None and team.leads:
                ModelDirectory(place).forget_before()
        if stop.received is not None:
            # The signal came too late to stop the run, but stops what was to follow it.
            raise Interrupted(stop.received, result.steps)
        return result


@contextmanager
def _alone(directory: Path | None) -> Iterator[None]:
    """No other run in the directory, and nothing left that a killed one was writing."""
    if directory is None or not directory.is_dir() or not Team().leads:
        yield
        return
    with ModelDirectory(directory).alone():
        yield


def _start_over(
    model: GenerativeModel, place: ModelDirectory, team: Team, tell: Callable[[Event], None]
) -> None:
    """The fresh model in place of the one that was trained before; the other processes wait."""
    problem = None
    if team.leads:
        try:
            before = start_over(model, place)
            if before is not None:
                text = f"the model that was there is in {before} until this run has finished"
                tell(Event("warning", 0, 0, 0.0, text=text))
        except FileError as error:
            problem = error
    problem = team.from_leader(problem)
    if problem is not None:
        raise problem


def _claim(model: GenerativeModel, place: ModelDirectory, team: Team, *, overwrite: bool) -> None:
    """Make sure that the directory is a model's, and that no trained one is lost; all processes agree."""
    problem = None
    if team.leads:
        try:
            _claim_alone(model, place, overwrite)
        except FileError as error:
            problem = error
    problem = team.from_leader(problem)
    if problem is not None:
        raise problem


def _claim_alone(model: GenerativeModel, place: ModelDirectory, overwrite: bool) -> None:
    if place.is_trained and not overwrite:
        raise FileError(
            f"{place.path} holds a trained model",
            hint="go on with its run (genmod train --resume), or start over (genmod train --overwrite)",
        )
    if not place.is_model:
        save(model, place.path)
