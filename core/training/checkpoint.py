"""Checkpoints: complete training states on disk, with checksums; a crash while one is written leaves the one before.

``checkpoints/step-00001234/`` holds the tensors in ``*.safetensors``, everything else in ``state.json``, and the size
and SHA-256 of each file in ``manifest.json``, which is written last. The folder is written under a temporary name,
synchronised to disk and renamed. Only then are old checkpoints removed; at least two are kept.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from genmod.errors import FileError
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
from genmod.system.tensors import read_any_tensors, write_tensors

__all__ = ["Checkpoint", "newest", "save_checkpoint"]

FORMAT = 1
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
    tensors: Mapping[str, Mapping[str, Tensor]]
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
            write_tensors(stage / f"{name}.safetensors", tensors)
        write_json(stage / "state.json", {"step": checkpoint.step, **checkpoint.state}, limit=_MAX_STATE)
        files = {path.name: [path.stat().st_size, _sha256(path)] for path in sorted(stage.iterdir())}
        write_json(stage / "manifest.json", {"format": FORMAT, "files": files})
    _prune(directory, target, max(2, keep))
    return target


def newest(directory: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest intact checkpoint, fully verified, and the reasons why newer ones were skipped."""
    passed_over: list[str] = []
    for path in reversed(_all(directory)):
        try:
            return _read(path), passed_over
        except FileError as error:
            passed_over.append(error.message)
        except OSError as error:
            passed_over.append(f"{error.filename or path} cannot be read: {error.strerror or error}")
    return None, passed_over


def _read(path: Path) -> Checkpoint:
    files = _manifest(path / "manifest.json")
    for name, (size, digest) in files.items():
        part = path / name
        # Size and checksum are verified before anything is parsed.
        if part.is_symlink() or not part.is_file() or part.stat().st_size != size or _sha256(part) != digest:
            raise FileError(f"{part} is missing or damaged")
    state = parse_json(
        read_text(path / "state.json", "training state", limit=_MAX_STATE), str(path / "state.json")
    )
    if not isinstance(state, dict) or type(state.get("step")) is not int:
        raise FileError(f"{path / 'state.json'} is not a training state")
    tensors = {
        name.removesuffix(".safetensors"): read_any_tensors(path / name)
        for name in files
        if name.endswith(".safetensors")
    }
    return Checkpoint(state.pop("step"), tensors, state)


def _manifest(path: Path) -> dict[str, tuple[int, str]]:
    """Size and checksum by file name."""
    if path.is_symlink():
        raise FileError(f"{path} is a link")
    manifest = parse_json(read_text(path, "manifest"), str(path))
    try:
        if manifest["format"] != FORMAT:
            raise FileError(
                f"{path.parent} has format {manifest['format']!r}; this version of genmod reads format {FORMAT}"
            )
        files = {str(name): (int(size), str(digest)) for name, (size, digest) in manifest["files"].items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FileError(f"{path} is damaged: {error!r}") from None
    if "state.json" not in files or any(Path(name).name != name for name in files):
        raise FileError(f"{path} is damaged: it names {sorted(files)}")
    # The manifest has no checksum, but its content has only one spelling.
    if path.read_bytes() != as_json(manifest):
        raise FileError(f"{path} is damaged: it was changed after it was written")
    return files


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
