"""Reading NumPy's files without unpickling, and without unpacking more than their headers declare."""

import io
import math
import zipfile
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from genmod import DataError
from genmod.plugins.datasets._rows import read_header

__all__ = ["arranged", "array_names", "finite_values", "read_arrays", "stored_counts", "stored_values"]

_CHANNELS = (1, 3, 4)
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


def arranged(name: str, x: NDArray[Any], layout: str) -> NDArray[Any]:
    """Images to ``(N, channels, height, width)``; a table ``(N, columns)`` as it is.

    Args:
        name: what to call the array in errors.
        x: the array.
        layout: ``chw``, ``hwc``, or ``auto``: channels are where there are 1, 3 or 4.

    Raises:
        DataError: another shape, or one in which the channels are ambiguous.
    """
    if 0 in x.shape or x.ndim not in (2, 3, 4):
        raise DataError(
            f"{name} has the shape {x.shape}; allowed are tables (N, columns) and images (N, height, width), "
            "(N, channels, height, width) and (N, height, width, channels)"
        )
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 2 or layout == "chw":
        return x
    first, last = x.shape[1] in _CHANNELS, x.shape[3] in _CHANNELS
    if layout == "auto" and first == last:
        raise DataError(
            f"{name} has the shape {x.shape}, in which the channels are ambiguous",
            hint="name the layout: -s dataset.layout=chw for (N, channels, height, width), or hwc",
        )
    return x.transpose(0, 3, 1, 2) if layout == "hwc" or last else x


def stored_counts(name: str, x: NDArray[Any]) -> NDArray[Any]:
    """Counts as a dataset holds them, ``int32``; any shape → the same shape.

    Raises:
        DataError: values that are not whole numbers from 0 to 2³¹ - 1; says how many, and where the first is.
    """
    if x.dtype.kind not in "biuf":
        raise DataError(
            f"{name} has values of type {x.dtype}; allowed are whole numbers and floats that are whole"
        )
    with np.errstate(invalid="ignore"):
        allowed = (x >= 0) & (x < 2**31) & (x == np.floor(x))
    if not allowed.all():
        first = _first_outside(allowed)
        raise DataError(
            f"{name} has {int((~allowed).sum())} values that are no counts; the first is {x[first]} in example "
            f"{first[0]}, at {first[1:]}",
            hint="leave -s dataset.counts out, or save whole numbers from 0 on",
        )
    return np.ascontiguousarray(x, dtype=np.int32)


def stored_values(name: str, x: NDArray[Any], *, whole: bool = True) -> NDArray[Any]:
    """Values as a dataset holds them: bytes, or floats in single precision; any shape → the same shape.

    Args:
        name: what to call the array in errors.
        x: the array.
        whole: refuse a column of a table whose values single precision cannot distinguish.

    Raises:
        DataError: another type, or values that are not finite; says how many, and where the first is.
    """
    if x.dtype == np.bool_ or x.dtype == np.uint8:
        return np.ascontiguousarray(x, dtype=np.uint8)
    values = finite_values(name, x, np.float32)
    if whole and x.ndim == 2 and x.dtype.itemsize > 4 and len(x):
        # By the range, as mean and deviation would lose digits too: 256 steps of single precision.
        spread = x.max(0) - x.min(0)
        lost = (spread > 0) & (np.abs(x).max(0) * 2.0**-24 > spread / 256)
        if lost.any():
            column = int(np.argmax(lost))
            raise DataError(
                f"single precision cannot distinguish the values of column {column} of {name}: they are "
                f"{x[:, column].min():.10g} to {x[:, column].max():.10g}",
                hint="shift and scale them to mean 0 and deviation 1: -s dataset.standardize=true; or subtract a constant",
            )
    return values


def finite_values(name: str, x: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Floats in a precision; any shape → the same shape.

    Raises:
        DataError: another type, or values that are not finite; says how many, and where the first is.
    """
    if x.dtype.kind != "f":
        raise DataError(
            f"{name} has values of type {x.dtype}; allowed are uint8, bool and floats",
            hint="save images of values 0 to 255 as x.astype('uint8'), other numbers as x.astype('float32')",
        )
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(x, dtype=dtype)
    finite = np.isfinite(values)
    if not finite.all():
        first = _first_outside(finite)
        raise DataError(
            f"{name} has {int((~finite).sum())} values that are NaN, infinite or beyond {np.dtype(dtype).name}; "
            f"the first is example {first[0]}, at {first[1:]}",
            hint="remove these examples, or declare NaN a missing value: -s dataset.missing=true",
        )
    return values


def _first_outside(allowed: NDArray[np.bool_]) -> tuple[int, ...]:
    """The place of the first value that is not allowed."""
    return tuple(int(i) for i in np.unravel_index(np.argmin(allowed), allowed.shape))


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
