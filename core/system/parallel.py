"""Statistics of a batch that is distributed over several processes.

A loss that is a mean over examples needs none of these functions: the gradients of all processes are averaged. Any other
loss (a threshold on a mean, a kernel between all pairs) uses them in place of ``x.mean(0)`` and of ``x``; in a single
process they return just these.

Random numbers need no care either: torch draws those of the whole batch in each process. Only a loop whose length depends
on its draws must use :func:`any_process` in its condition.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

__all__ = ["any_process", "batch_mean", "gather_batch", "is_parallel", "local", "own_part"]

_local: ContextVar[bool] = ContextVar("genmod_local", default=False)


def is_parallel() -> bool:
    """Whether batches are currently distributed over several processes."""
    return not _local.get() and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


@contextmanager
def local() -> Iterator[None]:
    """Context in which each process works on its own data, as in validation."""
    token = _local.set(True)
    try:
        yield
    finally:
        _local.reset(token)


def any_process(flag: Tensor) -> bool:
    """Whether a flag, ``()`` bool, is true in any process.

    A loop that ends when every draw is accepted must end when those of all processes are: otherwise the processes draw
    different amounts of random numbers, and all later draws differ.

    Example:
        >>> any_process(torch.tensor([False, True]).any())
        True
    """
    if not is_parallel():
        return bool(flag)
    total = flag.to(torch.int32)
    dist.all_reduce(total, dist.ReduceOp.MAX)
    return bool(total)


def batch_mean(x: Tensor) -> Tensor:
    """The mean over the examples of all processes, with its gradient: ``(B, *shape) → (*shape)``.

    Example:
        >>> batch_mean(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        tensor([2., 3.])
    """
    if not is_parallel():
        return x.mean(0)
    total: Tensor = _Sum.apply(x.mean(0))  # type: ignore[no-untyped-call]
    return total / dist.get_world_size()


def gather_batch(x: Tensor) -> Tensor:
    """The examples of all processes, with their gradients: ``(B, *shape) → (processes · B, *shape)``.

    Example:
        >>> gather_batch(torch.zeros(4, 2)).shape
        torch.Size([4, 2])
    """
    if not is_parallel():
        return x
    # Each process pads its own examples with zeros for those of the others; the sum over processes has all examples.
    rank, size = dist.get_rank(), dist.get_world_size()
    before, after = rank * len(x), (size - rank - 1) * len(x)
    padding = [0, 0] * (x.dim() - 1) + [before, after]
    whole: Tensor = _Sum.apply(nn.functional.pad(x, padding))  # type: ignore[no-untyped-call]
    return whole


def own_part(x: Tensor) -> Tensor:
    """The part of a tensor for all examples, as from :func:`gather_batch`, that belongs to those of this process.

    ``(processes · B, *shape) → (B, *shape)``

    Example:
        >>> own_part(torch.zeros(4, 2)).shape
        torch.Size([4, 2])
    """
    return x.chunk(dist.get_world_size())[dist.get_rank()] if is_parallel() else x


class _Sum(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total
