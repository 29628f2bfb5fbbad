"""Reading and writing files atomically: a crash leaves the old file or the new one, never a part of one.

In folders of genmod only regular files are read and written: links out of the folder are not followed, pipes and devices
are not opened. Files that genmod did not write are never removed.
"""

import errno
import json
import math
import os
import re
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from genmod.errors import FileError, quoted
from genmod.system.nearby import nearby

__all__ = [
    "OWN_SUFFIXES",
    "alone_in",
    "as_json",
    "move",
    "own_path",
    "parse_json",
    "read_bytes",
    "read_text",
    "remove_leftovers",
    "remove_own",
    "staged_directory",
    "staged_file",
    "sync",
    "write_bytes",
    "write_json",
]

_MAX_BYTES = 1_000_000
_TOKEN = "[0-9a-z_]{8,16}"
OWN_SUFFIXES = (".safetensors", ".json", ".jsonl", ".tmp")
"""Suffixes of the files that genmod writes into its folders."""

_WINDOWS = os.name == "nt"
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
# Non-blocking: opening a pipe without a writer would wait.
_PLAIN = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def own_path(directory: Path, *names: str) -> Path:
    """The path of something in a folder; no component below the folder is a link, so the path stays in the folder.

    Raises:
        FileError: a component is a link; the message names it.
    """
    path = directory
    for name in names:
        path = path / name
        if path.is_symlink():
            raise FileError(
                f"{path} is a link; a model directory must not contain links",
                hint=f"replace it by a copy of its target, or remove it: rm {quoted(path)}",
            )
    return path


