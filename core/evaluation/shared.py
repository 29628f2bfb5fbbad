"""Batches that several processes share: each works on some, and all have what is made of all."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

from genmod.errors import UndefinedError

__all__ = ["Processes", "gathered", "turn_of"]

Made = TypeVar("Made")


class Processes(Protocol):
    """Processes that measure one model together, as one of them sees them."""

    rank: int
    size: int

    def gather(self, thing: Any) -> list[Any]:
        """The plain data of all processes, in the order of their ranks."""
        ...


def turn_of(processes: Processes | None) -> slice:
    """Which of a sequence of batches are those of this process.

    Example:
        >>> turn_of(None)
        slice(0, None, 1)
    """
    return slice(0, None, 1) if processes is None else slice(processes.rank, None, processes.size)


def gathered(processes: Processes | None, make: Callable[[], Iterable[Made]]) -> list[Made]:
    """What is made of all batches, in their order.

    Args:
        processes: None for one.
        make: works on the batches of this process, which are those of :func:`turn_of`, in order; it must not gather anything
            itself.

    Raises:
        UndefinedError: what a process makes is undefined; all raise it.

    Example:
        >>> gathered(None, lambda: (i * i for i in range(3)))
        [0, 1, 4]
    """
    if processes is None or processes.size == 1:
        return list(make())
    own: list[Made] = []
    reason: UndefinedError | None = None
    try:
        own = list(make())
    except UndefinedError as error:
        reason = error  # raised when all have come here: the others would wait for this one without end
    parts = processes.gather((own, reason))
    for _, wrong in parts:
        if wrong is not None:
            raise wrong
    count = sum(len(found) for found, _ in parts)
    return [parts[i % processes.size][0][i // processes.size] for i in range(count)]
