"""Trackers: stores for the rows of metrics of a run."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genmod.system.explained import explained

__all__ = ["Tracker"]


@explained
class Tracker(ABC):
    """Stores the rows of metrics of a run.

    A row is plain data: ``step`` (optimizer steps done), ``epoch`` (with a fraction), ``split`` (``train`` or
    ``validation``), and named means over examples, in nats, None if they are not finite.

    The law: after ``begin(rows)`` and calls of ``write(row)``, the store has exactly these rows of this run, in this
    order, whatever it had of this run before. So a run that was killed and resumed has each step exactly once.

    An error in a tracker does not end the run; it is reported, and the tracker gets no more rows.

    Args:
        directory: the model directory; a tracker writes below it, or to a server.
        run: plain data about the run, ``model`` and ``settings``.
    """

    def __init__(self, directory: Path, run: Mapping[str, Any]) -> None:
        self.directory = directory
        self.run = run

    @abstractmethod
    def begin(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Start, with the rows up to the checkpoint that is resumed; empty for a new run."""

    @abstractmethod
    def write(self, row: Mapping[str, Any]) -> None:
        """Store one more row."""

    def rows(self) -> Sequence[Mapping[str, Any]] | None:
        """The rows that the store has of this run, in order, read back from where they are stored.

        It is called on a new tracker of the same directory, before :meth:`begin`, as by another process. ``None`` values may
        be left out, and numbers may have been rounded to single precision. By it ``genmod check`` sees that no row is lost,
        changed or there twice.

        Returns:
            None where rows cannot be read back, as from a server; this is the default.
        """
        return None

    def flush(self) -> None:
        """Store all rows permanently; called before each checkpoint."""
        return

    def close(self, status: str) -> None:
        """Called once at the end of the run.

        Args:
            status: ``finished``, ``stopped early``, ``interrupted`` or ``failed``.
        """
        return
