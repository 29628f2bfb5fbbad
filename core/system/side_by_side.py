"""Pieces of work side by side: each in a thread of its own, where torch would share single operations over its threads."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from types import TracebackType
from typing import Any

import torch
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

__all__ = ["SideBySide"]

_MOST = 4
"""Threads, at most: more would wait for Python more than they compute; torch shares operations among the others."""


class SideBySide:
    """Context that does pieces of work in several threads, and in the one that asks where several would not be right.

    An operation that is shared over two processors goes through memory that both have in their caches, and its threads wait
    for each other many times in a millisecond. A piece that one thread works on stays with its processor.

    Work is given tensors that nothing else writes to, and draws nothing: the first piece is done at once, and if it has moved
    torch's generator, so are all others, one after the other.

    Args:
        device: of the tensors; on a GPU there is one thread.

    Attributes:
        workers: the number of threads.

    Example:
        >>> found = torch.zeros(3)
        >>> with SideBySide(torch.device("cpu")) as side:
        ...     side.start(lambda i: found[i].fill_(i), range(3))()
        >>> found
        tensor([0., 1., 2.])
    """

    def __init__(self, device: torch.device) -> None:
        self._threads = torch.get_num_threads()
        self.workers = _workers(self._threads) if device.type == "cpu" and not _is_watched() else 1
        self._pool: ThreadPoolExecutor | None = None
        self._draws: bool | None = None

    def __enter__(self) -> "SideBySide":
        if self.workers > 1:
            own = self._threads // self.workers
            # What is asked meanwhile outside of the pieces takes a share as large as theirs.
            torch.set_num_threads(own)
            self._pool = ThreadPoolExecutor(self.workers, "piece", torch.set_num_threads, (own,))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            torch.set_num_threads(self._threads)

    def start(self, work: Callable[[Any], Any], pieces: Sequence[Any]) -> Callable[[], None]:
        """Begin with the pieces; what is returned waits for the last, and raises what the first that failed has raised."""
        rest = pieces
        if self._draws is None and len(pieces):
            before = torch.get_rng_state()
            work(pieces[0])
            self._draws, rest = not torch.equal(before, torch.get_rng_state()), pieces[1:]
        if self._pool is None or self._draws:
            for piece in rest:
                work(piece)
            return lambda: None
        # What is set for a thread or a context is set for those of the pieces too.
        grad, contexts = torch.is_grad_enabled(), [copy_context() for _ in rest]

        def do(piece: Any) -> None:
            with torch.set_grad_enabled(grad):
                work(piece)

        futures = [
            self._pool.submit(context.run, do, piece) for context, piece in zip(contexts, rest, strict=True)
        ]
        return lambda: _wait(futures)


def _wait(futures: Sequence[Future[Any]]) -> None:
    for future in futures:
        future.result()


def _is_watched() -> bool:
    """Whether a mode sees the operations of this thread, which it would not of others."""
    return is_in_torch_dispatch_mode() or torch._C._len_torch_function_stack() > 0


def _workers(threads: int) -> int:
    """How many threads have pieces, the most that leave few without work.

    Example:
        >>> [_workers(n) for n in (1, 2, 3, 4, 6, 16)]
        [1, 2, 3, 4, 3, 4]
    """
    return max(range(1, min(_MOST, threads) + 1), key=lambda n: (n * (threads // n), n))
