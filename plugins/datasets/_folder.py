"""The pictures below a folder, listed once: a second time, only the folders are looked at."""

import os
import time
from array import array
from dataclasses import dataclass
from pathlib import Path
from sys import intern

import numpy as np
from numpy.typing import NDArray

from genmod import DataError
from genmod.data import mixed_text
from genmod.plugins.datasets._cache import cache_file, is_settled, joined, kept, parted, read_kept
from genmod.plugins.datasets._listing import Listing, stamp_of

__all__ = ["SUFFIXES", "FileListing", "FolderListing"]

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_TYPES = {"names": (np.uint8, 1), "hashes": (np.int64, 1), "folders": (np.uint8, 1), "marks": (np.int64, 2)}
_UNSAFE = (b"/.", b"\0.", b"//", b"\0/", b"/\0", b"\0\0")
"""What is in no list of names, framed by zero bytes: hidden files, empty names, and ways out of the folder."""


class FolderListing(Listing):
    """Pictures in a folder and its subfolders, in the order of their paths; the first subfolder is the class, if all have one.

    Hidden files are passed over, links are followed.

    Args:
        place: the folder.

    Raises:
        DataError: it cannot be read.
    """

    def __init__(self, place: Path) -> None:
        found = _known(place) or _walked(place)
        labelled = all("/" in name for name in found.names)
        # One text for each class: a million of their own would take 60 MB.
        labels = [intern(name.partition("/")[0]) if labelled else "" for name in found.names]
        super().__init__(place, found.names, labels, found.hashes)

    def source(self, row: int) -> Path:
        return self.place / self.names[row]

    def stamps(self) -> NDArray[np.int64]:
        start = f"{self.place}/"
        made = array("q")
        for name in self.names:
            try:
                status = os.stat(start + name)
            except OSError as error:
                raise DataError(f"{start}{name} cannot be read: {error.strerror}") from error
            made.extend(stamp_of(status))
        return np.frombuffer(made, np.int64).reshape(-1, 3)


class FileListing(Listing):
    """A single picture, without a class.

    Args:
        place: the file.
    """

    def __init__(self, place: Path) -> None:
        super().__init__(place, [place.name], [""], np.array([mixed_text(place.name)], np.uint64))

    def source(self, row: int) -> Path:
        return self.place

    def stamps(self) -> NDArray[np.int64]:
        return np.array([stamp_of(os.stat(self.place))], np.int64)


@dataclass(frozen=True)
class _Found:
    names: list[str]
    hashes: NDArray[np.uint64]


def _walked(place: Path) -> _Found:
    """All pictures below a folder, kept for the next time."""
    names: list[str] = []
    folders: list[str] = []
    marks: list[tuple[int, int, int]] = []
    waiting, seen, begun = [""], set(), time.time_ns()
    while waiting:
        current = waiting.pop()
        try:
            mark = _mark(place, current)
            if mark[1:] in seen:  # links may lead back up
                continue
            seen.add(mark[1:])
            with os.scandir(place / current) as entries:
                visible = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
            below = [entry for entry in visible if entry.is_dir()]
            names.extend(
                current + e.name for e in visible if e.name.lower().endswith(SUFFIXES) and e.is_file()
            )
        except OSError as error:
            raise DataError(f"{place / current} cannot be read: {error}") from error
        waiting.extend(f"{current}{entry.name}/" for entry in reversed(below))
        folders.append(current)
        marks.append(mark)
    names.sort()
    hashes = np.fromiter(map(mixed_text, names), np.uint64, len(names))
    times = np.array(marks, np.int64).reshape(-1, 3)
    if is_settled(times[:, 0], begun):
        arrays = (joined(names), hashes.view(np.int64), joined(folders), times)
        kept(cache_file("folder", place, len(names)), dict(zip(_TYPES, arrays, strict=True)))
    return _Found(names, hashes)


def _known(place: Path) -> _Found | None:
    """What was found the last time, if no folder has changed since."""
    found = read_kept(cache_file("folder", place), _TYPES)
    if found is None:
        return None
    text, hashes, folders, marks = (found[name] for name in _TYPES)
    framed = b"\0%s\0" % text.tobytes()
    if not len(hashes) or any(each in framed for each in _UNSAFE):
        return None
    names, inside = parted(text), parted(folders)
    if (len(names), len(inside), len(inside)) != (len(hashes), *marks.shape[:1], len(marks)):
        return None
    try:
        now = [_mark(place, name) for name in inside]
    except (OSError, ValueError):
        return None
    return _Found(names, hashes.view(np.uint64)) if np.array_equal(now, marks) else None


def _mark(place: Path, folder: str) -> tuple[int, int, int]:
    """When the entries of a folder changed last, and which folder it is."""
    status = os.stat(place / folder)
    most = 2**63 - 1
    return status.st_mtime_ns, status.st_ino & most, status.st_dev & most
