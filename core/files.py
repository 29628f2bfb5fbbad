"""Writing files so that a crash leaves the old one or the new one, never half of one."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genmod.errors import FileError

__all__ = ["staged_directory", "sync", "write_bytes", "write_json"]


def sync(path: Path) -> None:
    """Wait until a file or a directory is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step.

    Raises:
        FileError: it cannot be written; names the path and the reason. The old file is unharmed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _cannot_write(path, error) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, plain: Any) -> None:
    """Replace a JSON file in one step.

    Raises:
        FileError: as :func:`write_bytes`.
    """
    write_bytes(path, (json.dumps(plain, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode())


@contextmanager
def staged_directory(path: Path) -> Iterator[Path]:
    """An empty directory to fill; it takes the place of ``path`` when all went well, and vanishes otherwise.

    Raises:
        FileError: it cannot be written; what was at ``path`` is unharmed.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    except OSError as error:
        raise _cannot_write(path, error) from error
    old = stage.with_suffix(".old")
    try:
        umask = os.umask(0)
        os.umask(umask)
        stage.chmod(0o777 & ~umask)
        yield stage
        sync(stage)
        if path.exists():
            path.rename(old)
        stage.rename(path)
        sync(path.parent)
    except OSError as error:
        _put_back(path, old)
        raise _cannot_write(path, error) from error
    except BaseException:
        _put_back(path, old)
        raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _put_back(path: Path, old: Path) -> None:
    if old.exists() and not path.exists():
        old.rename(path)


def _cannot_write(path: Path, error: OSError) -> FileError:
    return FileError(
        f"{path} cannot be written: {error.strerror or error}",
        hint="choose another place with -o DIR, or make room there",
    )
