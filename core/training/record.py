"""What a run leaves beside its weights: ``metrics.jsonl`` and ``run.json``."""

import json
import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genmod.environment import environment, git_state, versions
from genmod.errors import FileError
from genmod.files import write_bytes, write_json
from genmod.spec import ModelSpec
from genmod.training.settings import TrainSettings

__all__ = ["MetricsFile", "Record"]


class MetricsFile:
    """Rows of metrics, one JSON object a line, every step exactly once.

    Args:
        path: the file; None to keep the rows in memory only.
        since: step of the checkpoint that a run goes on from; later rows of its first part are dropped, because
            they will be written again.

    Raises:
        FileError: the file cannot be read or written.
    """

    def __init__(self, path: Path | None, *, since: int = 0) -> None:
        self.path = path
        self.rows: list[Mapping[str, Any]] = []
        if path is not None:
            if since and path.exists():
                self.rows = [row for row in _whole_rows(path) if row.get("step", since + 1) <= since]
            write_bytes(path, "".join(json.dumps(row) + "\n" for row in self.rows).encode())

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row; infinities and NaN become null.

        Raises:
            FileError: the disk is full, or the file may not be written.
        """
        finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        self.rows.append(finite)
        if self.path is None:
            return
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(finite, allow_nan=False) + "\n")
        except OSError as error:
            raise FileError(f"{self.path} cannot be written: {error.strerror or error}") from error


def _whole_rows(path: Path) -> list[Mapping[str, Any]]:
    """The rows of a file whose last line a crash may have cut."""
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


class Record:
    """``run.json``: how the run was started, on what, and how it stands.

    Args:
        directory: model directory; None to keep no record.
        spec: of the model.
        settings: of the run.
        device: where it runs.
    """

    def __init__(self, directory: Path | None, spec: ModelSpec, settings: TrainSettings, device: str) -> None:
        self.environment = environment(device)
        self._path = directory / "run.json" if directory is not None else None
        providers = [part.provider for part in spec.components.values() if part.provider]
        self._fixed = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": sys.argv,
            "settings": settings.to_json(),
            "versions": versions(*providers),
            "environment": self.environment,
            "git": git_state() if directory is not None else None,
        }

    def write(self, status: str, **progress: Any) -> None:
        """Replace the file.

        Args:
            status: ``running``, ``finished``, ``stopped early``, ``interrupted`` or ``failed``.
            **progress: steps, losses and times.

        Raises:
            FileError: it cannot be written.
        """
        if self._path is not None:
            finite = {
                k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in progress.items()
            }
            write_json(self._path, {"status": status, **finite, **self._fixed})
