"""What ``genmod train --dry-run`` prints."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genmod.cli import console
from genmod.errors import quoted

if TYPE_CHECKING:
    from genmod.bundle.directory import ModelDirectory
    from genmod.cli.training import Source
    from genmod.training.estimate import Estimate
    from genmod.training.plan import Plan

__all__ = ["print_plans"]


def print_plans(
    directories: Sequence[Path],
    source: "Source",
    overrides: Mapping[str, Any],
    *,
    overwrite: bool,
    processes: int,
    json: bool,
) -> None:
    """Print what a run in each directory would do; nothing is written.

    In several processes, and of a model that is too large to be tried, this is what each process would take of memory.

    Raises:
        GenmodError: what would stop the run at its beginning.
    """
    from genmod.bundle.directory import ModelDirectory
    from genmod.bundle.model import load
    from genmod.model.assembly import assemble
    from genmod.training.estimate import estimate, too_large
    from genmod.training.plan import plan
    from genmod.training.settings import TrainSettings

    settings = TrainSettings(**overrides)
    places = [ModelDirectory(directory) for directory in directories]
    documents = []
    for place in places:
        if processes > 1 or too_large(*place.read_spec(), settings):
            taken = estimate(*place.read_spec(), source.open(place), settings, processes)
            documents.append({"directory": str(place.path), **taken.to_json()})
            if not json:
                console.print_table([f"each of {processes} processes", str(place.path)], _taken(taken))
            continue
        fresh = overwrite and place.is_trained
        model = assemble(*place.read_spec(), seed=settings.seed) if fresh else load(place, weights="last")
        found = plan(model, source.open(place), settings)
        documents.append({"directory": str(place.path), **found.to_json(), "writes": _writes(place)})
        if not json:
            console.print_table(["plan", str(place.path)], _rows(found, place))
        if place.is_trained and not overwrite:
            console.note(f"{place.path} holds a trained model: a run needs --overwrite, or --resume")
    if json:
        console.print_json(documents if len(documents) > 1 else documents[0])
    where = " ".join(map(quoted, directories))
    console.note(
        f"nothing was written; to train: leave out --dry-run\nall settings: genmod train {where} --dry-run --json"
    )


def _taken(found: "Estimate") -> list[tuple[str, str]]:
    rows = [
        *((f"parameters of {part}", f"{count:,}") for part, count in found.parameters.items()),
        ("parameters that move", f"{found.trained:,}" + (f"; {found.fixed:,} stay" if found.fixed else "")),
        ("strategy", found.settings["strategy"]),
        ("examples at once", f"{found.batch:,}"),
        *((f"memory of {what}", _size(size)) for what, size in found.memory.items() if size),
        ("memory in all, about", _size(sum(found.memory.values()))),
    ]
    if found.unknown:
        rows.append(("activations not counted", found.unknown))
    elif found.with_checkpointing is not None and not found.settings["checkpoint_activations"]:
        rows.append(("activations with --checkpoint-activations", _size(found.with_checkpointing)))
    return rows


def _rows(found: "Plan", place: "ModelDirectory") -> list[tuple[str, str]]:
    from genmod.configuration.names import spelled
    from genmod.options.text import option_text
    from genmod.training.settings import usual_settings

    settings, seconds = found.settings, found.seconds
    options = {name: settings[f"{name}_options"] for name in ("optimizer", "schedule")}
    named = {
        name: f"{settings[name]} {' '.join(f'{key}={value}' for key, value in options[name].items())}".strip()
        for name in options
    }
    rate = named["schedule"]
    if found.learning_rate is None:
        rate += f", from {settings['lr']:g}, advanced after each epoch"
    elif len(set(found.learning_rate.values())) == 1:
        rate += f", {settings['lr']:g}"
    else:
        rate += ", " + ", ".join(f"{lr:.3g} at step {step:,}" for step, lr in found.learning_rate.items())
    default = usual_settings()
    shown = (
        "epochs",
        "steps",
        "batch_size",
        "seed",
        "device",
        "lr",
        *named,
        *(f"{name}_options" for name in named),
    )
    others = [
        f"{spelled(name)} {option_text(value)}"
        for name, value in settings.items()
        if name not in shown and value != default[name]
    ]
    rows = [
        ("data", ", ".join(f"{count:,} for {name}" for name, count in found.examples.items())),
        (
            "steps",
            f"{found.steps:,} of {found.batch_size:,} examples each, {found.epochs:,.4g} times through the data",
        ),
        ("device", found.device),
        ("seed", str(settings["seed"])),
        ("optimizer", named["optimizer"]),
        ("learning rate", rate),
        *([("other settings", ", ".join(others))] if others else []),
        *((f"parameters of {part}", f"{count:,}") for part, count in found.parameters.items()),
        ("parameters that move", f"{found.trained:,}" + (f"; {found.fixed:,} stay" if found.fixed else "")),
        *((f"memory of {what}", _size(size)) for what, size in found.memory.items() if size),
        ("memory in all, about", _size(sum(found.memory.values()))),
    ]
    if found.peak is not None:
        rows.append(("memory, measured", _size(found.peak)))
    rows += [
        ("time of a step", f"{_time(seconds['step'])}, the median of {found.tried} that were tried"),
        ("time of a validation", _time(seconds["validation"])),
        ("time in all, about", _time(seconds["run"])),
    ]
    return rows + [("writes", path) for path in _writes(place)]


def _writes(place: "ModelDirectory") -> list[str]:
    paths = (
        place.weights(),
        place.weights("last"),
        place.rows,
        place.record,
        place.checkpoints,
        place.pictures(),
    )
    return list(map(str, paths))


def _size(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:,.3g} {unit}" if size < 1000 else f"{size:,.0f} {unit}"
        size /= 1024
    raise AssertionError


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60:,} h {minutes % 60} min"
