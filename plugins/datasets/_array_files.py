"""Reading NumPy's files without unpickling, and without unpacking more than their headers declare."""

import io
import math
import zipfile
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from genmod import DataError
from genmod.plugins.datasets._rows import read_header

__all__ = ["array_names", "read_arrays"]

_Source = tuple[Callable[[], IO[bytes]], int]


def read_arrays(path: Path, names: Collection[str], max_bytes: int) -> dict[str, NDArray[Any]]:
    """Arrays of an ``.npz`` file, or the one of an ``.npy`` file under the name ``x``.

    Args:
        path: the file.
        names: which arrays to read; those that the file lacks are left out.
        max_bytes: how much they may take together.

    Raises:
        DataError: the file is damaged, an array holds Python objects, or they take more than ``max_bytes``;
            the latter two before any of it is unpacked.
    """
    try:
        with ExitStack() as stack:
            sources = {name: source for name, source in _sources(path, stack).items() if name in names}
            total = sum(_promised_bytes(name, *source) for name, source in sources.items())
            if total > max_bytes:
                raise DataError(
                    f"{path} takes {total:,} bytes in memory; max_bytes allows {max_bytes:,}",
                    hint=f"if you trust the file: -s dataset.max_bytes={total}",
                )
            return {name: _read(open_) for name, (open_, _) in sources.items()}
    except DataError:
        raise
    except Exception as error:  # damaged files make zipfile and NumPy raise nearly anything
        raise _unreadable(path, error) from error


def array_names(path: Path) -> list[str]:
    """The arrays that a file has.

    Raises:
        DataError: the file is damaged.
    """
    try:
        with ExitStack() as stack:
            return sorted(_sources(path, stack))
    except Exception as error:
        raise _unreadable(path, error) from error


def _sources(path: Path, stack: ExitStack) -> dict[str, _Source]:
    """Array → how to open it, and how many bytes that gives."""
    file = stack.enter_context(path.open("rb"))
    magic = file.read(len(npy.MAGIC_PREFIX))
    if magic == npy.MAGIC_PREFIX:
        return {"x": (partial(io.FileIO, path), path.stat().st_size)}
    archive = stack.enter_context(zipfile.ZipFile(file))
    members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
    return {m.filename.removesuffix(".npy"): (partial(archive.open, m), m.file_size) for m in members}


def _promised_bytes(name: str, open_: Callable[[], IO[bytes]], size: int) -> int:
    with open_() as file:
        shape, _, dtype = read_header(file)
        if dtype.hasobject or dtype.names or not dtype.itemsize:
            raise ValueError(f"{name} holds {dtype}, where numbers or texts are allowed")
        promised = math.prod(shape) * dtype.itemsize
        if promised != size - file.tell():
            raise ValueError(f"{name} declares the shape {shape}, which does not fit its {size:,} bytes")
        return promised


def _read(open_: Callable[[], IO[bytes]]) -> NDArray[Any]:
    with open_() as file:
        array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
        return array


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path} cannot be read as .npz or .npy: {error}",
        hint="save it again: numpy.savez_compressed(PATH, x=x), where x has dtype uint8, bool or float32",
    )
