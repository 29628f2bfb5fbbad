"""DataFrames to the values that a model sees, and back: in the user's units, names, categories and types."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genmod.data.cells import Cells, cells_of, is_frame, opened
from genmod.data.column import Column
from genmod.data.dataset import DataInfo
from genmod.data.frames_made import arrow_column, frame_like
from genmod.errors import DataError

__all__ = [
    "check_coded",
    "column_differences",
    "is_frame",
    "log_jacobian",
    "numbers_of",
    "stored",
    "to_frame",
    "to_values",
]

_SHOWN = 5
_DAY = 86_400.0


def to_values(info: DataInfo, frame: Any) -> Tensor:
    """The values of a DataFrame as a model sees them, ``(N, modelled columns)`` ``float32``, NaN where one is missing.

    Columns are found by name, whatever their order; others than the model's are not read.

    Args:
        info: of the model.
        frame: a DataFrame of pandas, polars or pyarrow.

    Raises:
        DataError: a column is missing, or has a value that the model cannot know: says which.
    """
    table = opened(frame)
    check_names(info, list(table.columns))
    columns = [numbers_of(column, cells_of(table, column.name)) for column in info.modelled]
    x = stored(info, columns, len(table))
    if not info.missing:
        _check_complete(info, x)
    return x


def check_names(info: DataInfo, names: Sequence[str]) -> None:
    """Refuse a table that lacks a column of the model.

    Raises:
        DataError: names those that are missing.
    """
    lacking = [column.name for column in info.modelled if column.name not in names]
    if lacking:
        raise DataError(
            f"the table has no column {', '.join(map(repr, lacking[:_SHOWN]))}"
            + (f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""),
            hint=f"it has: {', '.join(names[:20])}" + (" …" if len(names) > 20 else ""),
        )


def _check_complete(info: DataInfo, x: Tensor) -> None:
    gone = x.isnan()
    if gone.any():
        found = [
            f"{column.name!r} ({int(gone[:, i].sum()):,} rows, the first is {int(gone[:, i].int().argmax()) + 1})"
            for i, column in enumerate(info.modelled)
            if gone[:, i].any()
        ]
        raise DataError(
            f"cells are missing in column {', '.join(found[:_SHOWN])}, and the model was built from a complete table",
            hint="leave these rows out, or build a model for missing cells: -s dataset.missing=true",
        )


def stored(info: DataInfo, columns: Sequence[NDArray[np.float64]], rows: int) -> Tensor:
    """Numbers of each modelled column, in the units of :class:`Column`, as examples ``(N, modelled columns)``."""
    x = np.empty((rows, info.size), dtype=np.float32)
    for place, (column, numbers) in enumerate(zip(info.modelled, columns, strict=True)):
        with np.errstate(over="ignore"):
            x[:, place] = (column.mapped(numbers) - info.shift[place]) / info.scale[place]
        if np.isinf(x[:, place]).any():
            raise DataError(
                f"column {column.name!r} has values too far from those of training, {column.low:g} to {column.high:g}"
            )
    return torch.from_numpy(x)


def to_frame(
    info: DataInfo,
    x: Tensor,
    like: Any = None,
    keep: Mapping[str, Any] = {},
    *,
    clip: bool = False,
) -> Any:
    """Examples as a DataFrame with all of the user's columns, in their order, units, categories and types.

    Constants are filled in, identifiers are numbers from 1. Whole numbers are rounded, categories too.

    Args:
        info: of the model.
        x: ``(N, modelled columns)``, NaN where a cell is to be empty.
        like: a DataFrame, of whose package and types the result is, or the name of the package: pandas (by default where
            it is installed), polars or pyarrow.
        keep: values of further columns by name, ``N`` each, such as the label, or identifiers.
        clip: bring numbers into the range that they had in training, as draws are.

    Raises:
        DataError: another shape.
        UsageError: there is no such package.
    """
    if x.dim() != 2 or x.shape[1] != info.size:
        raise DataError(f"examples of {tuple(x.shape)}; allowed is (N, {info.size})")
    plain = x.detach().cpu().double().numpy()
    places = {column.name: i for i, column in enumerate(info.modelled)}
    made = {}
    for column in info.columns:
        if column.name in keep:
            made[column.name] = arrow_column(column, list(keep[column.name]))
        elif column.name in places:
            place = places[column.name]
            made[column.name] = _cells(column, plain[:, place], info.shift[place], info.scale[place], clip)
        else:
            made[column.name] = _filled(column, len(plain))
    return frame_like(made, like)


def _cells(column: Column, x: NDArray[np.float64], shift: float, scale: float, clip: bool) -> Any:
    """Examples of one column in the user's units, as an Arrow array."""
    if column.coded:
        gone = np.isnan(x)
        codes = np.rint(np.where(gone, 0, x)).astype(np.int64).clip(0, len(column.values) - 1)
        return arrow_column(
            column, [None if m else column.values[k] for k, m in zip(codes, gone, strict=True)]
        )
    numbers = column.rounded(column.unmapped(shift + scale * x))
    if clip and column.low is not None and column.high is not None:
        numbers = numbers.clip(column.low, column.high)
    if column.kind == "count":
        numbers = numbers.clip(0)
    return arrow_column(column, numbers)


