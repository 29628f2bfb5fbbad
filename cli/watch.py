"""What ``genmod check --watch`` prints."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genmod.cli import console

if TYPE_CHECKING:
    from genmod.testing.watch import Event

__all__ = ["show_watch"]


def show_watch(
    targets: Sequence[str],
    options: Mapping[str, Any],
    expected: Mapping[str, str],
    root: Path | None,
    *,
    slow: bool = False,
) -> None:
    """Check after each save, and print failures as they are found, until Ctrl-C."""
    from genmod.testing.forks import can_fork

    try:
        if can_fork():
            _in_copies(targets, options, expected, root, slow=slow)
        else:
            _in_new_processes(targets)
    except KeyboardInterrupt:
        console.note("\nno longer watching")


def _in_copies(
    targets: Sequence[str],
    options: Mapping[str, Any],
    expected: Mapping[str, str],
    root: Path | None,
    *,
    slow: bool,
) -> None:
    from genmod.testing.watch import warm, watch

    warm()
    start, counts = time.monotonic(), dict[str, int]()
    for event in watch(targets, options=options, expected=expected, slow=slow, root=root):
        match event["event"]:
            case "begin":
                start, counts = time.monotonic(), {}
                console.print_text(f"{_now()} {', '.join(event['components'])}")
            case "outcome":
                counts[event["status"]] = counts.get(event["status"], 0) + 1
                if event["status"] == "failed":
                    _print_failure(event)
            case "end":
                said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
                console.print_text(f"{_now()} {said}, in {time.monotonic() - start:.1f} s; Ctrl-C ends it")
            case "error":
                console.error(event["message"], event["hint"])
        sys.stdout.flush()


def _print_failure(event: "Event") -> None:
    where = f"; at {event['where']}" if event["where"] else ""
    console.print_prose(f"failed {event['component']} {event['check']}: {event['message']}{where}")
    console.print_prose(f"  remedy: {event['remedy']}")


def _in_new_processes(targets: Sequence[str]) -> None:
    """The same where processes cannot be copied: each check imports everything anew."""
    from genmod.testing.watch import files_below

    console.note(
        "this system cannot copy processes: each check begins a new one, which takes some seconds more"
    )
    roots = [Path(target).absolute() for target in targets if target.endswith(".py")] or [Path.cwd()]
    words = [word for word in sys.argv[1:] if word != "--watch"]
    while True:
        before = files_below(roots)
        subprocess.run([sys.executable, "-P", "-m", "genmod", *words], check=False)
        while files_below(roots) == before:
            time.sleep(0.3)


def _now() -> str:
    return time.strftime("%H:%M:%S")
