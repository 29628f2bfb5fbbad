"""Rows of metrics as JSON, one to a line."""

import json
import os
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from typing import Any, final

from genmod import FileError, Tracker
from genmod.system import write_bytes

__all__ = ["Jsonl"]


@final
class Jsonl(Tracker):
    """``metrics.jsonl`` in the model directory; every run with a directory has it.

    Raises:
        FileError: the file cannot be written.
    """

    _file: TextIOWrapper | None = None

    def begin(self, rows: Sequence[Mapping[str, Any]]) -> None:
        path = self.directory / "metrics.jsonl"
        write_bytes(path, "".join(map(_line, rows)).encode(errors="backslashreplace"))
        self._file = path.open("a", encoding="utf-8", newline="\n")

    def write(self, row: Mapping[str, Any]) -> None:
        self._try(lambda file: (file.write(_line(row)), file.flush()))

    def rows(self) -> list[dict[str, Any]]:
        lines = (self.directory / "metrics.jsonl").read_bytes().splitlines(keepends=True)
        # A process that was killed can have cut the last line.
        return [json.loads(line) for line in lines if line.endswith(b"\n")]

    def flush(self) -> None:
        self._try(lambda file: os.fsync(file.fileno()))

    def close(self, status: str) -> None:
        self._try(lambda file: file.close())
        self._file = None

    def _try(self, act: Any) -> None:
        if self._file is None:
            return
        try:
            act(self._file)
        except OSError as error:
            raise FileError(
                f"{self._file.name} cannot be written: {error.strerror or error}",
                hint="make room there, then genmod train --resume",
            ) from error


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, allow_nan=False, ensure_ascii=False) + "\n"
