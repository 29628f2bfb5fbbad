"""Several processes, simulated in one: what each makes of its share of a batch, with what the others send it.

The shares are computed one after the other. One that needs what the others send is left there, and begun again from the same
seed when all have sent theirs; so any number of exchanges, forwards and backwards, is done in turn.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from unittest import mock

import torch
import torch.distributed as dist
from torch import Tensor

from genmod.system.random import reseed

__all__ = ["Deadlock", "in_processes"]

_T = TypeVar("_T")
_Sent = tuple[str, Any, Tensor]


class Deadlock(Exception):
    """Some processes wait for others that do not send what they wait for."""


class _Waits(BaseException):
    """A process needs what the others send."""

    def __init__(self, sent: _Sent) -> None:
        super().__init__()
        self.sent = sent


def in_processes(size: int, compute: Callable[[int], _T], *, seed: int = 0) -> list[_T]:
    """What each process computes, in the order of their ranks.

    Args:
        size: number of processes.
        compute: rank → its result; repeated until nothing is waited for, so that it must change nothing.
        seed: of the generators of every process.

    Raises:
        Deadlock: some of them exchange what others do not.

    Example:
        >>> from genmod.system.parallel import batch_mean
        >>> in_processes(2, lambda rank: batch_mean(torch.tensor([[1.0], [2.0 + rank]])).item())
        [1.75, 1.75]
    """
    exchanged: list[list[_Sent]] = []
    while True:
        results, sent = [], []
        for rank in range(size):
            reseed(seed)
            try:
                with _group(rank, size, exchanged):
                    results.append(compute(rank))
            except _Waits as waits:
                sent.append(waits.sent)
        if not sent:
            return results
        if len(sent) != size or len({(name, how) for name, how, _ in sent}) > 1:
            names = ", ".join(name for name, _, _ in sent)
            raise Deadlock(f"{len(sent)} of {size} processes wait for each other, in {names}")
        exchanged.append(sent)


@contextmanager
def _group(rank: int, size: int, exchanged: list[list[_Sent]]) -> Iterator[None]:
    """Context in which ``torch.distributed`` says that this is one of several processes, and knows past exchanges."""
    count = 0

    def every(name: str, tensor: Tensor, how: Any = None) -> list[Tensor]:
        nonlocal count
        if count == len(exchanged):
            raise _Waits((name, how, tensor.detach().clone()))
        count += 1
        return [each for _, _, each in exchanged[count - 1]]

    def all_reduce(
        tensor: Tensor, op: Any = dist.ReduceOp.SUM, group: Any = None, async_op: bool = False
    ) -> Any:
        parts = torch.stack(every("all_reduce", tensor, str(op)))
        match op:
            case dist.ReduceOp.MAX:
                reduced = parts.amax(0)
            case dist.ReduceOp.MIN:
                reduced = parts.amin(0)
            case dist.ReduceOp.PRODUCT:
                reduced = parts.prod(0)
            case dist.ReduceOp.AVG:
                reduced = parts.mean(0)
            case _:
                reduced = parts.sum(0)
        tensor.detach().copy_(reduced)
        return _Done() if async_op else None

    def all_gather(out: list[Tensor], tensor: Tensor, group: Any = None, async_op: bool = False) -> Any:
        for mine, sent in zip(out, every("all_gather", tensor), strict=True):
            mine.detach().copy_(sent)
        return _Done() if async_op else None

    def all_gather_into(out: Tensor, tensor: Tensor, group: Any = None, async_op: bool = False) -> Any:
        out.detach().copy_(torch.cat(every("all_gather_into_tensor", tensor)).reshape(out.shape))
        return _Done() if async_op else None

    def broadcast(tensor: Tensor, src: int = 0, group: Any = None, async_op: bool = False) -> Any:
        tensor.detach().copy_(every("broadcast", tensor, src)[src])
        return _Done() if async_op else None

    with mock.patch.multiple(
        dist,
        is_available=lambda: True,
        is_initialized=lambda: True,
        get_world_size=lambda group=None: size,
        get_rank=lambda group=None: rank,
        get_backend=lambda group=None: "gloo",
        barrier=lambda *_, **__: None,
        all_reduce=all_reduce,
        all_gather=all_gather,
        all_gather_into_tensor=all_gather_into,
        broadcast=broadcast,
    ):
        yield


class _Done:
    """The handle of an exchange that is over."""

    def wait(self) -> bool:
        return True
