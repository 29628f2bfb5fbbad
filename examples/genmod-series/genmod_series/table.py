"""A time series in a CSV file: a first line with names, a first column with times, empty cells where nothing was measured."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genmod import DataError

__all__ = ["read_series"]

_GAPS = ("", "na", "nan", "null")


def read_series(path: Path) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Names of the columns after the first, and their values, ``(columns, times)``, NaN where there is a gap.

    Raises:
        DataError: the file is not there, or a line has another number of cells, or one that is no number; says which.
    """
    if not path.is_file():
        raise DataError(
            f"there is no file {path}", hint="-s dataset.path=FILE.csv, with a line of names first"
        )
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            names = tuple(next(lines, []))[1:]
            rows = list(_rows(lines, len(names), path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not names or not rows:
        raise DataError(
            f"{path} has no values: it needs a column of times and one of numbers, and a line of names"
        )
    return names, np.asarray(rows, dtype=np.float32).T


def _rows(lines: Iterator[list[str]], columns: int, path: Path) -> Iterator[list[float]]:
    for number, cells in enumerate(lines, 2):
        if len(cells) != columns + 1:
            raise DataError(f"{path}, line {number}: {len(cells)} cells; the first line has {columns + 1}")
        yield [_value(cell, path, number) for cell in cells[1:]]


def _value(cell: str, path: Path, number: int) -> float:
    if cell.strip().lower() in _GAPS:
        return float("nan")
    try:
        value = float(cell)
    except ValueError:
        raise DataError(
            f"{path}, line {number}: {cell[:40]!r} is no number", hint="leave gaps empty"
        ) from None
    if not np.isfinite(value):
        raise DataError(f"{path}, line {number}: {cell[:40]!r} is not finite", hint="leave gaps empty")
    return value