def _filled(column: Column, rows: int) -> Any:
    """Cells of a column that is not modelled."""
    import pyarrow as pa

    if column.kind == "identifier" and not column.given:
        numbers = np.arange(1.0, rows + 1)
        if column.dtype.startswith(("Int", "UInt", "Float")):
            return arrow_column(column, numbers)
        if column.dtype in ("String", "Categorical", "Enum"):
            return pa.array([str(i) for i in range(1, rows + 1)])
        return pa.nulls(rows)
    value = column.values[0] if column.kind == "constant" and column.values else None
    if (
        isinstance(value, int | float) and not isinstance(value, bool) and "(" in column.dtype
    ) or column.dtype == "Date":
        return arrow_column(column, np.full(rows, np.nan if value is None else float(value)))
    return arrow_column(column, [value] * rows)


def log_jacobian(info: DataInfo, x: Tensor) -> Tensor:
    """What turns a log-density of stored values into one per unit of the user: ``log |dx / dv|`` of each column.

    ``log p(v) = log p(x) + log |dx / dv|``; 0 of categories and counts, whose probabilities have no unit. The units are
    days for dates and seconds for times. ``x (N, modelled columns) → (N, modelled columns)``, NaN where x is.
    """
    made = torch.zeros_like(x, dtype=torch.float64)
    for place, column in enumerate(info.modelled):
        if column.scaled:
            scale = torch.tensor(info.scale[place], dtype=torch.float64)
            made[:, place] = -scale.log()
            if column.kind == "positive":
                made[:, place] -= info.shift[place] + scale * x[:, place].double()
    return torch.where(x.isnan(), torch.nan, made)


def numbers_of(column: Column, cells: Cells) -> NDArray[np.float64]:
    """The cells of a column as numbers in the units of :class:`Column`, ``(N,)``, NaN where one is missing.

    Raises:
        DataError: a value is none that the column can have; says which, and where it stands.
    """
    numbers = np.full(len(cells.values), np.nan)
    if not cells.seen.any():
        return numbers
    if column.coded:
        different, places = np.unique(cells.values[cells.seen], return_inverse=True)
        known = _places(column)
        codes = [_code(value, known) for value in different.tolist()]
        new = [value for value, code in zip(different.tolist(), codes, strict=True) if code is None]
        if new:
            rows = int(np.isin(places, [i for i, code in enumerate(codes) if code is None]).sum())
            raise DataError(
                f"column {column.name!r} has values that training did not have: {_listed(new)}, in {rows:,} rows",
                hint=f"it knows {_listed(column.values)}; change them, leave these rows out, or build a new model",
            )
        numbers[cells.seen] = np.array(codes, dtype=np.float64)[places]
        return numbers
    numbers[cells.seen] = _parsed(column, cells)
    wrong = ~np.isfinite(numbers) & cells.seen
    want = "finite numbers"
    if column.kind in ("count", "whole"):
        wrong |= cells.seen & (numbers != np.rint(numbers))
        want = "whole numbers"
    if column.kind in ("count", "positive"):
        wrong |= numbers < 0
        want += " from 0 on"
    if column.kind == "positive" and column.low is not None:
        wrong |= numbers + column.offset <= 0
        want = "numbers above 0" if not column.offset else want
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"column {column.name!r} has {numbers[row]:g} in row {row + 1}; it holds {want}",
            hint="correct it, leave it empty if the model knows missing cells, or name another kind when building",
        )
    return numbers


