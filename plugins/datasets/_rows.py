"""Rows of large arrays, read one by one from where they are in a file."""

import json
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from itertools import accumulate
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from genmod import DataError

__all__ = ["JoinedRows", "RowFile", "npy_rows", "read_header", "safetensors_rows"]

_TYPES = {
    "U8": np.uint8,
    "BOOL": np.bool_,
    "F16": np.float16,
    "F32": np.float32,
    "F64": np.float64,
    "I16": np.int16,
    "I64": np.int64,
}
_MAX_HEADER = 2**20


@dataclass(frozen=True)
class RowFile:
    """An array in a file whose rows lie one after another.

    Reading takes no address space, unlike a memory map, so that it works below any limit of memory.

    Args:
        path: the file.
        offset: byte at which the array begins.
        shape: of the array, rows first.
        dtype: of its values.
    """

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, indices: Sequence[int]) -> NDArray[Any]:
        """The rows at ``indices``, ``(n, *shape[1:])``.

        Raises:
            DataError: the file cannot be read, or is shorter than it was.
        """
        rows = np.empty((len(indices), *self.shape[1:]), self.dtype)
        size = math.prod(self.shape[1:]) * self.dtype.itemsize
        view = memoryview(rows.reshape(-1).view(np.uint8).data) if rows.size else memoryview(bytearray())
        try:
            # Opened anew each time: workers that share an open file would share the place in it.
            with FileIO(self.path) as file:
                for place, index in enumerate(indices):
                    file.seek(self.offset + index * size)
                    if file.readinto(view[place * size : (place + 1) * size]) != size:
                        raise DataError(f"{self.path} ends within row {index}", hint="restore it from a copy")
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror or error}") from error
        return rows


class JoinedRows:
    """The rows of several files one after the other, or some of them.

    Args:
        files: of arrays that differ in their number of rows alone.
        places: which rows; None for all.
    """

    def __init__(self, files: Sequence[RowFile], places: NDArray[np.int64] | None = None) -> None:
        self.files, self._places = files, places
        self._ends = list(accumulate(map(len, files)))

    def __len__(self) -> int:
        return self._ends[-1] if self._places is None else len(self._places)

    @property
    def nbytes(self) -> int:
        """What they take in memory."""
        return len(self) * math.prod(self.files[0].shape[1:]) * self.files[0].dtype.itemsize

    def read(self, indices: Sequence[int]) -> NDArray[Any]:
        """The rows at ``indices``, ``(n, *shape[1:])``.

        Raises:
            DataError: a file cannot be read.
        """
        if any(not 0 <= i < len(self) for i in indices):
            raise IndexError(f"there are {len(self)} examples")
        rows = [int(i) if self._places is None else int(self._places[i]) for i in indices]
        found = np.empty((len(rows), *self.files[0].shape[1:]), self.files[0].dtype)
        owners = [bisect_right(self._ends, row) for row in rows]
        for number in set(owners):
            mine = [place for place, owner in enumerate(owners) if owner == number]
            start = self._ends[number] - len(self.files[number])
            found[mine] = self.files[number].read([rows[place] - start for place in mine])
        return found


def read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it is stored by columns, and type of the array in an ``.npy`` file.

    Raises:
        ValueError: it is no ``.npy`` file, or in a format that is not known.
    """
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"it is in format {version}")
    try:
        return npy.read_array_header_1_0(file) if version == (1, 0) else npy.read_array_header_2_0(file)
    except TokenError as error:
        raise ValueError(f"its header ends too early: {error}") from None


def npy_rows(path: Path) -> RowFile:
    """The array of an ``.npy`` file.

    Raises:
        DataError: damaged, of Python objects, or stored by columns.
    """
    try:
        with path.open("rb") as file:
            shape, by_columns, dtype = read_header(file)
            found = RowFile(path, file.tell(), shape, dtype)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} cannot be read as .npy: {error}") from error
    if by_columns:
        raise DataError(
            f"{path} is stored by columns (Fortran order)", hint="save it again: numpy.ascontiguousarray(x)"
        )
    return _checked(found)


def safetensors_rows(path: Path, name: str) -> RowFile | None:
    """A tensor of a ``.safetensors`` file; None where it has none of that name.

    Raises:
        DataError: the file is damaged, or holds values of another type.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > _MAX_HEADER:
                raise ValueError(f"its header has {length:,} bytes")
            header = json.loads(file.read(length))
        if name not in header:
            return None
        entry = header[name]
        start = int(entry["data_offsets"][0])
        shape = tuple(int(n) for n in entry["shape"])
        found = RowFile(path, 8 + length + start, shape, np.dtype(_TYPES[entry["dtype"]]))
    except (OSError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as .safetensors: {error!r}") from error
    return _checked(found)


def _checked(found: RowFile) -> RowFile:
    if found.dtype.hasobject or found.dtype.names or found.dtype.kind not in "biuf":
        raise DataError(f"{found.path} holds {found.dtype}, where numbers are allowed")
    need = found.offset + math.prod(found.shape) * found.dtype.itemsize
    if not found.shape or min(found.shape) < 1 or found.offset < 0 or need > found.path.stat().st_size:
        raise DataError(f"{found.path} declares the shape {found.shape}, which does not fit its size")
    return found
