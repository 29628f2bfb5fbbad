"""Rows of metrics, a line of JSON each."""

import json
import math
from contextlib import suppress
from typing import Any

__all__ = ["rows_in"]


def rows_in(text: str) -> list[dict[str, Any]]:
    """The rows of a text, without lines that are none; a value that is not a finite number is None.

    Example:
        >>> rows_in('{"step": 1, "split": "train", "loss": NaN}\\n{"step": 2, "lo')
        [{'step': 1, 'split': 'train', 'loss': None}]
    """
    rows = []
    for line in text.split("\n"):
        with suppress(ValueError, RecursionError):
            row = json.loads(line)
            if isinstance(row, dict) and type(row.get("step")) is int and 0 <= row["step"] < 2**53:
                rows.append(
                    {name: value if name == "split" else _finite(value) for name, value in row.items()}
                )
    return rows


def _finite(value: Any) -> float | int | None:
    number = isinstance(value, int | float) and abs(value) < 1e300 and math.isfinite(value)
    return value if number else None
