"""Trackers: where the rows of metrics of a run go."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Tracker"]


class Tracker(ABC):
    """Receives the rows of metrics of a run.

    A row is plain data: ``step`` (optimizer steps done), ``epoch`` (with a fraction), ``split`` (``train`` or
    ``validation``), and named means over examples, in nats, None where they are not finite.

    The law: after ``begin(rows)`` and some ``write(row)`` the store has exactly these rows, in this order, whatever
    of this run it had before. So a run that was killed, and goes on from a checkpoint, leaves each step exactly once.

    An error of a tracker does not end the run; it is reported, and the tracker gets no more rows.

    Args:
        directory: the model directory; a tracker writes below it, or to a server.
        run: plain data about the run, ``model`` and ``settings``.
    """

    def __init__(self, directory: Path, run: Mapping[str, Any]) -> None:
        self.directory = directory
        self.run = run

    @abstractmethod
    def begin(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Start, with the rows of the part of the run before; empty for a new run."""

    @abstractmethod
    def write(self, row: Mapping[str, Any]) -> None:
        """Take in one more row."""

    def flush(self) -> None:
        """Store all rows for good; called before each checkpoint."""
        return

    def close(self, status: str) -> None:
        """Called once at the end of the run.

        Args:
            status: ``finished``, ``stopped early``, ``interrupted`` or ``failed``.
        """
        return
