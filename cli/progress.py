"""The progress of a run on stderr: a live line on a terminal, plain lines every few seconds elsewhere."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from genmod.cli import console

if TYPE_CHECKING:
    from genmod.training.train import Event

__all__ = ["StepProgress", "TrainingProgress"]

_SECONDS_BETWEEN_LINES = 5.0


def _bar(*more: str) -> Any:
    """A live line on stderr: a name, steps done and in total, the time left, and further texts."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
        *map(TextColumn, more),
        console=Console(stderr=True, no_color=not console.colored(sys.stderr)),
        transient=True,
    )


class _Line:
    """A live line on a terminal, which is removed in the end."""

    columns: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._bar: Any = None

    def __enter__(self) -> Self:
        if console.animated():
            self._bar = _bar(*self.columns)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


class TrainingProgress(_Line):
    """Shows the events of a run; pass it to ``train`` as ``on_event``."""

    columns = ("{task.fields[terms]}",)

    def __init__(self) -> None:
        super().__init__()
        self._task: Any = None
        self._started = time.monotonic()
        self._first_step: int | None = None
        self._last_step = 0
        self._printed = 0.0
        self._train: dict[str, float] = {}
        self._validation: dict[str, float] = {}

    def __call__(self, event: "Event") -> None:
        if event.kind == "warning":
            console.warning(event.text)
            return
        if event.kind == "resume":
            console.note(f"continuing from step {event.step} of {event.total_steps}")
        if self._first_step is None or event.step < self._last_step:
            # Another run begins.
            self._first_step, self._started = event.step, time.monotonic()
            self._train, self._validation = {}, {}
        self._last_step = event.step
        if event.kind == "train":
            self._train = dict(event.values)
        if event.kind == "validation":
            self._validation = dict(event.values)
        if self._bar is not None:
            self._redraw(event)
        elif time.monotonic() - self._printed > _SECONDS_BETWEEN_LINES and event.kind in (
            "validation",
            "progress",
        ):
            self._printed = time.monotonic()
            console.note(self._line(event))

    def _redraw(self, event: "Event") -> None:
        if self._task is None:
            self._task = self._bar.add_task("", total=event.total_steps, terms="")
        self._bar.update(
            self._task,
            completed=event.step,
            total=event.total_steps,
            description=f"epoch {event.epoch:.1f}",
            terms=self._terms(),
        )

    def _line(self, event: "Event") -> str:
        done = event.step - (self._first_step or 0)
        seconds = time.monotonic() - self._started
        left = seconds / done * (event.total_steps - event.step) if done else 0.0
        return f"step {event.step}/{event.total_steps}  epoch {event.epoch:.1f}  {self._terms()}  {left:.0f} s left"

    def _terms(self) -> str:
        def text(values: dict[str, float]) -> str:
            return " ".join(f"{name} {value:.2f}" for name, value in values.items())

        parts = [text(self._train)]
        if self._validation:
            parts.append(f"validation {text({'loss': self._validation['loss']})} nats")
        return " | ".join(part for part in parts if part)


class StepProgress(_Line):
    """Shows how far a task is; call it with the task's name, the steps done and their total."""

    def __init__(self) -> None:
        super().__init__()
        self._tasks: dict[str, Any] = {}
        self._began: dict[str, tuple[float, int]] = {}
        self._printed = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        began, first = self._began.setdefault(what, (time.monotonic(), done))
        if self._bar is not None:
            if what not in self._tasks:
                self._tasks[what] = self._bar.add_task(what, total=total)
            self._bar.update(self._tasks[what], completed=done)
        elif time.monotonic() - self._printed > _SECONDS_BETWEEN_LINES:
            self._printed = time.monotonic()
            seconds = (self._printed - began) / (done - first) * (total - done) if done > first else None
            left = "" if seconds is None else f"  {seconds:.0f} s left"
            console.note(f"{what} {done}/{total}{left}")
