"""The rows of a table for training, validation and testing: by row, by a column, by group, by time."""

from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from genmod.data.cells import Cells, cells_of
from genmod.data.dataset import SplitName
from genmod.data.order import dealt, mixed_text, tenths
from genmod.errors import DataError, UsageError

__all__ = ["rows_of_splits"]

_NAMES: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}
_Rows = NDArray[np.int64]


def rows_of_splits(table: Any, how: str) -> dict[SplitName, _Rows]:
    """Split → its rows, ascending; every row is in one.

    Args:
        table: a narwhals DataFrame.
        how: ``row``, ``column:NAME``, ``group:NAME`` or ``time:NAME``.

    Raises:
        UsageError: another word.
        DataError: there is no such column, or too few rows, groups or times for three splits.
    """
    word, colon, name = how.partition(":")
    if word == "row" and not colon:
        found = tenths(len(table))
        return {split: np.sort(found[split]) for split in get_args(SplitName)}
    rules = {"column": _by_column, "group": _by_group, "time": _by_time}
    if word not in rules or not name:
        raise UsageError(
            f"split is {how!r}; it is row, column:NAME, group:NAME or time:NAME",
            hint="for example -s dataset.split=group:patient",
        )
    if name not in table.columns:
        raise DataError(
            f"the table has no column {name!r} to split it by", hint=f"it has: {', '.join(table.columns)}"
        )
    rows = rules[word](cells_of(table, name))
    empty = [split for split in get_args(SplitName) if not len(rows[split])]
    if empty:
        raise DataError(
            f"by {how} no row is left for {' and '.join(empty)}", hint="choose another: -s dataset.split=row"
        )
    return rows


def _texts(cells: Cells) -> NDArray[Any]:
    return np.where(cells.seen, cells.values.astype(str), "")


def _rows(chosen: NDArray[Any]) -> dict[SplitName, _Rows]:
    return {split: np.flatnonzero(chosen == split) for split in get_args(SplitName)}


def _by_column(cells: Cells) -> dict[SplitName, _Rows]:
    texts = np.char.lower(np.char.strip(_texts(cells)))
    unknown = sorted(set(texts.tolist()) - set(_NAMES))
    if unknown:
        raise DataError(
            f"column {cells.name!r} says {', '.join(map(repr, unknown[:5]))}; a split is train, validation or test"
        )
    rows = _rows(np.array([_NAMES[text] for text in texts.tolist()]))
    wanting = [split for split in ("validation", "test") if not len(rows[split])]  # type: ignore[index]
    if wanting and len(rows["train"]):
        parts = tenths(len(rows["train"]), wanting)  # type: ignore[arg-type]
        rows |= {split: np.sort(rows["train"][places]) for split, places in parts.items()}
    return rows


def _by_group(cells: Cells) -> dict[SplitName, _Rows]:
    groups, places = np.unique(_texts(cells), return_inverse=True)
    chosen = dealt([mixed_text(group) for group in groups.tolist()], ["validation", "test"])
    return _rows(np.array(chosen)[places])


def _by_time(cells: Cells) -> dict[SplitName, _Rows]:
    if cells.values.dtype == object or not cells.seen.all():
        raise DataError(
            f"column {cells.name!r} is to order the rows in time, and has {'texts' if cells.seen.all() else 'empty cells'}",
            hint="give dates, times or numbers in every row",
        )
    times = cells.values.astype(np.float64)
    n, tenth = len(times), max(1, len(times) // 10)
    ordered = np.sort(times)
    # Rows of the same time stay together.
    test = ordered[max(0, n - tenth)]
    before = ordered[ordered < test]
    validation = before[max(0, len(before) - tenth)] if len(before) else test
    return _rows(np.where(times >= test, "test", np.where(times >= validation, "validation", "train")))
