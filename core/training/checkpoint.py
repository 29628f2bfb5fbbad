"""Training states on disk: complete, checksummed, written so that a crash at any moment leaves the one before.

``checkpoints/step-00001234/`` holds tensors as ``*.safetensors``, everything else in ``state.json``, and in
``manifest.json``, written last, size and SHA-256 of each file. It is filled under another name, forced to
disk and renamed; only then are old ones removed, and never so that fewer than two are left.
"""

import hashlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from genmod.bundle import read_any_tensors, write_tensors
from genmod.errors import FileError
from genmod.files import staged_directory, sync, write_json
from genmod.spec import parse_json, read_text

__all__ = ["Checkpoint", "newest", "save_checkpoint"]

FORMAT = 1
_NAME = re.compile(r"step-(\d{8,})")
_MAX_STATE = 16_000_000


@dataclass(frozen=True)
class Checkpoint:
    """A training state.

    Args:
        step: optimizer steps done.
        tensors: by file name without suffix, then by tensor name.
        state: everything that is no tensor, as plain data.
    """

    step: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any] = field(default_factory=dict)


def save_checkpoint(directory: Path, checkpoint: Checkpoint, *, keep: int = 2) -> Path:
    """Write a checkpoint, then remove all but the newest ``keep``.

    Args:
        directory: the folder of checkpoints; made if need be.
        checkpoint: what to write.
        keep: how many to leave, at least two: the newest may be in the process of being written.

    Raises:
        FileError: it cannot be written; the checkpoints before are unharmed.
    """
    target = directory / f"step-{checkpoint.step:08d}"
    with staged_directory(target) as stage:
        for name, tensors in checkpoint.tensors.items():
            write_tensors(stage / f"{name}.safetensors", tensors)
        write_json(stage / "state.json", {"step": checkpoint.step, **checkpoint.state})
        files = {path.name: [path.stat().st_size, _sha256(path)] for path in sorted(stage.iterdir())}
        write_json(stage / "manifest.json", {"format": FORMAT, "files": files})
    _prune(directory, max(2, keep))
    return target


def newest(directory: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is whole, read and verified in full, and why newer ones were passed over."""
    passed_over = []
    for path in sorted(_all(directory), reverse=True):
        try:
            return _read(path), passed_over
        except FileError as error:
            passed_over.append(error.message)
    return None, passed_over


def _read(path: Path) -> Checkpoint:
    manifest = parse_json(read_text(path / "manifest.json", "manifest"), str(path / "manifest.json"))
    try:
        if manifest["format"] != FORMAT:
            raise FileError(
                f"{path} has format {manifest['format']!r}; this version of genmod reads format {FORMAT}"
            )
        files = {str(name): (int(size), str(digest)) for name, (size, digest) in manifest["files"].items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FileError(f"{path / 'manifest.json'} is damaged: {error!r}") from None
    if "state.json" not in files or any(Path(name).name != name for name in files):
        raise FileError(f"{path / 'manifest.json'} is damaged: it names {sorted(files)}")
    for name, (size, digest) in files.items():
        part = path / name
        # The size and the checksum come before any parser sees a byte.
        if part.is_symlink() or not part.is_file() or part.stat().st_size != size or _sha256(part) != digest:
            raise FileError(f"{part} is missing or damaged")
    state = parse_json(
        read_text(path / "state.json", "training state", limit=_MAX_STATE), str(path / "state.json")
    )
    tensors = {
        name.removesuffix(".safetensors"): read_any_tensors(path / name)
        for name in files
        if name.endswith(".safetensors")
    }
    return Checkpoint(int(state.pop("step")), tensors, state)


def _all(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return [path for path in directory.iterdir() if _NAME.fullmatch(path.name) and not path.is_symlink()]


def _prune(directory: Path, keep: int) -> None:
    for path in sorted(_all(directory))[:-keep]:
        doomed = path.with_name(f".{path.name}.del")
        path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
    # What a killed process left behind.
    for path in directory.glob(".step-*"):
        shutil.rmtree(path, ignore_errors=True)
    sync(directory)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
