"""Rows of metrics from stores that keep a history for each name, such as ``train/loss``."""

from collections.abc import Iterable
from typing import Any

__all__ = ["rows_by_name"]


def rows_by_name(values: Iterable[tuple[str, int, float, float]]) -> list[dict[str, Any]]:
    """Values of single names as rows, in the order of their steps and then of time.

    Args:
        values: name with its split, step, time, and value.

    Example:
        >>> rows_by_name([("train/loss", 1, 0.0, 3.5), ("train/elbo", 1, 0.1, -3.5), ("validation/loss", 1, 0.2, 4.0)])
        [{'step': 1, 'split': 'train', 'loss': 3.5, 'elbo': -3.5}, {'step': 1, 'split': 'validation', 'loss': 4.0}]
    """
    rows: list[dict[str, Any]] = []
    open_rows: dict[tuple[int, str], dict[str, Any]] = {}
    for path, step, _, value in sorted(values, key=lambda each: each[1:3]):
        split, _, name = path.partition("/")
        row = open_rows.get((step, split))
        if row is None or name in row:  # a name that comes again is another row: nothing is hidden
            row = open_rows[step, split] = {"step": step, "split": split}
            rows.append(row)
        row[name] = value
    return rows
