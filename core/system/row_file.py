"""A file of rows of equal size that several processes fill and read at once.

A row is there if its mark is its checksum. Its bytes are written first, then its mark, so that a process may be killed at any
moment: every row that was marked stays. After a loss of power, rows that are not whole on the disk count as missing. All that
write a row write the same bytes, for the key of a row says what it is made of. What is there is never changed: where keys
change, another file takes the place of the old one, with the rows whose keys are as before, and who has the old one open goes
on with it.

Rows are read by position, which takes them from the system's page cache as a map in memory would. A map would end the process
where the file cannot be read, such as when another machine has removed it from a network drive.
"""

import json
import os
import secrets
import stat
import weakref
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from threading import Lock
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from genmod.errors import FileError
from genmod.system.files import parse_json
from genmod.system.private import is_mine

__all__ = ["RowFile", "about_rows"]

_FORMAT = "genmod rows 1"
_PAGE = 4096
_AT_ONCE = 2**23
_MOST_KEYS = 2**31
"""Bytes of keys in a file; one that says that it has more is not opened."""
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_in_turn = Lock()

_Keys = NDArray[np.int64]


@dataclass(frozen=True)
class _Layout:
    """Where things are in the file: a page of header, then keys, marks and rows."""

    rows: int
    key_size: int
    row_bytes: int

    @property
    def marks(self) -> int:
        return _PAGE + 8 * self.rows * self.key_size

    @property
    def first(self) -> int:
        return -(-(self.marks + 4 * self.rows) // _PAGE) * _PAGE

    @property
    def size(self) -> int:
        return self.first + self.rows * self.row_bytes


@final
class RowFile:
    """An open file of rows; closed when it is collected. Threads and forked processes may share it.

    Use :meth:`open`.
    """

    def __init__(self, file: FileIO, keys: _Keys, layout: _Layout) -> None:
        self._file, self._keys, self._layout = file, keys, layout
        self._marks = np.zeros(layout.rows, np.uint32)
        _read_into(file, self._marks, layout.marks)
        # Not before this object is gone, whatever order a circle of objects is collected in.
        weakref.finalize(self, file.close)

    @staticmethod
    def open(
        path: Path, about: Mapping[str, Any], keys: _Keys, row_bytes: int, room: Callable[[int], str]
    ) -> "RowFile":
        """The file with these rows, made where there is none, or where that has others.

        Args:
            path: of the file, in a folder that exists.
            about: what all rows are made by, plain data; a file that is about something else is not used.
            keys: what each row is made of, ``(n, columns)``.
            row_bytes: bytes of each row.
            room: from the size of a new file to the reason why it may not be made; empty if it may.

        Raises:
            OSError: it cannot be made, or there is something at ``path`` that is no file.
        """
        keys = np.ascontiguousarray(keys, np.int64)
        layout = _Layout(keys.shape[0], keys.shape[1], row_bytes)
        old = _existing(path, about, row_bytes)
        if old is not None and np.array_equal(old._keys, keys):
            with suppress(OSError):
                os.utime(path)  # when it was used last
            return old
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise OSError(0, f"{path} is not a file")
        # Another user would read what is written there, and say what it holds.
        if path.exists() and not is_mine(path.stat()):
            raise OSError(0, f"{path} belongs to another user")
        reason = room(layout.size)
        if reason:
            raise OSError(0, reason)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        # Nobody else may see what only the user may.
        file = FileIO(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600), "r+")
        try:
            before = _inode(path) if old is None else os.fstat(old._file.fileno()).st_ino
            # Most of it is a hole: it takes room on the disk when it is filled.
            file.truncate(layout.size)
            _write_at(file, _header(about, layout), 0)
            _write_at(file, keys.tobytes(), _PAGE)
            made = RowFile(file, keys, layout)
            if old is not None:
                made._take_over(old)
            _put_in_place(temporary, path, before)
        except BaseException:
            file.close()
            raise
        finally:
            with suppress(OSError):
                temporary.unlink()
        # Of two processes that have made it at the same time, both use the same one.
        there = _existing(path, about, row_bytes)
        return there if there is not None and np.array_equal(there._keys, keys) else made

    def take(self, row: int, out: NDArray[np.uint8]) -> bool:
        """Read a row into ``out (row_bytes,)``, if it is there and whole; if not, ``out`` has any values."""
        try:
            if not self._marks[row]:
                _read_into(self._file, self._marks[row : row + 1], self._layout.marks + 4 * row)
                if not self._marks[row]:
                    return False
            if not _read_into(self._file, out, self._layout.first + row * self._layout.row_bytes):
                return False
        except OSError:  # removed by another machine, or a disk that fails
            return False
        return bool(self._marks[row] == self._mark(row, out))

    def put(self, row: int, content: NDArray[np.uint8]) -> None:
        """Write a row, ``(row_bytes,)``.

        Raises:
            OSError: it cannot be written, such as on a disk that is full; the row is not there then.
        """
        mark = self._mark(row, content)
        _write_at(self._file, content.data, self._layout.first + row * self._layout.row_bytes)
        _write_at(self._file, np.uint32(mark).tobytes(), self._layout.marks + 4 * row)
        self._marks[row] = mark

    def _mark(self, row: int, content: NDArray[np.uint8]) -> int:
        """The checksum of a row and its key, so that no row can pass for another; never 0, which is no mark."""
        return zlib.crc32(content.data, zlib.crc32(self._keys[row].data)) or 1

    def _take_over(self, old: "RowFile") -> None:
        """Copy the rows of another file whose keys are as before."""
        order = np.lexsort(old._keys.T[::-1])
        table = old._keys[order]
        twice = np.zeros(len(table), np.bool_)
        twice[1:] = (table[1:] == table[:-1]).all(1)
        twice[:-1] |= twice[1:]
        table, order = table[~twice], order[~twice]  # of what looks alike nobody knows which is which
        places = _find(table, self._keys)
        rows = np.flatnonzero(places >= 0)
        sources = order[places[rows]]
        there = old._marks[sources] != 0
        rows, sources = rows[there], sources[there]
        size = self._layout.row_bytes
        buffer = np.empty(max(1, _AT_ONCE // size) * size, np.uint8)
        start = 0
        # Runs of rows that lie side by side in both files.
        breaks = np.flatnonzero((np.diff(rows) != 1) | (np.diff(sources) != 1)) + 1
        for stop in [*breaks.tolist(), len(rows)]:
            while start < stop:
                count = min(stop - start, len(buffer) // size)
                part = buffer[: count * size]
                if _read_into(old._file, part, old._layout.first + int(sources[start]) * size):
                    _write_at(self._file, part.data, self._layout.first + int(rows[start]) * size)
                start += count
        self._marks[rows] = old._marks[sources]
        _write_at(self._file, self._marks.tobytes(), self._layout.marks)


def _find(table: _Keys, wanted: _Keys) -> NDArray[np.int64]:
    """The place of each of some rows in a table that is sorted by its columns; -1 of those that it has not."""
    if not len(table):
        return np.full(len(wanted), -1)
    at = np.searchsorted(table[:, 0], wanted[:, 0]).clip(max=len(table) - 1)
    return np.where((table[at] == wanted).all(1), at, -1)


def _existing(path: Path, about: Mapping[str, Any], row_bytes: int) -> RowFile | None:
    """The file at a path, if it is whole and about the same."""
    file = _opened(path)
    if file is None:
        return None
    try:
        said = _header_of(file)
        layout = _Layout(said["rows"], said["key_size"], row_bytes)
        other = said != _said(about, layout) or os.fstat(file.fileno()).st_size != layout.size
        if other or layout.marks > _MOST_KEYS:
            raise ValueError("a file of other rows")
        keys = np.zeros((layout.rows, layout.key_size), np.int64)
        _read_into(file, keys.reshape(-1), _PAGE)
        return RowFile(file, keys, layout)
    except (OSError, ValueError):
        file.close()
        return None


def about_rows(path: Path) -> Mapping[str, Any] | None:
    """What the rows of a file are made by; None where it is no such file."""
    file = _opened(path)
    if file is None:
        return None
    with file:
        try:
            found: Mapping[str, Any] = _header_of(file)["about"]
        except (OSError, ValueError):
            return None
        return found


def _opened(path: Path) -> FileIO | None:
    try:
        file = FileIO(os.open(path, os.O_RDWR | _FLAGS), "r+")
    except OSError:
        return None
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and is_mine(status):
        return file
    file.close()
    return None


def _header_of(file: FileIO) -> dict[str, Any]:
    """The header of a file.

    Raises:
        ValueError: it is none, or says the impossible.
    """
    page = np.zeros(_PAGE, np.uint8)
    _read_into(file, page, 0)
    try:
        said = parse_json(page.tobytes().decode(), "the file")
    except FileError as error:
        raise ValueError(error.message) from None
    sizes = [said.get(name) for name in ("rows", "key_size", "row_bytes")] if isinstance(said, dict) else []
    sane = bool(sizes) and all(type(size) is int and 0 < size < 2**48 for size in sizes)
    if not sane or said.get("format") != _FORMAT or not isinstance(said.get("about"), dict):
        raise ValueError("it is no file of rows")
    return said


def _said(about: Mapping[str, Any], layout: _Layout) -> dict[str, Any]:
    sizes = {"rows": layout.rows, "key_size": layout.key_size, "row_bytes": layout.row_bytes}
    return {"format": _FORMAT, "about": dict(about), **sizes}


def _header(about: Mapping[str, Any], layout: _Layout) -> bytes:
    content = json.dumps(_said(about, layout)).encode()
    if len(content) > _PAGE - 1:
        raise OSError(0, f"a description of {len(content):,} bytes")
    return content.ljust(_PAGE - 1) + b"\n"


def _put_in_place(temporary: Path, path: Path, before: int | None) -> None:
    """Give a new file its name, in place of the file that was there before; one that came since then stays."""
    if before is not None and _inode(path) == before:
        with suppress(FileNotFoundError):
            path.unlink()
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
    except (OSError, AttributeError, NotImplementedError):  # file systems without second names
        temporary.replace(path)


def _inode(path: Path) -> int | None:
    try:
        return os.stat(path, follow_symlinks=False).st_ino
    except OSError:
        return None


def _read_into(file: FileIO, out: NDArray[Any], place: int) -> bool:
    """Fill an array from a place of a file; False where the file ends before."""
    view, done = out.data.cast("B"), 0
    while done < len(view):
        if hasattr(os, "preadv"):
            count = os.preadv(file.fileno(), [view[done:]], place + done)
        else:
            with _in_turn:
                file.seek(place + done)
                count = file.readinto(view[done:]) or 0
        if not count:
            return False
        done += count
    return True


def _write_at(file: FileIO, content: bytes | memoryview, place: int) -> None:
    view, done = memoryview(content).cast("B"), 0
    while done < len(view):
        if hasattr(os, "pwrite"):
            done += os.pwrite(file.fileno(), view[done:], place + done)
        else:
            with _in_turn:
                file.seek(place + done)
                done += file.write(view[done:]) or 0
