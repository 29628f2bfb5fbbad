"""Rows of metrics as a table."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any, final

from genmod import Tracker
from genmod.system import write_bytes

__all__ = ["Csv"]


@final
class Csv(Tracker):
    """``metrics.csv`` in the model directory, with a column for every name that occurs in a row."""

    def begin(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._path = self.directory / "metrics.csv"
        self._rows = list(rows)
        self._write_all()

    def write(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        if not row.keys() <= set(self._columns):
            self._write_all()
            return
        with self._path.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(row)

    def rows(self) -> list[dict[str, Any]]:
        with (self.directory / "metrics.csv").open(encoding="utf-8", newline="") as file:
            return [
                {name: _value(name, text) for name, text in row.items() if text}
                for row in csv.DictReader(file)
            ]

    def flush(self) -> None:
        with self._path.open("ab") as file:
            os.fsync(file.fileno())

    def _write_all(self) -> None:
        """A column that was not there before needs another header."""
        self._columns = list(dict.fromkeys(name for row in self._rows for name in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self._columns)
        writer.writeheader()
        writer.writerows(self._rows)
        write_bytes(self._path, text.getvalue().encode(errors="backslashreplace"))


def _value(name: str, text: str) -> Any:
    return text if name == "split" else int(text) if name == "step" else float(text)
