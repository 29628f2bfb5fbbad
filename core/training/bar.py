"""A bar of the progress of a run in a notebook, by tqdm where it is installed."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from genmod.errors import UsageError
from genmod.training.events import Event

__all__ = ["in_notebook", "watched"]


def in_notebook() -> bool:
    """Whether cells of a notebook are being run; nothing is imported to find out."""
    shell = sys.modules.get("IPython")
    found = shell.get_ipython() if shell is not None and hasattr(shell, "get_ipython") else None
    return type(found).__name__ == "ZMQInteractiveShell"


@contextmanager
def watched(tell: Callable[[Event], None] | None, progress: bool | None) -> Iterator[Callable[[Event], None]]:
    """What is told of each event, and a bar that is closed at the end, however that comes.

    Args:
        tell: of the caller.
        progress: whether to show a bar; None for one in a notebook whose caller does not look at events itself, if tqdm is
            installed.

    Raises:
        UsageError: a bar is asked for, and tqdm is not installed.
    """
    before = tell or (lambda event: None)
    if not (progress if progress is not None else tell is None and in_notebook()):
        yield before
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        if progress:
            raise UsageError(
                "progress=True needs tqdm, which is not installed",
                hint="pip install 'genmod-torch[notebook]'",
            ) from None
        yield before
        return
    # Made at the first event: a run that is resumed begins at a later step, and the steps before it took no time here.
    bar: Any = None
    latest: dict[str, str] = {}

    def show(event: Event) -> None:
        nonlocal bar
        if bar is None and event.kind != "warning":
            begun = event.step if event.kind in ("checkpoint", "resume") else 0
            bar = tqdm(unit="step", leave=True, initial=begun)
        before(event)
        if event.kind == "warning":
            tqdm.write(event.text)
            return
        if event.total_steps:
            bar.total = event.total_steps
        if event.kind == "validation" and "loss" in event.values:
            latest["validation"] = f"{event.values['loss']:.4g}" + " (best)" * event.best
        elif "loss" in event.values:
            latest["loss"] = f"{event.values['loss']:.4g}"
        bar.set_postfix(latest, refresh=False)
        bar.update(max(0, event.step - bar.n))
        if event.kind in ("validation", "end"):
            bar.refresh()

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()
