"""Resuming a run: the checkpoint to resume from, and whether settings, model and data are the same."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from genmod.bundle.directory import ModelDirectory
from genmod.data.dataset import Split
from genmod.errors import FileError, GenmodError, UsageError, quoted
from genmod.interfaces.model import GenerativeModel
from genmod.model.resolve import resolve
from genmod.spec import ModelSpec
from genmod.system.device import pick_device
from genmod.training.checkpoint import Checkpoint, newest
from genmod.training.distributed import Team
from genmod.training.record import surroundings
from genmod.training.settings import NO_OTHER_RUN, TrainSettings

__all__ = ["check_facts", "facts", "find"]

_SAME_BITS = ("torch", "device", "processor", "cpu_capability", "threads", "processes")
"""Facts about the machine that must be the same for a run to resume bit for bit."""

_LOOKED_AT = 64
"""Number of examples in the checksum of the data."""


def facts(model: GenerativeModel, settings: TrainSettings, train: Split, validation: Split) -> dict[str, Any]:
    """The facts that must be the same when a run is resumed: settings, model and data."""
    return {
        "settings": settings.to_json(),
        "model": model.spec.to_json(),
        "data": {
            "train": len(train),
            "validation": len(validation),
            "examples": _digest(train) if train.exact else None,
        },
    }


def _digest(split: Split) -> str:
    """A checksum of some examples, evenly spaced."""
    import hashlib

    places = sorted({i * (len(split) - 1) // (_LOOKED_AT - 1) for i in range(_LOOKED_AT)})
    x = split.__getitems__(places).x
    return hashlib.sha256(x.contiguous().numpy().tobytes()).hexdigest()


def find(
    directory: Path | None,
    settings: TrainSettings | None,
    overrides: Mapping[str, Any],
    warn: Callable[[str], None],
) -> tuple[Checkpoint, TrainSettings]:
    """The newest intact checkpoint of a directory, and the settings to resume with.

    Raises:
        FileError: there is none.
        UsageError: given settings differ from those of the run; the message lists all differences.
    """
    if directory is None:
        raise UsageError(
            "resume needs a directory with checkpoints", hint="train(model, directory=..., resume=True)"
        )
    checkpoint, passed_over = newest(ModelDirectory(directory).checkpoints, Team())
    for reason in passed_over:
        warn(f"skipped a checkpoint: {reason}")
    if checkpoint is None:
        raise FileError(
            f"{directory} has no checkpoint to resume from",
            hint=f"start over: genmod train {quoted(directory)} --overwrite",
        )
    if passed_over:
        warn(f"resuming from step {checkpoint.step} instead")
    try:
        saved = TrainSettings.from_json(checkpoint.state["facts"]["settings"])
        before = checkpoint.state["environment"]
    except (AttributeError, KeyError, TypeError) as error:
        raise FileError(f"the checkpoint of step {checkpoint.step} is damaged: {error!r}") from None
    chosen = TrainSettings.from_json({**(settings or saved).to_json(), **overrides})
    if chosen.precision == "auto":
        chosen = replace(chosen, precision=saved.precision)
    _same(saved.to_json(), chosen.to_json(), checkpoint)
    now = surroundings(str(pick_device(chosen.device)))
    changed = [f"{k}: {before[k]} → {now[k]}" for k in _SAME_BITS if k in before and before[k] != now[k]]
    if changed:
        warn(f"the run is resumed, but not bit for bit, because of these differences: {'; '.join(changed)}")
    return checkpoint, chosen


def check_facts(checkpoint: Checkpoint, now: Mapping[str, Any]) -> None:
    """Refuse to resume with another model or other data.

    Raises:
        UsageError: they differ; the message lists the differences.
    """
    before = {**checkpoint.state.get("facts", {})}
    if before.get("model") != now["model"]:
        with suppress(GenmodError):
            # Components may have gained or renamed options since the run began.
            saved = ModelSpec.from_json(before.get("model"), where="the checkpoint")
            before["model"] = resolve(saved).to_json()
    differences = [
        f"{path}: {old!r} in the run, {new!r} now"
        for part in ("model", "data")
        for path, old, new in _differences(before.get(part), now[part], part)
    ]
    if differences:
        raise UsageError(
            "the model or the data differ from those of the run to be resumed:\n" + "\n".join(differences),
            hint="resume with the model and the data of that run, or start over with --overwrite",
        )


def _differences(old: Any, new: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}")
    elif old != new:
        yield path, old, new


def _same(saved: Mapping[str, Any], wanted: Mapping[str, Any], checkpoint: Checkpoint) -> None:
    differences = {k: (saved[k], wanted[k]) for k in saved if saved[k] != wanted[k] and k not in NO_OTHER_RUN}
    # A longer run has the same steps so far, unless a schedule depends on its length.
    if saved["schedule"] == "constant" and "%" not in str(checkpoint.state["facts"]["model"]):
        for key in ("epochs", "steps"):
            before, after = differences.get(key, (None, None))
            if after is not None and (before is None or after > before):
                differences.pop(key)
                differences.pop("steps" if key == "epochs" else "epochs", None)
    if differences:
        raise UsageError(
            "these settings differ from those of the run to be resumed:\n"
            + "\n".join(
                f"{key}: {before!r} in the run, {after!r} now" for key, (before, after) in differences.items()
            ),
            hint="leave them out to resume with the settings of the run, or start over with --overwrite",
        )
