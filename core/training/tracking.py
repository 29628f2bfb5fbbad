"""The rows of metrics of a run, and the trackers that receive them."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from genmod.bundle.directory import ModelDirectory
from genmod.defaults import TRACKER
from genmod.errors import FileError, UsageError
from genmod.interfaces.tracker import Tracker
from genmod.options.schema import Text, validate
from genmod.options.text import parse_call
from genmod.registry.lookup import current_registry

__all__ = ["Tracking", "check_trackers"]


class Tracking:
    """Writes each row to ``metrics.jsonl`` and to the chosen trackers.

    Args:
        directory: model directory; None to keep the rows in memory only.
        trackers: names with options, such as ``csv`` or ``wandb:project=mine``.
        run: plain data about the run, for trackers that show them.
        since: step of the checkpoint that is resumed; rows of later steps are dropped, because these steps are repeated.
        warn: called when a tracker fails; it then gets no more rows.

    Raises:
        UsageError: no such tracker, wrong options, or trackers without a directory.
        PluginError: a package that a tracker needs is not installed.
    """

    def __init__(
        self,
        directory: Path | None = None,
        trackers: Sequence[str] = (),
        run: Mapping[str, Any] = {},
        *,
        since: int = 0,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.rows: list[Mapping[str, Any]] = []
        self._warn = warn
        self._trackers: dict[str, Tracker] = {}
        if directory is None:
            if trackers:
                raise UsageError("trackers need a directory to write to", hint="train(model, directory=...)")
            return
        if since:
            self.rows = [row for row in ModelDirectory(directory).read_rows() if row["step"] <= since]
        self._trackers = {name: _open(name, directory, run) for name in dict.fromkeys((TRACKER, *trackers))}

    def begin(self) -> None:
        """Start all trackers.

        Raises:
            FileError: one of them cannot write.
        """
        for name, tracker in self._trackers.items():
            try:
                tracker.begin(tuple(self.rows))
            except OSError as error:
                raise FileError(f"tracker {name!r} cannot begin: {error}") from error

    def write(self, row: Mapping[str, Any]) -> None:
        """Write a row; infinities and NaN become None.

        Raises:
            FileError: ``metrics.jsonl`` cannot be written.
        """
        finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        self.rows.append(finite)
        self._each(lambda tracker: tracker.write(finite))

    def flush(self) -> None:
        """Store all rows on disk; called before each checkpoint.

        Raises:
            FileError: ``metrics.jsonl`` cannot be written.
        """
        self._each(lambda tracker: tracker.flush())

    def close(self, status: str) -> None:
        """Close all trackers at the end of a run."""
        with suppress(FileError):
            self._each(lambda tracker: tracker.close(status))
        self._trackers = {}

    def _each(self, act: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                act(tracker)
            except Exception as error:
                if name == TRACKER:
                    raise
                del self._trackers[name]
                self._warn(f"tracker {name!r} failed and gets no more rows: {error!r}")


def check_trackers(trackers: Sequence[str]) -> None:
    """Whether trackers can be opened; none is.

    Raises:
        UsageError: no such tracker, or wrong options.
        PluginError: a package that a tracker needs is not installed.
    """
    for text in trackers:
        _found(text)


def _open(text: str, directory: Path, run: Mapping[str, Any]) -> Tracker:
    cls, options = _found(text)
    tracker: Tracker = cls(directory, run, **options)
    return tracker


def _found(text: str) -> tuple[type[Any], dict[str, Any]]:
    """The class and the options of a tracker."""
    name, values, options = parse_call(text)
    if values:
        raise UsageError(
            f"tracker {text!r} has values without a name",
            hint=f"genmod show tracker {name} lists its options",
        )
    cls = current_registry().find("tracker", name).load()
    given = {key: Text(value) for key, value in options.items()}
    return cls, dict(validate(cls, given, name, label=f"tracker {name}"))
