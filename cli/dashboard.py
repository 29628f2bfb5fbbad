"""Curves of a run, redrawn in the terminal while it goes on."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from genmod.cli import console
from genmod.cli.braille import Track, plot, thinned
from genmod.cli.gauge import clock, shown, time_left

if TYPE_CHECKING:
    from rich.console import RenderableType

    from genmod.training.train import Event

__all__ = ["SPLITS", "Dashboard", "panels"]

SPLITS = {"train": "blue", "validation": "yellow"}
"""The colour of each split that is drawn."""

_SHORT = {"validation": "valid."}
_SECONDS_BETWEEN_DRAWINGS = 1.0
_NARROWEST = 34
_LEAST = 14
"""Nothing is drawn in fewer letters than this."""
_LINES = 8
_NOTICES = 3

Points = dict[tuple[str, str], tuple[list[float], list[float]]]
"""By metric and split, steps and values."""


class Dashboard:
    """Shows the events of a run on a terminal; pass it to ``train`` as ``on_event``."""

    def __init__(self) -> None:
        self._live: Any = None
        self._points: Points = {}
        self._first: tuple[int, float] | None = None
        self._drawn = 0.0
        self._best = ""
        self._notices: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        # They were part of the drawing, which was removed.
        for what, text in self._notices:
            (console.warning if what == "warning" else console.note)(text)

    def __call__(self, event: "Event") -> None:
        if event.kind == "warning":
            self._notices.append(("warning", event.text))
            return
        if event.kind == "resume":
            self._notices.append(("note", f"continuing from step {event.step} of {event.total_steps}"))
        if self._first is None:
            self._first = (event.step, time.monotonic())
        if event.kind in SPLITS:
            for name, value in event.values.items():
                x, y = self._points.setdefault((name, event.kind), ([], []))
                x.append(event.step)
                y.append(value)
                thinned(x, y)
            if event.best:
                self._best = f"best validation loss {shown(event.values['loss'])} at step {event.step}"
        if time.monotonic() - self._drawn >= _SECONDS_BETWEEN_DRAWINGS:
            self._draw(event)

    def _draw(self, event: "Event") -> None:
        if self._live is None:
            # After the first event only: of several processes one alone has events.
            from rich.console import Console
            from rich.live import Live

            terminal = Console(stderr=True, no_color=not console.colored(sys.stderr))
            self._live = Live(console=terminal, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(self._page(event, self._live.console.width), refresh=True)
        self._drawn = time.monotonic()

    def _page(self, event: "Event", width: int) -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        parts: list[RenderableType] = [
            Text(self._progress(event, width), style="bold", no_wrap=True, overflow="ellipsis")
        ]
        parts += panels(self._points, width)
        below = "  ".join(filter(None, [self._best, *_memory()]))
        parts.append(Text(below, style="dim", no_wrap=True, overflow="ellipsis"))
        parts += [
            Text(
                f"{what}: {text}",
                style="yellow" if what == "warning" else "",
                no_wrap=True,
                overflow="ellipsis",
            )
            for what, text in self._notices[-_NOTICES:]
        ]
        return Group(*parts)

    def _progress(self, event: "Event", width: int) -> str:
        step, began = self._first or (0, time.monotonic())
        seconds = time.monotonic() - began
        rate = (event.step - step) / seconds if seconds > 0 else 0.0
        left = time_left(event.step, step, event.total_steps, seconds)
        done = event.step / event.total_steps if event.total_steps else 1.0
        cells = max(10, min(40, width - 60))
        bar = "━" * round(cells * done) + "╌" * (cells - round(cells * done))
        return (
            f"epoch {event.epoch:.1f}  {bar} {event.step}/{event.total_steps}  {rate:.1f} steps/s  "
            f"{clock(seconds)} gone  {left}"
        )


def panels(points: Points, width: int, names: Sequence[str] = ()) -> "list[RenderableType]":
    """A plot for each metric, as many side by side as fit.

    Args:
        points: steps and values by metric, and by split or run.
        width: of the terminal, in letters.
        names: of the metrics; loss, rate and distortion by default, else the first three.
    """
    from rich.columns import Columns
    from rich.console import Group
    from rich.text import Text

    known = list(dict.fromkeys(metric for metric, _ in points))
    wanted = [name for name in names or ("loss", "rate", "distortion") if name in known] or known[:3]
    if width < _LEAST:
        return []
    if not wanted:
        return [Text("waiting for the first row of metrics", style="dim")]
    across = max(1, min(len(wanted), width // (_NARROWEST + 2)))
    wide = width // across - 2
    drawn = []
    for metric in wanted:
        own = {what: series for (name, what), series in points.items() if name == metric and series[0]}
        title = Text(metric, style="bold", no_wrap=True, overflow="ellipsis")
        for what, (_, y) in own.items():
            title.append(f"  {_SHORT.get(what, what)} {shown(y[-1])}", style=_style(what, own))
        title.truncate(wide, overflow="ellipsis", pad=True)
        tracks = [Track(x, y, _style(what, own)) for what, (x, y) in own.items()]
        drawn.append(Group(title, *plot(tracks, wide, _LINES)))
    return [Columns(drawn, width=wide, padding=(0, 2, 0, 0))]


def _style(what: str, all_of_them: Mapping[str, Any]) -> str:
    colours = ("blue", "yellow", "green", "magenta", "cyan", "red")
    return SPLITS.get(what) or colours[list(all_of_them).index(what) % len(colours)]


def _memory() -> list[str]:
    """Memory that this process uses, of the machine and of the GPU."""
    found = []
    try:
        with open("/proc/self/statm", encoding="ascii") as stream:
            pages = int(stream.read().split()[1])
        found.append(f"memory {pages * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB")
    except (OSError, ValueError, IndexError):
        pass  # another system than Linux
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
        found.append(f"GPU {torch.cuda.memory_reserved() / 2**30:.1f} of {total / 2**30:.0f} GiB")
    return found
