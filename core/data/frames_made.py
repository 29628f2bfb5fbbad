"""Columns made of arrays, and DataFrames made of columns, through pyarrow and narwhals."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genmod.data.cells import PER_SECOND, opened
from genmod.data.column import Column
from genmod.errors import UsageError

__all__ = ["arrow_column", "frame_like"]

_PLAIN = {"String": "string", "Boolean": "bool_", "Float32": "float32", "Float64": "float64"}
_NULLABLE = {
    "bool": "boolean",
    **{f"{u}int{bits}": f"{u.upper()}Int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64)},
}


def arrow_column(column: Column, values: NDArray[np.float64] | Sequence[Any]) -> Any:
    """Values of a column as an Arrow array of the user's type.

    Args:
        column: whose type.
        values: numbers in the user's units, ``(N,)``, NaN where one is missing; of coded columns, constants and
            identifiers the values themselves, None where one is missing.
    """
    import pyarrow as pa

    base, _, inner = column.dtype.partition("(")
    if not isinstance(values, np.ndarray):
        return _plain_column(column, base, list(values))
    missing = np.isnan(values)
    filled = np.where(missing, 0, values)
    if base in ("Datetime", "Duration", "Time", "Date"):
        unit, _, zone = inner.rstrip(")").partition(", ")
        per = 1 if base == "Date" else PER_SECOND[unit]
        return _times(pa.array(np.rint(filled * per).astype(np.int64), mask=missing), base, unit, zone)
    kind = _PLAIN.get(base)
    if kind is not None:
        return pa.array(values, getattr(pa, kind)(), mask=missing)
    whole = _integer(base)
    limits = np.iinfo(whole.to_pandas_dtype())
    # Python's own numbers: the largest of 64 bits are no floats.
    numbers = [min(max(int(v), limits.min), limits.max) for v in np.rint(filled)]
    return pa.array([None if m else v for v, m in zip(numbers, missing, strict=True)], whole)


def _plain_column(column: Column, base: str, values: list[Any]) -> Any:
    """Values as they are, None where one is missing."""
    import pyarrow as pa

    if base in ("Categorical", "Enum"):
        known = [str(value) for value in column.values]
        place = {value: i for i, value in enumerate(known)}
        if not set(values) <= {*known, None}:
            return pa.array(values, pa.string())
        codes = pa.array([place.get(value) for value in values], pa.int32())
        return pa.DictionaryArray.from_arrays(codes, pa.array(known, pa.string()), ordered=base == "Enum")
    if base in ("Datetime", "Duration", "Time", "Date"):
        return pa.array(values)
    kind = _PLAIN.get(base)
    return pa.array(values, _integer(base) if kind is None else getattr(pa, kind)())


def _times(ticks: Any, base: str, unit: str, zone: str) -> Any:
    """Whole numbers of a unit, or of days, as dates or times."""
    import pyarrow as pa

    if base == "Date":
        return ticks.cast(pa.int32()).cast(pa.date32())
    if base == "Duration":
        return ticks.cast(pa.duration(unit))
    if base == "Time":
        short = unit in ("s", "ms")
        return ticks.cast(pa.int32()).cast(pa.time32(unit)) if short else ticks.cast(pa.time64(unit))
    return ticks.cast(pa.timestamp(unit, zone or None))


def _integer(base: str) -> Any:
    import pyarrow as pa

    name = base.lower()
    return (
        getattr(pa, name)()
        if name.removeprefix("u").removeprefix("int") in ("8", "16", "32", "64")
        else pa.float64()
    )


def frame_like(columns: Mapping[str, Any], like: Any) -> Any:
    """Arrow arrays as a DataFrame.

    Args:
        columns: by name, in order.
        like: a DataFrame of the wanted package, whose types are taken where the values fit; the package's name; or
            None for pandas where it is installed, else pyarrow.

    Raises:
        UsageError: there is no such package.
    """
    import pyarrow as pa

    table = pa.table(dict(columns))
    if like is None:
        if find_spec("pandas") is None:
            return table
        like = "pandas"
    if isinstance(like, str):
        backend, types = like, None
    else:
        found = opened(like)
        backend, types = found.implementation.name.lower(), found
    if backend == "pyarrow":
        return _cast_arrow(table, types)
    if backend == "pandas":
        return _pandas(table, None if types is None else types.to_native())
    import narwhals

    try:
        made = narwhals.from_arrow(table, backend=backend)  # type: ignore[arg-type]
    except (ImportError, ValueError, AttributeError) as error:
        raise UsageError(
            f"there is no DataFrame of {backend!r}: {error}", hint="choose pandas, polars or pyarrow"
        ) from error
    if types is not None:
        casts = {name: types[name].dtype for name in made.columns if name in types.columns}
        for name, dtype in casts.items():
            try:
                made = made.with_columns(narwhals.col(name).cast(dtype))
            except Exception:  # the values do not fit the type that they had
                continue
    return made.to_native()


def _cast_arrow(table: Any, types: Any) -> Any:
    import pyarrow as pa

    if types is None:
        return table
    schema = types.to_native().schema
    for place, name in enumerate(table.column_names):
        if name in schema.names:
            try:
                table = table.set_column(place, name, table.column(name).cast(schema.field(name).type))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # as above
                continue
    return table


def _pandas(table: Any, like: Any) -> Any:
    """With nullable types where cells are missing: whole numbers stay whole, and truth values themselves."""
    # Python's own numbers are exact, where floats with NaN are not.
    frame = table.to_pandas(integer_object_nulls=True)
    for name, kind in zip(table.column_names, map(str, table.schema.types), strict=True):
        if table.column(name).null_count and kind in _NULLABLE:
            frame[name] = frame[name].astype(_NULLABLE[kind])
    if like is None:
        return frame
    if len(like) == len(frame):
        frame.index = like.index
    for name in frame.columns:
        if name in like.columns and frame[name].dtype != like[name].dtype:
            try:
                frame[name] = frame[name].astype(like[name].dtype)
            except (
                TypeError,
                ValueError,
                NotImplementedError,
            ):  # the values do not fit the type that they had
                continue
    return frame
