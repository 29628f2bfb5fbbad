"""Reading and writing files: a crash leaves the old one or the new one, never half of one."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from genmod.errors import FileError

__all__ = [
    "alone_in",
    "as_json",
    "parse_json",
    "read_text",
    "remove_leftovers",
    "staged_directory",
    "sync",
    "write_bytes",
    "write_json",
]

_MAX_BYTES = 1_000_000


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
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise _cannot_write(path, error) from error
        raise


def write_json(path: Path, plain: Any) -> None:
    """Replace a JSON file in one step.

    Raises:
        FileError: as :func:`write_bytes`.
    """
    write_bytes(path, as_json(plain))


def as_json(plain: Any) -> bytes:
    """Plain data as every JSON file of genmod has them."""
    return (json.dumps(plain, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()


@contextmanager
def staged_directory(path: Path) -> Iterator[Path]:
    """An empty directory to fill; it takes the place of ``path`` when all went well, and vanishes otherwise.

    What was at ``path`` before is moved aside first: a process that is killed just then leaves it there as
    ``.NAME.….old``.

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
        raise _cannot_write(path, error) from error
    finally:
        if old.exists() and not path.exists():
            with suppress(OSError):
                old.rename(path)
        shutil.rmtree(stage, ignore_errors=True)
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)


def remove_leftovers(directory: Path) -> None:
    """Remove what a killed process left half written or half removed; nobody else may be writing there."""
    for pattern in (".*.tmp", ".*.old", ".*.del"):
        for path in directory.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink()


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Keep other processes out of a directory; the claim ends with the process, however it ends.

    Raises:
        FileError: another process is at work there, or it cannot be written.
    """
    try:
        import fcntl
    except ImportError:  # Windows; two runs in one directory are not noticed there
        yield
        return
    path = directory / ".lock"
    try:
        file = path.open("a")
    except OSError as error:
        raise _cannot_write(path, error) from error
    with file:
        try:
            # Unlike flock, this is not handed on to the workers that a run forks and that may outlive it.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise FileError(
                    f"another process is at work in {directory}",
                    hint="wait until it has ended, or choose another directory",
                ) from error
            # Some file systems have no locks, which is no reason not to train there.
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _cannot_write(path: Path, error: OSError) -> FileError:
    told = FileError(
        f"{path} cannot be written: {error.strerror or error}",
        hint="make room there, or choose another place",
    )
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        # Nothing was asked for that cannot be; the work failed.
        told.exit_code = 1
    return told


def read_text(path: Path, what: str, *, limit: int = _MAX_BYTES) -> str:
    """The text of a small file.

    Raises:
        FileError: it is missing, not a plain file, unreadable, too large or no UTF-8.
    """
    try:
        if not path.is_file():
            raise FileError(f"{what} {path} does not exist" if not path.exists() else f"{path} is not a file")
        if path.stat().st_size > limit:
            raise FileError(f"{path} is larger than {limit:,} bytes; that is no {what}")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FileError(
            f"{path} is damaged: it is no UTF-8 text ({error.reason} at byte {error.start})"
        ) from None


def parse_json(text: str, where: str) -> Any:
    """JSON without NaN and infinities.

    Raises:
        FileError: it is no such JSON; names the file and the place.
    """

    def refuse(constant: str) -> Iterable[Any]:
        raise ValueError(f"{constant} is no JSON number")

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{where} is damaged: {error}") from None
