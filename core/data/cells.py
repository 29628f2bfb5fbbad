"""The cells of a table's columns as arrays, through narwhals and pyarrow, and columns made of arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genmod.errors import DataError, UsageError

__all__ = ["PER_SECOND", "Cells", "cells_of", "is_frame", "need_tables", "opened"]

_FRAMES = ("pandas", "polars", "pyarrow", "modin", "cudf", "narwhals")
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_SHOWN = 5


def need_tables() -> None:
    """Refuse to go on without the packages that read tables.

    Raises:
        UsageError: narwhals or pyarrow is not installed.
    """
    try:
        import narwhals  # noqa: F401
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"tables need narwhals and pyarrow ({error})", hint="pip install 'genmod-torch[tables]'"
        ) from error


def is_frame(given: Any) -> bool:
    """Whether something is a DataFrame of pandas, polars, pyarrow or another package that narwhals knows.

    Example:
        >>> is_frame([[1.0, 2.0]])
        False
    """
    if type(given).__module__.partition(".")[0] not in _FRAMES:
        return False
    need_tables()
    import narwhals

    return isinstance(given, narwhals.DataFrame | narwhals.LazyFrame) or bool(
        narwhals.dependencies.is_into_dataframe(given) or type(given).__name__ == "LazyFrame"
    )


def opened(frame: Any) -> Any:
    """A DataFrame as one of narwhals.

    Raises:
        DataError: it is none, is lazy, or has a column without a name of its own.
    """
    need_tables()
    import narwhals

    try:
        found = narwhals.from_native(frame, eager_only=True)
        names = list(found.columns)
    except TypeError as error:
        lazy = type(frame).__name__ == "LazyFrame"
        raise DataError(
            f"a {type(frame).__name__} is no DataFrame that is held in memory",
            hint="collect it first: frame.collect()"
            if lazy
            else "give a DataFrame of pandas, polars or pyarrow",
        ) from error
    except Exception as error:
        raise DataError(f"the table cannot be read: {error}") from error
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise DataError(
            f"the columns {', '.join(map(repr, wrong[:_SHOWN]))} have no texts for names",
            hint="name them: frame.columns = [...]",
        )
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(
            f"the table has several columns named {', '.join(map(repr, twice[:_SHOWN]))}", hint="rename them"
        )
    return found


@dataclass(frozen=True)
class Cells:
    """The cells of one column.

    Args:
        name: of the column.
        dtype: the user's type.
        values: ``(N,)`` ``int64``, ``float64``, ``bool`` or texts; anything where a cell is missing.
        seen: ``(N,)`` which are there.
        categories: those that the type declares, in order; None where it declares none.
        ordered: whether their order has a meaning.
        time: whether the values are dates or times.
    """

    name: str
    dtype: str
    values: NDArray[Any]
    seen: NDArray[np.bool_]
    categories: tuple[Any, ...] | None = None
    ordered: bool = False
    time: bool = False


def cells_of(frame: Any, name: str) -> Cells:
    """The cells of a column of a narwhals DataFrame.

    Raises:
        DataError: its values are of several types, or of one that is neither number, text, truth value nor date.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    series = frame[name]
    try:
        if str(series.dtype) == "Object":
            _check_alike(name, series.to_list())
        array = series.to_arrow()
        array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"the values of column {name!r} are of several types, or of none that a table can have: {error}",
            hint="give all of them one type, or leave the column out: drop",
        ) from error
    kind, categories, ordered = array.type, None, False
    if pa.types.is_dictionary(kind):
        categories, ordered = array.dictionary.to_pylist(), bool(kind.ordered)
        dtype = "Enum" if ordered else "Categorical"
        array = array.dictionary_decode()
        kind = array.type
        if not pa.types.is_string(kind) and not pa.types.is_large_string(kind):
            categories, ordered, dtype = None, False, ""
    else:
        dtype = ""
    seen = ~np.asarray(pc.is_null(array).to_numpy(zero_copy_only=False), dtype=bool)
    values, found = _values(array, kind, name)
    if values.dtype.kind == "f":
        seen &= ~np.isnan(values)
    return Cells(
        name,
        dtype or found,
        values,
        seen,
        None if categories is None else tuple(categories),
        ordered,
        _is_time(kind),
    )


def _is_time(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_temporal(kind) and not pa.types.is_interval(kind))


def _values(array: Any, kind: Any, name: str) -> tuple[NDArray[Any], str]:
    """Values with a stand-in where there is none, and the name of their type."""
    import pyarrow as pa

    types = pa.types
    if types.is_null(kind):
        return np.full(len(array), np.nan), "Float64"
    if types.is_boolean(kind):
        return array.fill_null(False).to_numpy(zero_copy_only=False), "Boolean"
    if types.is_integer(kind):
        dtype = ("UInt" if types.is_unsigned_integer(kind) else "Int") + str(kind.bit_width)
        filled = array.fill_null(0).to_numpy(zero_copy_only=False)
        large = filled.dtype == np.uint64 and len(filled) and int(filled.max()) > np.iinfo(np.int64).max
        return filled.astype(np.float64 if large else np.int64), dtype
    if types.is_floating(kind) or types.is_decimal(kind):
        dtype = "Float32" if types.is_floating(kind) and kind.bit_width <= 32 else "Float64"
        return array.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype
    if types.is_string(kind) or types.is_large_string(kind) or str(kind) == "string_view":
        return np.asarray(array.fill_null("").to_pylist(), dtype=object), "String"
    if types.is_date(kind):
        days = array.cast(pa.date32()).cast(pa.int32()).fill_null(0)
        return days.to_numpy(zero_copy_only=False).astype(np.int64), "Date"
    if _is_time(kind):
        label = "Datetime" if types.is_timestamp(kind) else "Duration" if types.is_duration(kind) else "Time"
        zone = f", {kind.tz}" if types.is_timestamp(kind) and kind.tz else ""
        ticks = array.view(pa.int32() if types.is_time32(kind) else pa.int64()).fill_null(0)
        seconds = ticks.to_numpy(zero_copy_only=False).astype(np.float64) / PER_SECOND[kind.unit]
        return seconds, f"{label}({kind.unit}{zone})"
    raise DataError(
        f"column {name!r} has values of the type {kind}; columns hold numbers, texts, true and false, dates or times",
        hint="leave it out: -s dataset.drop=NAME",
    )


def _check_alike(name: str, values: Sequence[Any]) -> None:
    """Python objects of one type; Arrow would take true for 1 and refuse the rest in words of its own."""
    kinds = {type(value).__name__ for value in values if value is not None and value == value}
    numbers = {"int", "float", "Decimal"}
    if (
        len(kinds) > 1
        and not kinds <= numbers
        and not all(kind.startswith(("int", "uint", "float")) for kind in kinds)
    ):
        raise DataError(
            f"the values of column {name!r} are of several types: {', '.join(sorted(kinds))}",
            hint="give all of them one type, or leave the column out: drop",
        )