def _parsed(column: Column, cells: Cells) -> NDArray[np.float64]:
    """The cells that are there as numbers."""
    values, time = cells.values[cells.seen], column.kind == "date"
    if values.dtype == object:
        return _from_texts(column, values, np.flatnonzero(cells.seen), time)
    if time != cells.time:
        raise DataError(
            f"column {column.name!r} holds values of the type {cells.dtype}, and held {column.dtype} in training"
        )
    numbers = values.astype(np.float64)
    if time and (cells.dtype == "Date") != (column.dtype == "Date"):
        return numbers * _DAY if cells.dtype == "Date" else np.floor(numbers / _DAY)
    return numbers


def _from_texts(
    column: Column, texts: NDArray[Any], rows: NDArray[np.int64], time: bool
) -> NDArray[np.float64]:
    import pyarrow as pa

    made = np.empty(len(texts))
    for place, text in enumerate(texts):
        try:
            if time:
                ticks = pa.scalar(text).cast(pa.timestamp("us")).value
                made[place] = ticks / 1e6 if column.dtype != "Date" else ticks // 86_400_000_000
            else:
                made[place] = float(text)
        except (ValueError, pa.ArrowInvalid):
            what = "dates" if time else "numbers"
            raise DataError(
                f"column {column.name!r} has {text!r} in row {int(rows[place]) + 1}; it holds {what}",
                hint="correct it, or leave it empty if the model knows missing cells",
            ) from None
    return made


def _places(column: Column) -> dict[Any, int]:
    """Value → its place; also as files of another type have it: 1 for "1" or 1.0, true for "true"."""
    places: dict[Any, int] = {value: i for i, value in enumerate(column.values)}
    for i, value in enumerate(column.values):
        if isinstance(value, float) and value.is_integer():
            places.setdefault(str(int(value)), i)
        places.setdefault(str(value), i)
        if isinstance(value, bool):
            places.setdefault(str(value).lower(), i)
    for i, value in enumerate(column.values):
        if isinstance(value, str):
            if value.lower() in ("true", "false"):
                places.setdefault(value.lower() == "true", i)
            try:
                places.setdefault(float(value), i)
            except ValueError:
                continue
    return places


def _code(value: Any, known: Mapping[Any, int]) -> int | None:
    return known[value] if value in known else known.get(str(value))


def check_coded(x: Tensor, info: DataInfo) -> None:
    """Refuse stored examples ``x (N, modelled columns)`` whose categories or counts are none.

    Raises:
        DataError: names the column.
    """
    for place, column in enumerate(info.modelled):
        if not (column.coded or column.kind == "count"):
            continue
        values = x[:, place]
        top = len(column.values) - 1 if column.coded else torch.inf
        wrong = ~(values.isnan() | ((values == values.round()) & (values >= 0) & (values <= top)))
        if wrong.any():
            allowed = f"0 to {top}, places of its categories" if column.coded else "whole numbers from 0 on"
            raise DataError(
                f"column {column.name!r} has {float(values[wrong][0]):g} in row {int(wrong.int().argmax()) + 1}; it holds "
                f"{allowed}",
                hint="give a DataFrame in your own units, which is converted",
            )


def column_differences(given: DataInfo, wanted: DataInfo) -> list[str]:
    """Why the columns of some data are not those that a model was built for; nothing where they are, or have no names."""
    if given.columns == wanted.columns or not wanted.columns:
        return []
    if not given.columns:
        return [
            f"the model was built for a table with the columns {_listed([c.name for c in wanted.columns])}"
        ]
    known = {column.name: column for column in given.modelled}
    found = []
    for column in wanted.modelled:
        other = known.get(column.name)
        if other is None:
            found.append(f"there is no column {column.name!r}")
        elif (other.kind, other.values, other.offset) != (column.kind, column.values, column.offset):
            found.append(f"column {column.name!r} has other categories or another kind")
    return found[:_SHOWN] or ["the columns are of another table; open it for this model"]


def _listed(values: Sequence[Any]) -> str:
    more = f" and {len(values) - _SHOWN:,} more" if len(values) > _SHOWN else ""
    return ", ".join(repr(value) for value in values[:_SHOWN]) + more