def read_bytes(path: Path, what: str, *, limit: int = _MAX_BYTES, links: bool = True) -> bytes:
    """The content of a regular file.

    Args:
        path: path of the file.
        what: name of its content, for messages.
        limit: largest allowed size in bytes.
        links: whether the path may be a link.

    Raises:
        FileError: it is missing, not a regular file, unreadable or too large.
    """
    try:
        flags = os.O_RDONLY | _PLAIN | (0 if links else _NO_FOLLOW)
        with open(os.open(path, flags), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise FileError(f"{path} is not a file")
            if about.st_size > limit:
                raise FileError(f"{path} is larger than {limit:,} bytes, too large for a {what}")
            return file.read()
    except FileNotFoundError:
        raise FileError(f"{what} {path} does not exist", hint=nearby(path)) from None
    except IsADirectoryError:
        raise FileError(f"{path} is not a file") from None
    except OSError as error:
        if error.errno == errno.ELOOP and path.is_symlink():
            raise FileError(f"{path} is a link, not a file") from None
        raise FileError(f"{path} cannot be read: {error.strerror}") from error


def read_text(path: Path, what: str, *, limit: int = _MAX_BYTES, links: bool = True) -> str:
    """The text of a regular file; see :func:`read_bytes`.

    Raises:
        FileError: it is missing, not a regular file, unreadable, too large or not UTF-8.
    """
    try:
        # Editors on Windows may begin UTF-8 with a byte-order mark.
        return read_bytes(path, what, limit=limit, links=links).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(
            f"{path} is damaged: it is not UTF-8 text ({error.reason} at byte {error.start})"
        ) from None


def parse_json(text: str, where: str) -> Any:
    """JSON without NaN and infinities.

    Raises:
        FileError: it is not such JSON; the message names the file and the place.
    """

    def finite(number: str) -> float:
        if math.isfinite(float(number)):
            return float(number)
        raise ValueError(f"{number:.40} is not a finite number")

    try:
        return json.loads(text, parse_constant=finite, parse_float=finite)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{where} is damaged: {error}") from None


def sync(folder: Path) -> None:
    """Synchronise the entries of a folder to disk, if the system supports it.

    Windows and some network drives do not; the safety of files then depends on them.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
            raise
    finally:
        os.close(handle)


def move(source: Path, target: Path) -> None:
    """Rename a file or folder; a file of the new name is replaced.

    On Windows this fails while another process, such as a virus scanner, has the file open, so it is tried again.
    """
    for pause in (0.05, 0.1, 0.2, 0.4, 0.8) if _WINDOWS else ():
        with suppress(PermissionError):
            source.replace(target)
            return
        time.sleep(pause)
    source.replace(target)


@contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """Context with the name of a file to be made, which replaces ``path`` at the end, and is removed after an error.

    Raises:
        FileError: it cannot be written; the message names the path and the reason. The old file is unharmed.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        with temporary.open("r+b") as stream:
            os.fsync(stream.fileno())
        # A link of that name is replaced, not followed.
        move(temporary, path)
        sync(path.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise _cannot_write(path, error) from error
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write or replace a file atomically, as :func:`staged_file` does."""
    # Mode "x" opens no existing file or link.
    with staged_file(path) as temporary, temporary.open("xb") as stream:
        stream.write(content)


def write_json(path: Path, plain: Any, *, limit: int = _MAX_BYTES) -> None:
    """Write or replace a JSON file atomically.

    Raises:
        FileError: as for :func:`write_bytes`, or it would be larger than ``limit`` bytes, the limit when it is read.
    """
    content = as_json(plain)
    if len(content) > limit:
        raise FileError(
            f"{path} would have {len(content):,} bytes; at most {limit:,} are allowed",
            hint="give shorter options, or data of fewer classes or columns",
        )
    write_bytes(path, content)


def as_json(plain: Any) -> bytes:
    """Plain data in the JSON format of all files of genmod."""
    text = json.dumps(plain, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    # Bytes of a file name that are not UTF-8 become escapes of JSON, and are read back unchanged.
    return text.encode(errors="backslashreplace")


@contextmanager
def staged_directory(path: Path, *, aside: Path | None = None) -> Iterator[Path]:
    """Context with an empty directory, which is renamed to ``path`` at the end, and removed after an error.

    Args:
        path: final path of the directory.
        aside: new path of what is at ``path``; without it, ``path`` must not exist or be an empty directory.

    Raises:
        FileError: it cannot be written, or ``path`` exists and is not an empty directory.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stage = path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"
        stage.mkdir()
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        yield stage
        sync(stage)
        if aside is not None and path.exists():
            move(path, aside)
        elif _WINDOWS and path.is_dir() and not path.is_symlink():
            path.rmdir()
        # Renaming a directory replaces an empty one, and nothing else.
        move(stage, path)
        sync(path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        if aside is not None and aside.exists() and not path.exists():
            with suppress(OSError):
                move(aside, path)
        # The name is random, so everything in it was written here.
        shutil.rmtree(stage, ignore_errors=True)


def remove_own(path: Path) -> None:
    """Remove a file, or a folder with the files that genmod writes; if it has other files, these and the folder stay."""
    with suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
            return
        for each in path.iterdir():
            if each.is_dir() and not each.is_symlink():
                remove_own(each)
            elif each.suffix in OWN_SUFFIXES:
                each.unlink()
        path.rmdir()


def remove_leftovers(directory: Path, *names: str) -> None:
    """Remove temporary files of killed processes; no other process may write there.

    Args:
        directory: the directory.
        names: regular expressions of the names that genmod writes there.
    """
    left = re.compile(rf"\.({'|'.join(names)})\.({_TOKEN}|\d+)\.tmp|\.({'|'.join(names)})\.del")
    for path in directory.iterdir() if directory.is_dir() else ():
        if left.fullmatch(path.name):
            remove_own(path)


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Context with a lock on a directory; the lock ends with the process, however it ends.

    Raises:
        FileError: another process has the lock, or it cannot be written.
    """
    path = own_path(directory, ".lock")
    busy = FileError(
        f"another process is at work in {directory}",
        hint="wait until it has ended, or choose another directory",
    )
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | _NO_FOLLOW | _PLAIN, 0o666)
        except OSError as error:
            raise _cannot_write(path, error) from error
        with open(handle, "r+b", buffering=0) as lock:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise FileError(f"{path} is not a file", hint=f"remove it: rm {quoted(path)}")
            try:
                _lock(handle)
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                    raise busy from error
                # Some file systems have no locks; there, work goes on without one.
            # The process that had the lock before may have removed the file after it was opened here.
            if not _same_file(handle, path):
                continue
            try:
                yield
            finally:
                if _WINDOWS:
                    # Windows cannot remove a file that any process has open.
                    lock.close()
                with suppress(OSError):
                    path.unlink()
            return


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        # Unlike flock, this lock is not inherited by forked workers, which may outlive the run.
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


def _cannot_write(path: Path, error: OSError) -> FileError:
    refusal = FileError(
        f"{path} cannot be written: {error.strerror or error}",
        hint="make room there, or choose another place",
    )
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        # A full disk is a failure of the work, not an invalid request.
        refusal.exit_code = 1
    return refusal
