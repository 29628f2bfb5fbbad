"""The progress of a run on stderr: live lines on a terminal, elsewhere a plain line every ten seconds."""

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from genmod.cli import console
from genmod.cli.gauge import Piece, fitted, gauge, results, shown, time_left

if TYPE_CHECKING:
    from genmod.training.train import Event

__all__ = ["StepProgress", "TrainingProgress"]

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_DRAWINGS = 0.1
_ASCII = str.maketrans("━╌…", "=-.")
"""What bars are made of on terminals that have letters of one language alone."""


class _Live:
    """Lines at the foot of a terminal that are drawn again and again, and removed in the end."""

    def __init__(self) -> None:
        self._live: Any = None
        self._drawn = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _lines(self, width: int) -> Sequence[Sequence[Piece]]:
        """What is drawn in so many letters; one line for each list."""
        raise NotImplementedError

    def _draw(self, *, now: bool = False) -> None:
        """Draw, but no more often than can be read."""
        if not now and time.monotonic() - self._drawn < _SECONDS_BETWEEN_DRAWINGS:
            return
        from rich.console import Console, Group
        from rich.text import Text

        if self._live is None:
            # At the first event only: of several processes one alone has events.
            from rich.live import Live

            terminal = Console(stderr=True, no_color=not console.colored(sys.stderr), highlight=False)
            self._live = Live(console=terminal, auto_refresh=False, transient=True)
            self._live.start()
        # Asked for anew, for windows change their size.
        self._live.console.width = console.width(sys.stderr)
        # A letter in the last column would let some terminals begin a new line.
        width = self._live.console.width - 1
        painted = console.colored(sys.stderr)
        letters = _ASCII if self._live.console.options.ascii_only else {}
        lines = [
            Text.assemble(
                *((text.translate(letters), style if painted else "") for text, style in fitted(line, width)),
                no_wrap=True,
            )
            for line in self._lines(width)
        ]
        self._live.update(Group(*lines), refresh=True)
        self._drawn = time.monotonic()


class TrainingProgress(_Live):
    """Shows the events of a run; pass it to ``train`` as ``on_event``.

    The loss that is shown is that of the step beside it: the mean over the steps since the last row of metrics.
    """

    def __init__(self) -> None:
        super().__init__()
        self._began: tuple[int, float] | None = None
        self._printed = 0.0
        self._event: Event | None = None
        self._values: dict[str, float] = {}
        self._validation: tuple[int, float] | None = None
        self._best: tuple[int, float] | None = None

    def __call__(self, event: "Event") -> None:
        if event.kind == "warning":
            console.warning(event.text)
            return
        if event.kind == "resume":
            console.note(f"continuing from step {event.step} of {event.total_steps}")
        last = self._event
        if self._began is None or event.kind == "resume" or (last and event.step < last.step):
            # Another run begins.
            self._began = (event.step, time.monotonic())
            self._values, self._validation, self._best = {}, None, None
        self._event = event
        if event.kind in ("train", "progress") and event.values:
            self._values = dict(event.values)
        if event.kind == "validation":
            self._validation = (event.step, event.values["loss"])
            if event.best:
                self._best = self._validation
        if console.animated():
            self._draw(now=event.kind == "validation")
        elif event.kind in ("progress", "validation"):
            self._print(event)

    def _print(self, event: "Event") -> None:
        """A line of plain text, no more often than every ten seconds."""
        if self._printed and time.monotonic() - self._printed < _SECONDS_BETWEEN_LINES:
            return
        self._printed = time.monotonic()
        terms = [f"{name} {shown(value)}" for name, value in self._values.items()]
        validation = "".join(text for text, _ in self._validation_loss())
        parts = [
            f"step {event.step}/{event.total_steps}",
            f"epoch {event.epoch:.1f}",
            *terms,
            validation,
            self._left(event),
        ]
        console.note("  ".join(filter(None, parts)))

    def _left(self, event: "Event") -> str:
        first, began = self._began or (0, time.monotonic())
        return time_left(event.step, first, event.total_steps, time.monotonic() - began)

    def _lines(self, width: int) -> Sequence[Sequence[Piece]]:
        event = self._event
        if event is None:
            return []
        first = gauge(f"epoch {event.epoch:.1f}", event.step, event.total_steps, self._left(event), width)
        return [first, results(self._values, self._validation_loss(), width)]

    def _validation_loss(self) -> list[Piece]:
        if self._validation is None:
            return []
        text = f"validation {shown(self._validation[1])}"
        if self._validation == self._best:
            return [(text, ""), (" (best)", "green")]
        best = f", best {shown(self._best[1])} at {self._best[0]}" if self._best else ""
        return [(text + best, "")]


class StepProgress(_Live):
    """Shows how far a task is; call it with the task's name, the steps done and their total."""

    def __init__(self) -> None:
        super().__init__()
        self._began: dict[str, tuple[int, float]] = {}
        self._now = ("", 0, 0)
        self._printed = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        self._began.setdefault(what, (done, time.monotonic()))
        another, self._now = what != self._now[0], (what, done, total)
        if console.animated():
            self._draw(now=another)
        elif time.monotonic() - self._printed >= _SECONDS_BETWEEN_LINES:
            self._printed = time.monotonic()
            console.note("  ".join(filter(None, [f"{what} {done}/{total}", self._left()])))

    def _left(self) -> str:
        what, done, total = self._now
        first, began = self._began[what]
        return time_left(done, first, total, time.monotonic() - began)

    def _lines(self, width: int) -> Sequence[Sequence[Piece]]:
        return [gauge(*self._now, self._left(), width)]
