"""Checkpoints: complete training states on disk, with checksums; a crash while one is written leaves the one before.

``checkpoints/step-00001234/`` holds the tensors in ``*.safetensors``, everything else in ``state.json``, and the size
and SHA-256 of each file in ``manifest.json``, which is written last. The folder is written under a temporary name,
synchronised to disk and renamed. Only then are old checkpoints removed; at least two are kept.

Where weights are sharded over processes, each writes the rows that it has, ``model-00001-of-00004.safetensors``, and reads
those that it is to have, of whatever number of files: nothing is gathered.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from genmod.errors import FileError, GenmodError
from genmod.system.files import (
    as_json,
    move,
    own_path,
    parse_json,
    read_text,
    remove_leftovers,
    remove_own,
    staged_directory,
    sync,
    write_json,
)
from genmod.system.shards import StoredTensor, read_shards, write_shards
from genmod.system.tensors import read_any_tensors, write_tensors
from genmod.training.distributed import Team
from genmod.training.sharding import shards_of

__all__ = ["Checkpoint", "newest", "save_checkpoint", "save_together"]

FORMAT, IN_SHARDS = 1, 2
_NAME = re.compile(r"step-(\d{8,})")
_MAX_STATE = 4_000_000


@dataclass(frozen=True)
class Checkpoint:
    """A training state.

    Args:
        step: optimizer steps done.
        tensors: by file name without suffix, then by tensor name.
        state: everything that is not a tensor, as plain data.
    """

    step: int
    tensors: Mapping[str, Mapping[str, Tensor | StoredTensor]]
    state: Mapping[str, Any] = field(default_factory=dict)


def save_checkpoint(directory: Path, checkpoint: Checkpoint, *, keep: int = 2) -> Path:
    """Write a checkpoint, then remove all but the newest ``keep``.

    Args:
        directory: the folder of checkpoints, created if it does not exist. No other process may write there.
        checkpoint: the training state.
        keep: how many checkpoints to keep, at least two.

    Raises:
        FileError: it cannot be written; older checkpoints are unharmed.
    """
    target = directory / f"step-{checkpoint.step:08d}"
    own_path(directory.parent, directory.name, target.name)
    remove_own(_hidden(target))
    with staged_directory(target, aside=_hidden(target)) as stage:
        for name, tensors in checkpoint.tensors.items():
            write_tensors(stage / f"{name}.safetensors", tensors)  # type: ignore[arg-type]
        _write_state(stage, checkpoint, FORMAT, _measured(sorted(stage.iterdir())))
    _prune(directory, target, max(2, keep))
    return target


def save_together(
    directory: Path | None, checkpoint: Checkpoint, team: Team | None, *, keep: int = 2
) -> None:
    """As :func:`save_checkpoint`, of a state that may be sharded over processes, which then call this together.

    Args:
        directory: the folder of checkpoints, on a disk that all processes see; None in all but rank 0.
        checkpoint: the training state, of which each process has some rows.
        team: the processes; None where nothing is sharded.
        keep: how many checkpoints to keep, at least two.

    Raises:
        FileError: a process cannot write; older checkpoints are unharmed. All processes raise the same error.
    """
    if team is None:
        if directory is not None:
            save_checkpoint(directory, checkpoint, keep=keep)
        return
    with ExitStack() as finishing:
        stage: Path | None = None
        problem: GenmodError | None = None
        if directory is not None:
            target = directory / f"step-{checkpoint.step:08d}"
            try:
                own_path(directory.parent, directory.name, target.name)
                remove_own(_hidden(target))
                stage = finishing.enter_context(staged_directory(target, aside=_hidden(target)))
            except FileError as error:
                problem = error
        stage, problem = team.from_leader((stage, problem))
        files: dict[str, Any] = {}
        if stage is not None:
            files, problem = _write_part(stage, checkpoint, team)
        every = team.gather((files, problem))
        problem = next((each for _, each in every if each is not None), None)
        if directory is not None and problem is None:
            try:
                _write_state(
                    stage,
                    checkpoint,
                    IN_SHARDS,
                    dict(sorted(pair for each, _ in every for pair in each.items())),
                )
                finishing.close()
                _prune(directory, target, max(2, keep))
            except FileError as error:
                problem = error
        problem = team.from_leader(problem)
        if problem is not None:
            raise problem


def _write_part(stage: Path, checkpoint: Checkpoint, team: Team) -> tuple[dict[str, Any], GenmodError | None]:
    """Write what this process has; size and checksum of each file, and what went wrong."""
    paths = []
    try:
        if not stage.is_dir():
            raise FileError(
                f"process {team.rank} does not see {stage}",
                hint="put the model directory on a disk that all machines share",
            )
        for name, tensors in checkpoint.tensors.items():
            paths.append(stage / f"{name}-{team.rank + 1:05d}-of-{team.size:05d}.safetensors")
            write_shards(paths[-1], shards_of(tensors, leads=team.leads))  # type: ignore[arg-type]
        return _measured(paths), None
    except FileError as error:
        return {}, error
    except OSError as error:
        return {}, FileError(f"{error.filename or stage} cannot be written: {error.strerror or error}")


def _measured(paths: Iterable[Path]) -> dict[str, list[Any]]:
    """Size and checksum of files, by name."""
    return {path.name: [path.stat().st_size, _sha256(path)] for path in paths}


def _write_state(stage: Path, checkpoint: Checkpoint, form: int, files: dict[str, list[Any]]) -> None:
    """Write all that is no tensor, and the manifest of all files last."""
    state = stage / "state.json"
    write_json(state, {"step": checkpoint.step, **checkpoint.state}, limit=_MAX_STATE)
    write_json(stage / "manifest.json", {"format": form, "files": {**files, **_measured([state])}})


def newest(directory: Path, team: Team | None = None) -> tuple[Checkpoint | None, list[str]]:
    """The newest intact checkpoint, fully verified, and the reasons why newer ones were skipped.

    Args:
        directory: the folder of checkpoints.
        team: processes that call this together, and share the reading of files in shards; by default this one alone.
    """
    passed_over: list[str] = []
    for path in reversed(_all(directory)):
        try:
            return _read(path, team), passed_over
        except FileError as error:
            passed_over.append(error.message)
        except OSError as error:
            passed_over.append(f"{error.filename or path} cannot be read: {error.strerror or error}")
    return None, passed_over


def _read(path: Path, team: Team | None = None) -> Checkpoint:
    form, files = _manifest(path / "manifest.json")
    # Size and checksum are verified before anything is parsed.
    if form == FORMAT or team is None:
        _verify(path, files)
    else:
        mine, problem = {name: files[name] for name in sorted(files)[team.rank :: team.size]}, None
        try:
            _verify(path, mine)
        except (FileError, OSError) as error:
            problem = f"{error}"
        found = [each for each in team.gather(problem) if each is not None]
        if found:
            raise FileError(found[0])
    state = parse_json(
        read_text(path / "state.json", "training state", limit=_MAX_STATE), str(path / "state.json")
    )
    if not isinstance(state, dict) or type(state.get("step")) is not int:
        raise FileError(f"{path / 'state.json'} is not a training state")
    kept = sorted(name for name in files if name.endswith(".safetensors"))
    if form == FORMAT:
        whole = {name.removesuffix(".safetensors"): read_any_tensors(path / name) for name in kept}
        return Checkpoint(state.pop("step"), whole, state)
    groups: dict[str, list[Path]] = {}
    for name in kept:
        groups.setdefault(name.partition("-")[0], []).append(path / name)
    return Checkpoint(state.pop("step"), {name: read_shards(each) for name, each in groups.items()}, state)


def _verify(path: Path, files: Mapping[str, tuple[int, str]]) -> None:
    for name, (size, digest) in files.items():
        part = path / name
        if part.is_symlink() or not part.is_file() or part.stat().st_size != size or _sha256(part) != digest:
            raise FileError(f"{part} is missing or damaged")


def _manifest(path: Path) -> tuple[int, dict[str, tuple[int, str]]]:
    """The format, and size and checksum by file name."""
    if path.is_symlink():
        raise FileError(f"{path} is a link")
    manifest = parse_json(read_text(path, "manifest"), str(path))
    try:
        form = manifest["format"]
        if form not in (FORMAT, IN_SHARDS):
            raise FileError(
                f"{path.parent} has format {form!r}; this version of genmod reads formats {FORMAT} and {IN_SHARDS}"
            )
        files = {str(name): (int(size), str(digest)) for name, (size, digest) in manifest["files"].items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FileError(f"{path} is damaged: {error!r}") from None
    if "state.json" not in files or any(Path(name).name != name for name in files):
        raise FileError(f"{path} is damaged: it names {sorted(files)}")
    # The manifest has no checksum, but its content has only one spelling.
    if path.read_bytes() != as_json(manifest):
        raise FileError(f"{path} is damaged: it was changed after it was written")
    return form, files


def _all(directory: Path) -> list[Path]:
    """Paths of the checkpoints, oldest first."""
    if not directory.is_dir():
        return []
    found = {path: _NAME.fullmatch(path.name) for path in directory.iterdir() if not path.is_symlink()}
    return sorted((path for path, name in found.items() if name), key=lambda path: int(path.name[5:]))


def _prune(directory: Path, latest: Path, keep: int) -> None:
    """Remove old checkpoints, damaged ones that a resumed run skipped, and temporary files of killed processes."""
    there = _all(directory)
    until = there.index(latest) + 1
    try:
        for path in [*there[: max(0, until - keep)], *there[until:]]:
            # Renamed first: a folder with the name of a checkpoint must be complete.
            remove_own(_hidden(path))
            move(path, _hidden(path))
        remove_leftovers(directory, _NAME.pattern)
        sync(directory)
    except OSError as error:
        raise FileError(
            f"old checkpoints in {directory} cannot be removed: {error.strerror or error}",
            hint="the newest one is saved; check the permissions of that folder, then type: genmod train --resume",
        ) from error


def _hidden(path: Path) -> Path:
    """The name of a checkpoint while it is being removed."""
    return path.with_name(f".{path.name}.del")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
