"""Statistics of the whole batch, where it is spread over several processes.

A loss that is a mean over examples needs nothing of this: the gradients of all processes are averaged. A loss
that is not (a threshold on a mean, a kernel between all pairs) uses these functions in place of ``x.mean(0)``
and of ``x`` itself; in one process they are just that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch.distributed as dist
from torch import Tensor

__all__ = ["batch_mean", "gather_batch", "is_parallel", "local"]

_local: ContextVar[bool] = ContextVar("genmod_local", default=False)


def is_parallel() -> bool:
    """Whether a batch is spread over several processes right now."""
    return not _local.get() and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


@contextmanager
def local() -> Iterator[None]:
    """Inside, each process works on data of its own, as in validation."""
    token = _local.set(True)
    try:
        yield
    finally:
        _local.reset(token)


def batch_mean(x: Tensor) -> Tensor:
    """The mean over the examples of all processes, with its gradient: ``(B, *shape) → (*shape)``.

    Example:
        >>> import torch
        >>> batch_mean(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        tensor([2., 3.])
    """
    mean = x.mean(0)
    if not is_parallel():
        return mean
    from torch.distributed.nn.functional import all_reduce

    total: Tensor = all_reduce(mean)  # type: ignore[no-untyped-call]
    return total / dist.get_world_size()


def gather_batch(x: Tensor) -> Tensor:
    """The examples of all processes, with their gradients: ``(B, *shape) → (processes · B, *shape)``.

    Example:
        >>> import torch
        >>> gather_batch(torch.zeros(4, 2)).shape
        torch.Size([4, 2])
    """
    if not is_parallel():
        return x
    import torch
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(x.contiguous()))  # type: ignore[no-untyped-call]
