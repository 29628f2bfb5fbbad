"""How much memory a computation takes for each of the things it is done to, and how many of them fit."""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from genmod.system.first import each_parameter

__all__ = [
    "all_rows_at_once",
    "are_all_rows_at_once",
    "bytes_of_weights",
    "bytes_paid_for",
    "bytes_per_row",
    "in_pieces",
    "physical_memory",
    "rows_that_fit",
]

_BYTES = {"cpu": 12 * 2**20}
_BYTES_ELSEWHERE = 2**30

_ALIVE = 4
"""Tensors of the largest size that exist at the same time: a layer's input and output, and two of a density."""


def physical_memory() -> float:
    """Bytes of memory that the machine has; infinite where the system does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return math.inf


class _Sizes(TorchDispatchMode):
    """Notes the size in bytes of whatever each operation makes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sizes: list[int] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch's own hook: whether the first operation imports the compiler, only to keep it away from this class."""
        return False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        self.sizes.append(made.numel() * made.element_size() if isinstance(made, Tensor) else 0)
        return made


def bytes_per_row(compute: Callable[[int], Any]) -> int:
    """The memory that one row more takes, from the growth of the largest tensor between one row and two.

    Args:
        compute: does the work on so many rows.

    Example:
        >>> import torch
        >>> bytes_per_row(lambda rows: torch.ones(rows, 100).exp().sum())
        1600
    """
    compute(1)  # what is computed once and kept would set the two lists off against each other
    seen = []
    for rows in (1, 2):
        with _Sizes() as noted:
            compute(rows)
        seen.append(noted.sizes)
    # Weights are as large for two rows as for one, whatever views are taken of them.
    grown = [b - a for a, b in zip(*seen, strict=False)]
    return _ALIVE * max([1, *grown])


_at_once = ContextVar("all_rows_at_once", default=False)


@contextmanager
def all_rows_at_once() -> Iterator[None]:
    """Context in which rows are not worked on in pieces, because networks look at all of them, as at tiles of a picture, or
    because a program for any count is made of it."""
    token = _at_once.set(True)
    try:
        yield
    finally:
        _at_once.reset(token)


def are_all_rows_at_once() -> bool:
    """Whether the context is :func:`all_rows_at_once`.

    Example:
        >>> with all_rows_at_once():
        ...     are_all_rows_at_once()
        True
    """
    return _at_once.get()


def bytes_of_weights(network: nn.Module) -> int:
    """What the parameters of a network take.

    Example:
        >>> bytes_of_weights(nn.Linear(3, 2))
        32
    """
    return sum(parameter.nbytes for parameter in each_parameter(network))


def bytes_paid_for(network: nn.Module) -> int:
    """Memory that a network may take for each piece of work, since all its weights are read for it: as much as these take.

    At most 96 MiB, in whose tensors no block is as large as the 32 MiB which the C library gives back to the system.

    Example:
        >>> bytes_paid_for(nn.Linear(2**13, 2**13, device="meta")) // 2**20
        96
    """
    return min(bytes_of_weights(network), 96 * 2**20)


_known: WeakKeyDictionary[nn.Module, dict[Any, int]] = WeakKeyDictionary()


def rows_that_fit(network: nn.Module, *given: Tensor, compute: Callable[..., Tensor] | None = None) -> int:
    """How many rows of ``x (B, *shape)`` a network that takes each by itself works on at a time.

    Measured once for a network and a shape: 12 MiB on the processor, whose caches like little, 1 GiB elsewhere; or
    :func:`bytes_paid_for`.
    """
    known, run = _known.setdefault(network, {}), network if compute is None else compute
    kind = (tuple(given[0].shape[1:]), given[0].dtype, given[0].device.type)
    if kind not in known:
        memory = max(_BYTES.get(kind[-1], _BYTES_ELSEWHERE), bytes_paid_for(network))
        known[kind] = max(1, memory // bytes_per_row(lambda rows: run(*(each[:rows] for each in given))))
    return known[kind]


def in_pieces(network: nn.Module, *given: Tensor, compute: Callable[..., Tensor] | None = None) -> Tensor:
    """What a network makes of ``x (B, *shape)``, on as many rows at a time as fit into memory.

    Networks draw nothing and look at each row by itself in evaluation mode, so that the pieces change no more than the
    last bits. In training, where gradients hold on to everything anyway, it is all at once.

    Args:
        network: in whose mode it is.
        given: tensors of B rows each.
        compute: what is done with these, where it is more than the network alone.

    Example:
        >>> in_pieces(nn.Linear(3, 2).eval(), torch.zeros(1000, 3)).shape
        torch.Size([1000, 2])
    """
    run = network if compute is None else compute
    # A program that is compiled or exported is for any count, which is not looked at.
    if torch.compiler.is_compiling() or network.training or torch.is_grad_enabled() or _at_once.get():
        return run(*given)  # type: ignore[no-any-return]
    count = len(given[0])
    rows = count if count <= 2 else rows_that_fit(network, *given, compute=compute)
    if rows >= count:
        return run(*given)  # type: ignore[no-any-return]
    # As many pieces, and none of them larger than it must be.
    rows = -(-count // -(-count // rows))
    made: Tensor | None = None
    for start in range(0, count, rows):
        piece = run(*(each[start : start + rows] for each in given))
        if made is None:  # not a list that is joined at the end, when all would be there twice
            made = piece.new_empty(count, *piece.shape[1:])
        made[start : start + rows] = piece
    assert made is not None
    return made
