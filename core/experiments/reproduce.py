"""Running an experiment: each model in a directory of its own, resumed where it was stopped."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from genmod.bundle.directory import ModelDirectory
from genmod.bundle.model import load
from genmod.errors import FileError
from genmod.experiments.experiment import Reproduction, Trial
from genmod.experiments.results import results_of
from genmod.experiments.sweep import train_or_go_on
from genmod.options.text import json_data
from genmod.spec import SPEC_KINDS, ModelSpec
from genmod.system.files import write_json
from genmod.training.settings import TrainSettings, same_setting

__all__ = ["reproduce"]

_MOST = 100_000_000
"""Bytes of results."""

Progress = Callable[[str], None]


def reproduce(
    experiment: Reproduction,
    directory: Path,
    *,
    root: Path | None = None,
    device: str = "auto",
    command: Sequence[str] = (),
    tell: Progress = lambda text: None,
    on_event: Callable[[Any], None] | None = None,
) -> dict[str, Any]:
    """Run or resume an experiment, and compare its results with the published ones.

    Each model has a directory of its own below ``directory``; finished runs are skipped, stopped ones continued.
    ``results.json`` is written after each.

    Args:
        experiment: what to run.
        directory: where.
        root: folder with data files.
        device: where models are trained and measured.
        command: that made it, for the record.
        tell: called with a line about each model.
        on_event: called with events of the training.

    Returns:
        The content of ``results.json``.

    Raises:
        FileError: a directory below holds another model, or another run of it.
    """
    done = []
    directory.mkdir(parents=True, exist_ok=True)
    for number, trial in enumerate(experiment.trials, 1):
        tell(f"model {number} of {len(experiment.trials)}: {trial.folder}")
        done.append(_run(experiment, trial, directory / trial.folder, root, device, tell, on_event))
        results = results_of(experiment, done, device, command)
        write_json(directory / "results.json", results, limit=_MOST)
    return results


def _run(
    experiment: Reproduction,
    trial: Trial,
    place: Path,
    root: Path | None,
    device: str,
    tell: Progress,
    on_event: Callable[[Any], None] | None,
) -> dict[str, Any]:
    """Train one model, unless it is trained, fit its sampler, and measure it."""
    from genmod.evaluation import evaluate
    from genmod.model.assembly import open_dataset
    from genmod.model.fit_sampler import fit_sampler

    settings = {**trial.settings, "device": device}
    _check_same(trial, place, settings)
    train_or_go_on(trial.spec, place, settings, root=root, on_event=on_event)
    measured = place / "measured.json"
    wanted = {
        "metrics": experiment.metrics,
        "evaluate": experiment.part("evaluate"),
        "sampler": trial.sampler,
    }
    record = ModelDirectory(place).read_record()
    if measured.is_file():
        before = json.loads(measured.read_text(encoding="utf-8"))
        if {key: before.get(key) for key in wanted} == wanted:
            return dict(before["result"])
    how = experiment.part("evaluate")
    model = load(place, weights=how.get("weights", "best"), device="cpu" if device == "auto" else device)
    dataset = open_dataset(model.spec, root)
    tell(f"measuring {trial.folder}")
    start = time.perf_counter()
    if trial.sampler:
        fit_sampler(model, dataset, trial.sampler, seed=trial.seed)
    evaluation = evaluate(model, dataset, experiment.metrics, split=how.get("split", "test"), seed=trial.seed)
    result = {
        "run": trial.run,
        "seed": trial.seed,
        "status": record["status"],
        "steps": record["step"],
        "epochs": max((row["epoch"] for row in ModelDirectory(place).read_rows()), default=0.0),
        "train_seconds": record["seconds"],
        "measure_seconds": round(time.perf_counter() - start, 1),
        "parameters": sum(p.numel() for p in model.parameters()),
        "evaluation": evaluation.to_json(),
        "curve": _curve(place),
    }
    result = json_data(result)
    write_json(measured, {**wanted, "result": result}, limit=_MOST)
    return result


def _check_same(trial: Trial, place: Path, settings: Mapping[str, Any]) -> None:
    """Refuse to take another model, or one that was trained otherwise, for this one.

    Raises:
        FileError: the directory holds it; says what differs.
    """
    from genmod.model.resolve import resolve

    if not ModelDirectory(place).is_trained:
        return
    # Resolved: a model of an earlier version lacks newer options, and has their defaults.
    there, wanted = resolve(ModelDirectory(place).read_spec()[0]), resolve(trial.spec)
    gaps = [
        f"{kind} is {_plain(there, kind)}, not {_plain(wanted, kind)}"
        for kind in SPEC_KINDS
        if kind in wanted.components and _plain(there, kind) != _plain(wanted, kind)
    ]
    record = ModelDirectory(place).read_record()
    was, now = TrainSettings.from_json(record["settings"]), TrainSettings(**settings)
    gaps += [
        f"{name} was {getattr(was, name)!r}, not {getattr(now, name)!r}"
        for name in TrainSettings.names()
        if name != "device" and not same_setting(name, getattr(was, name), getattr(now, name))
    ]
    if gaps:
        raise FileError(
            f"{place} holds another run: {'; '.join(gaps)}", hint="choose another folder with -o DIR"
        )


def _plain(spec: ModelSpec, kind: str) -> Any:
    part = spec.components.get(kind)
    return None if part is None else (part.name, json.loads(json.dumps(dict(part.options))))


def _curve(place: Path, most: int = 60) -> list[list[float]]:
    """Epoch and validation loss, at most ``most`` points evenly chosen, the last among them."""
    rows = [
        [row["epoch"], round(row["loss"], 4)]
        for row in ModelDirectory(place).read_rows()
        if row["split"] == "validation"
    ]
    step = math.ceil(len(rows) / most) or 1
    return rows[::-1][::step][::-1]
