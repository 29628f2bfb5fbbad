"""The function :func:`train`."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from genmod.bundle.directory import ModelDirectory
from genmod.bundle.model import is_described, save, start_over
from genmod.errors import FileError, UsageError
from genmod.interfaces.model import GenerativeModel
from genmod.model.opening import data_for
from genmod.system.deterministic import deterministic
from genmod.system.device import pick_device
from genmod.system.failures import named_failures
from genmod.system.random import seed_for, seeded
from genmod.training import resume as resuming
from genmod.training.activation_checkpointing import activation_checkpointing
from genmod.training.bar import watched
from genmod.training.checkpoint import newest
from genmod.training.distributed import Team
from genmod.training.events import Event, TrainResult
from genmod.training.freezing import frozen
from genmod.training.precision import products, settled
from genmod.training.record import beginning
from genmod.training.settings import TrainSettings
from genmod.training.signals import Interrupted, StopSignals
from genmod.training.trainer import Run

__all__ = ["Event", "TrainResult", "train"]


def train(
    model: GenerativeModel,
    data: Any = None,
    *,
    directory: Path | str | ModelDirectory | None = None,
    resume: bool = False,
    overwrite: bool = False,
    settings: TrainSettings | None = None,
    root: Path | str | None = None,
    on_event: Callable[[Event], None] | None = None,
    progress: bool | None = None,
    **overrides: Any,
) -> TrainResult:
    """Train a model, and leave it in evaluation mode with the weights of the lowest validation loss.

    All random numbers are a function of (seed, stream, step), and the caller's random state is restored. With a
    directory, a run that was stopped or killed at any moment can be resumed from its last checkpoint; the result is
    that of an uninterrupted run.

    Args:
        model: trained in place.
        data: a dataset with its splits, or what :func:`genmod.as_dataset` makes one of: a tensor, an array, a DataFrame, a
            torch dataset or loader, or splits by name; or a path; by default the dataset that the model was built for.
        directory: model directory for weights, metrics, checkpoints and a record of the run.
        resume: resume from the newest checkpoint in the directory, with the settings of its run; what ``torchrun`` starts
            again does so by itself.
        overwrite: train although the directory holds a trained model. After all checks, that model is moved as a
            whole to a folder ``before-DATE`` of the directory; it is removed when the new run has finished.
        settings: settings of the run; by default those of :class:`TrainSettings`.
        root: folder with data files.
        on_event: called with each event; must not draw random numbers.
        progress: show a bar, by tqdm; by default in a notebook, where tqdm is installed and no ``on_event`` is given.
        **overrides: single settings, such as ``epochs=5``.

    Raises:
        UsageError: a setting is invalid or differs from that of the resumed run, or a schedule is longer than the run.
        FileError: the directory holds a trained model and neither ``resume`` nor ``overwrite`` is given, another
            run uses it, or it cannot be written.
        DataError: the data do not fit the model.
        NonFiniteError: the loss or a gradient became infinite or NaN.
        Interrupted: SIGINT, SIGTERM or SIGUSR1 was received; everything is saved.

    Example:
        >>> from genmod import build
        >>> model = build(encoder="mlp", latent=2)
        >>> result = train(model, steps=20, device="cpu")
        >>> result.status, result.steps
        ('finished', 20)
        >>> import torch
        >>> train(build(data=torch.rand(60, 8, 8), encoder="mlp"), torch.rand(60, 8, 8), steps=5, device="cpu").steps
        5
    """
    unknown = sorted(set(overrides) - set(TrainSettings.names()))
    if unknown:
        raise UsageError(
            f"no such setting: {', '.join(unknown)}", hint=f"settings: {', '.join(TrainSettings.names())}"
        )
    data = model.suited(data_for(model.spec, model.data, data, root))
    there = ModelDirectory.of(directory) if directory is not None else None
    place = there.path if there is not None else None
    found, team = None, Team()
    if there is not None and not resume and _started_again(there, team, overwrite=overwrite):
        resume, overwrite = True, False
    chosen = replace(settings or TrainSettings(), **({} if resume else overrides))
    if resume and overwrite:
        raise UsageError("resume and overwrite exclude each other; give one of them")
    if not resume and there is not None:
        _claim(model, there, team, overwrite=overwrite)
    with watched(on_event, progress) as tell, _alone(place), StopSignals() as stop:
        if resume:
            found, chosen = resuming.find(
                place, settings, overrides, lambda text: tell(Event("warning", 0, 0, 0.0, text=text))
            )
        device = pick_device(chosen.device)
        chosen = settled(chosen, model, device)
        with (
            seeded(seed_for(chosen.seed, "run")),
            named_failures(),
            deterministic(chosen.deterministic),
            products(chosen, device),
            frozen(model, chosen.freeze),
            activation_checkpointing(model, chosen.checkpoint_activations),
        ):
            began = beginning(model, data, there, resumed=resume)
            run = Run(model, data, chosen, place, found, tell, stop, began)
            if not resume and there is not None:
                _make_way(model, there, team, tell, overwrite=overwrite)
            result = run.go()
            if place is not None and team.leads:
                ModelDirectory(place).forget_before()
        if stop.received is not None:
            # The signal came too late to stop the run, but stops the work of the caller after it.
            raise Interrupted(stop.received, result.steps)
        return result


def _started_again(place: ModelDirectory, team: Team, *, overwrite: bool) -> bool:
    """Whether torchrun has started the processes again in the middle of a run, since one of them was lost: it goes on."""
    # A machine that has come back counts from 0, those that stayed do not.
    (times,) = team.largest(int(os.environ.get("TORCHELASTIC_RESTART_COUNT") or 0))
    begun = False
    if times and team.leads:
        # A run that starts over says so, until it has finished: the checkpoints of the one before are not its own.
        record = place.read_record()
        begun = (
            bool(record)
            and newest(place.checkpoints)[0] is not None
            and (not overwrite or "before" in record)
        )
    return bool(team.from_leader(begun))


@contextmanager
def _alone(directory: Path | None) -> Iterator[None]:
    """Context that keeps other runs out of the directory; temporary files of killed runs are removed first."""
    if directory is None or not directory.is_dir() or not Team().leads:
        yield
        return
    with ModelDirectory(directory).alone():
        yield


def _make_way(
    model: GenerativeModel,
    place: ModelDirectory,
    team: Team,
    tell: Callable[[Event], None],
    *,
    overwrite: bool,
) -> None:
    """Replace a model that was trained before, or another one that never was; rank 0 does it, the other processes wait."""
    problem = None
    if team.leads:
        try:
            before = None
            if overwrite or not is_described(model, place):
                place.check_free(overwrite=overwrite)
                before = start_over(model, place)
            if before is not None:
                text = f"the previous model is in {before} until this run has finished"
                tell(Event("warning", 0, 0, 0.0, text=text))
        except FileError as error:
            problem = error
    problem = team.from_leader(problem)
    if problem is not None:
        raise problem


def _claim(model: GenerativeModel, place: ModelDirectory, team: Team, *, overwrite: bool) -> None:
    """Make the directory a model directory, and refuse to lose a trained model; all processes raise the same error."""
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
