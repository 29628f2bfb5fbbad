"""What is kept in the user's cache folder for the next start: where it is, how much there may be, and what is there.

Only regular files with the names that genmod gives are counted and removed. Links are not followed.
"""

import math
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from genmod.errors import UsageError

__all__ = ["KeptFile", "clear_kept", "kept_files", "kept_folder", "kept_limit", "room_for"]

_OWN = re.compile(r"(?P<kind>[a-z]+)-[0-9a-f]{32}\.(safetensors|rows)")
_LEFT = re.compile(r"\.[a-z]+-[0-9a-f]{32}\.(safetensors|rows)\.[0-9a-f]{8}\.tmp")
_DEFAULT_GIB = 20.0
_ABANDONED = 24 * 3600
"""Seconds after which an unfinished file has no process any more that would finish it."""


@dataclass(frozen=True)
class KeptFile:
    """A file in the cache folder.

    Args:
        path: where it is.
        kind: what it has, such as ``pictures`` or ``folder``.
        size: bytes that it may come to have.
        taken: bytes that it takes now; less while not all of it has been written.
        used: when it was used last, in seconds since 1970.
    """

    path: Path
    kind: str
    size: int
    taken: int
    used: float


def kept_folder() -> Path | None:
    """``$GENMOD_CACHE``, else ``~/.cache/genmod/listings``; None where nothing is kept: it is 0, or there is no home."""
    chosen = os.environ.get("GENMOD_CACHE", "")
    if chosen == "0":
        return None
    folder = Path(chosen or (Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "genmod" / "listings"))
    try:
        return folder.expanduser()
    except RuntimeError:  # this user has no home
        return None


def kept_limit() -> int:
    """Bytes that files of rows may take together: ``$GENMOD_CACHE_SIZE`` GiB, else 20 GiB.

    Raises:
        UsageError: the variable is no number that is 0 or more.
    """
    text = os.environ.get("GENMOD_CACHE_SIZE", "")
    try:
        size = float(text or _DEFAULT_GIB)
    except ValueError:
        size = -1.0
    if not (math.isfinite(size) and size >= 0):
        raise UsageError(
            f"GENMOD_CACHE_SIZE is {text!r}; allowed is a number of GiB, 0 or more",
            hint="GENMOD_CACHE_SIZE=50, or unset it",
        )
    return int(size * 2**30)


def kept_files() -> list[KeptFile]:
    """The files of genmod in the cache folder, the one that was used last at the end."""
    found = []
    for entry in _entries():
        matched = _OWN.fullmatch(entry.name)
        with suppress(OSError):
            status = entry.stat(follow_symlinks=False)
            if matched and stat.S_ISREG(status.st_mode):
                taken = min(status.st_size, getattr(status, "st_blocks", math.inf) * 512)
                place = Path(entry.path)
                found.append(KeptFile(place, matched["kind"], status.st_size, int(taken), status.st_mtime))
    return sorted(found, key=lambda file: (file.used, file.path))


def clear_kept() -> list[KeptFile]:
    """Remove the files of genmod from the cache folder; those that were removed.

    A run that is reading or filling one goes on, and what it adds is lost.
    """
    _remove_leftovers()
    return [file for file in kept_files() if _removed(file.path)]


def room_for(size: int, besides: Path) -> str:
    """Make room for a file of rows, by removing those that were not used for the longest time; why there is none, or nothing.

    Args:
        size: of the file in bytes.
        besides: its path; what is there counts as gone.
    """
    limit = kept_limit()
    if size > limit:
        return (
            f"at most {limit / 2**30:g} GiB are kept; GENMOD_CACHE_SIZE={math.ceil(size / 2**30)} allows it"
        )
    _remove_leftovers()
    others = [file for file in kept_files() if file.path.suffix == ".rows" and file.path != besides]
    total = sum(file.size for file in others) + size
    for file in others:
        if total <= limit:
            break
        if _removed(file.path):
            total -= file.size
    try:
        free = shutil.disk_usage(besides.parent).free
    except OSError as error:
        return f"{besides.parent} cannot be used: {error.strerror}"
    if size > free / 2:
        return f"that would be more than half of what is free in {besides.parent}, {free / 2**30:.1f} GiB"
    return ""


def _entries() -> Iterator["os.DirEntry[str]"]:
    folder = kept_folder()
    if folder is not None:
        with suppress(OSError), os.scandir(folder) as entries:
            yield from entries


def _remove_leftovers() -> None:
    """Remove what killed processes have begun and not finished."""
    for entry in list(_entries()):
        with suppress(OSError):
            status = entry.stat(follow_symlinks=False)
            old = time.time() - status.st_mtime > _ABANDONED
            if _LEFT.fullmatch(entry.name) and stat.S_ISREG(status.st_mode) and old:
                os.unlink(entry.path)


def _removed(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True
