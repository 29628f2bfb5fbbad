"""Several processes of one command on this machine."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from genmod.cli import console
from genmod.training.signals import STOP_SIGNALS

if TYPE_CHECKING:
    from genmod.training.distributed import Team

__all__ = ["end_with", "launch", "launched", "together"]

_LAUNCHER = "GENMOD_LAUNCHER"
_SECONDS_TO_STOP = 60.0


def launched(processes: int | None) -> None:
    """Run this command line in several connected processes, and leave with their exit code; nothing for one.

    Inside of one of them, this process ends when the one that started it has gone.
    """
    if _LAUNCHER in os.environ:
        end_with(int(os.environ[_LAUNCHER]))
    if processes is not None and processes > 1 and "WORLD_SIZE" not in os.environ:
        raise typer.Exit(launch(_without_processes(sys.argv[1:]), processes))


@contextmanager
def together(device: str) -> "Iterator[tuple[str, Team | None]]":
    """Context in which processes that were started together share work: the device of this one, and all; None for one.

    Only the first of them says anything.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device, None
        return
    from genmod.system.parallel import local
    from genmod.training.distributed import Team, process_group

    # Losses and rejections of a batch are those of the batches of this process alone.
    with process_group(device) as own, local():
        team = Team()
        if not team.leads:
            console.settings.quiet = True
        yield own, team


def end_with(launcher: int, *, every: float = 1.0) -> None:
    """Stop this process as SIGTERM does, soon after its parent ``launcher`` has gone without passing a signal on.

    A launcher that is killed cannot stop its processes, which would train on, unseen. Windows has no such parents.
    """
    if os.name != "posix":
        return

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(every)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_SECONDS_TO_STOP)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, name="end-with-launcher", daemon=True).start()


def _without_processes(arguments: list[str]) -> list[str]:
    """The command line of each process."""
    kept = []
    words = iter(arguments)
    for word in words:
        if word == "--processes":
            next(words, None)
        elif not word.startswith("--processes="):
            kept.append(word)
    return kept


def launch(arguments: Sequence[str], processes: int) -> int:
    """Run ``genmod ARGUMENTS`` in several connected processes; returns the exit code.

    They meet in a file that this user alone may read, and talk over the loopback address: nobody else is listened to.
    Signals are passed on. If one process fails, the others are stopped.
    """
    threads = max(1, (os.cpu_count() or 1) // processes)
    children: list[subprocess.Popen[bytes]] = []

    def pass_on(signum: int, frame: object) -> None:
        for child in children:
            if child.poll() is None:
                # Windows has Ctrl-C reach the children by itself, and refuses to send it to one of them.
                with suppress(ValueError):
                    child.send_signal(signum)

    before = {signum: signal.signal(signum, pass_on) for signum in STOP_SIGNALS}
    try:
        with tempfile.TemporaryDirectory(prefix="genmod-", ignore_cleanup_errors=True) as place:
            common = {
                "GENMOD_STORE": str(Path(place) / "store"),
                _LAUNCHER: str(os.getpid()),
                "WORLD_SIZE": str(processes),
                "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
                **_loopback(),
            }
            try:
                for rank in range(processes):
                    child = subprocess.Popen(
                        [sys.executable, "-P", "-m", "genmod", *arguments],
                        env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                        # A group of their own: Ctrl-C reaches the children through us, once.
                        start_new_session=True,
                    )
                    children.append(child)
                return _wait(children)
            finally:
                for child in children:
                    if child.poll() is None:
                        child.kill()
                        child.wait()
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _loopback() -> dict[str, str]:
    """What makes gloo and NCCL use the loopback interface, by its name; Windows has none that they know."""
    names = [name for _, name in socket.if_nameindex()] if os.name == "posix" else []
    name = next((name for name in names if name in ("lo", "lo0")), None)
    return {} if name is None else {"GLOO_SOCKET_IFNAME": name, "NCCL_SOCKET_IFNAME": f"={name}"}


def _wait(children: Sequence["subprocess.Popen[bytes]"]) -> int:
    """The exit code of the first failure, after which the others have some time to end."""
    first, deadline = 0, 0.0
    while any(child.poll() is None for child in children):
        if first == 0:
            first = _first_failure(children)
            deadline = time.monotonic() + _SECONDS_TO_STOP
            if first not in (0, 130, 143):
                for child in children:
                    if child.poll() is None:
                        child.terminate()
        elif time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return first or _first_failure(children)


def _first_failure(children: Sequence["subprocess.Popen[bytes]"]) -> int:
    code = next((child.returncode for child in children if child.poll() not in (None, 0)), 0)
    return 128 - code if code < 0 else code
