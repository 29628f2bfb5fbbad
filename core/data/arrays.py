"""Arrays as datasets hold them: their layout, their values, and what a model must know about these."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genmod.data.dataset import DataInfo
from genmod.errors import DataError

__all__ = ["arranged", "described", "ends_of", "finite_values", "stored_counts", "stored_values"]

_CHANNELS = (1, 3, 4)
_AT_ONCE = 2**18
"""Values that are looked at at a time."""


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
            f"the first is example {first[0]}, {_place(first[1:])}",
            hint="remove these examples, or declare NaN a missing value: -s dataset.missing=true",
        )
    return values


def _first_outside(allowed: NDArray[np.bool_]) -> tuple[int, ...]:
    """The place of the first value that is not allowed."""
    return tuple(int(i) for i in np.unravel_index(np.argmin(allowed), allowed.shape))


def described(
    parts: Iterable[torch.Tensor], *, levels: bool, counts: bool = False, bounded: bool = True
) -> DataInfo:
    """What a model must know about stored values: 256 levels or 2, [0, 1] where all of them are there, else unbounded.

    Args:
        parts: the examples of each split, ``(N, *shape)``; NaN are left out.
        levels: whether they are bytes.
        counts: whether they are counts.
        bounded: whether floats may be taken to lie in [0, 1].

    Example:
        >>> described([torch.tensor([[0, 255]], dtype=torch.uint8)], levels=True).levels
        256
    """
    parts = list(parts)
    shape = tuple(parts[0].shape[1:])
    if counts:
        return DataInfo(shape, 0.0, math.inf, counts=True)
    ends = [ends_of(x) for x in parts]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if low > high:
        low = high = 0.0  # no value at all
    if levels:
        return DataInfo(shape, levels=256 if high > 1 else 2)
    if low >= 0 and high <= 1 and bounded:
        return DataInfo(shape)
    return DataInfo(shape, -math.inf, math.inf)


def _ends(x: torch.Tensor) -> tuple[float, float]:
    if not x.numel():
        return math.inf, -math.inf
    low, high = x.aminmax()
    return float(low), float(high)


def ends_of(x: torch.Tensor) -> tuple[float, float]:
    """The smallest and the largest value of ``x (N, *shape)`` that is not NaN; infinity and minus infinity of none.

    Some rows at a time: to choose among values takes many times their memory.

    Example:
        >>> ends_of(torch.tensor([[0.5, math.nan], [2.0, 1.0]]))
        (0.5, 2.0)
    """
    low, high = math.inf, -math.inf
    for rows in x.split(max(1, _AT_ONCE // max(1, x[:1].numel()))):
        # Hardly any data have NaN, with which the ends of all are NaN.
        ends = _ends(rows)
        least, most = _ends(rows.flatten()[~rows.flatten().isnan()]) if math.isnan(ends[0]) else ends
        low, high = min(low, least), max(high, most)
    return low, high


def _place(first: tuple[int, ...]) -> str:
    """Where a value of an example lies, in words."""
    return f"column {first[0]}, both counted from 0" if len(first) == 1 else f"at {first}"
