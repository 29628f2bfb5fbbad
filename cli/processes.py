"""Several processes of one command on this machine."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

__all__ = ["launch"]

_SECONDS_TO_STOP = 60.0


def launch(arguments: Sequence[str], processes: int) -> int:
    """Run ``genmod ARGUMENTS`` in so many processes that find each other, and give the exit code.

    Signals are passed on. Where one process fails, the others are stopped.
    """
    threads = max(1, (os.cpu_count() or 1) // processes)
    common = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": str(processes),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
    }
    children = [
        subprocess.Popen(
            [sys.executable, "-P", "-m", "genmod", *arguments],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            # A group of their own: Ctrl-C reaches the children through us, once.
            start_new_session=True,
        )
        for rank in range(processes)
    ]

    def pass_on(signum: int, frame: object) -> None:
        for child in children:
            if child.poll() is None:
                child.send_signal(signum)

    before = {
        signum: signal.signal(signum, pass_on) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    }
    try:
        return _wait(children)
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        for child in children:
            if child.poll() is None:
                child.kill()


def _wait(children: Sequence["subprocess.Popen[bytes]"]) -> int:
    """The exit code of the first failure; it ends the others, after some time to put files in order."""
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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
