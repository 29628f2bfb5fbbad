"""Signals: stopping a run at the end of a step."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["STOP_SIGNALS", "Interrupted", "StopSignals"]

STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
)
"""Signals that stop a run; Windows has no SIGUSR1."""


class Interrupted(KeyboardInterrupt):
    """A signal ended a run early; everything is saved.

    Args:
        signum: the signal.
        step: optimizer steps done.
    """

    def __init__(self, signum: int, step: int) -> None:
        super().__init__(f"stopped after step {step} by {signal.Signals(signum).name}")
        self.signum = signum
        self.step = step

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C (SIGINT), 143 after another signal."""
        return 130 if self.signum == signal.SIGINT else 143


class StopSignals:
    """Context in which SIGINT, SIGTERM and SIGUSR1 only set :attr:`received`; a second SIGINT interrupts at once.

    A signal that is ignored stays ignored, as a shell ignores Ctrl-C for jobs in the background. Python sets signal
    handlers in the main thread only, so in another thread this does nothing.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for signum in STOP_SIGNALS:
                if signal.getsignal(signum) not in (signal.SIG_IGN, None):
                    self._before[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.received is not None and signum == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = signum
