"""Rows of metrics as lines of text."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, final

from genmod import Tracker

__all__ = ["TemplateTracker"]


@final
class TemplateTracker(Tracker):
    """``metrics.txt`` in the model directory: one line for each row."""

    def begin(self, rows: Sequence[Mapping[str, Any]]) -> None:
        # The rows of a run that goes on replace whatever was written after its last checkpoint.
        self._path = self.directory / "metrics.txt"
        self._path.write_text("".join(map(_line, rows)), encoding="utf-8", newline="\n")

    def write(self, row: Mapping[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(_line(row))

    def rows(self) -> list[dict[str, Any]]:
        # Another process asks: what is stored is read, not what is remembered.
        lines = (self.directory / "metrics.txt").read_text(encoding="utf-8").splitlines()
        return [
            {
                name: json.loads(value)
                for name, _, value in (field.rpartition("=") for field in line.split("\t"))
            }
            for line in lines
        ]


def _line(row: Mapping[str, Any]) -> str:
    return "\t".join(f"{name}={json.dumps(value)}" for name, value in row.items()) + "\n"
