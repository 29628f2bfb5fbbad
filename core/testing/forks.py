"""Work in processes of its own that are copies of this one, so that what is imported here need not be imported there."""

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["Died", "can_fork", "end", "forked", "silenced"]

_POLL = 0.02


class Died(str):
    """In place of a result: why a job has none."""


def can_fork() -> bool:
    """Whether this system copies processes; Windows does not."""
    return hasattr(os, "fork")


def forked(
    jobs: Sequence[Callable[[], Any]], *, processes: int = 1, limit: float = 600.0
) -> Iterator[tuple[int, Any]]:
    """The number and the result of each job as it ends; :class:`Died` of one that raised, or did not end in time.

    Each is done in a copy of this process, whose output is lost. What it changes is changed there alone.

    Args:
        jobs: functions whose results JSON can hold.
        processes: how many at once.
        limit: seconds that a job may take.

    Example:
        >>> sorted(forked([lambda: 3, lambda: 5]))
        [(0, 3), (1, 5)]
    """
    waiting, running = list(range(len(jobs))), dict[int, tuple[int, float, Path]]()
    with tempfile.TemporaryDirectory(prefix="genmod-check-") as folder:
        try:
            while waiting or running:
                while waiting and len(running) < processes:
                    number = waiting.pop(0)
                    place = Path(folder, str(number))
                    running[_started(jobs[number], place)] = number, time.monotonic() + limit, place
                ended = [pid for pid, (_, until, _) in running.items() if _ended(pid, until)]
                for pid in ended:
                    number, until, place = running.pop(pid)
                    late = time.monotonic() > until and not place.exists()
                    yield number, Died(f"it did not end in {limit:g} seconds") if late else _result(place)
                if not ended:
                    time.sleep(_POLL)
        finally:
            for pid in running:
                end(pid)


def _started(job: Callable[[], Any], place: Path) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        # A group of its own, so that what it starts ends with it.
        os.setpgid(0, 0)
        silenced()
        partial = place.with_suffix(".part")
        partial.write_bytes(json.dumps(job()).encode())
        partial.replace(place)
        code = 0
    except BaseException as error:
        place.with_suffix(".error").write_bytes(_line(error).encode(errors="replace"))
    finally:
        # Neither the exit handlers nor the buffers of the process that it is a copy of.
        os._exit(code)


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"


def silenced() -> None:
    """Let this process read nothing and lose what it prints."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(n, "r" if n == 0 else "w", closefd=False) for n in (0, 1, 2)
    )


def _ended(pid: int, until: float) -> bool:
    if time.monotonic() > until:
        end(pid)
        return True
    return os.waitpid(pid, os.WNOHANG)[0] == pid


def end(pid: int) -> None:
    """End a process and what it started, if it still runs."""
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)
    with suppress(OSError):
        os.waitpid(pid, 0)


def _result(place: Path) -> Any:
    if (error := place.with_suffix(".error")).exists():
        return Died(error.read_text(encoding="utf-8"))
    return json.loads(place.read_text(encoding="utf-8")) if place.exists() else Died("its process ended")
