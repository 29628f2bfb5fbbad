"""Distributed training: the processes of a run, and what they exchange.

Each process computes on its part of every batch; ``torch.distributed`` averages the gradients. Random numbers are drawn
for the whole batch (:mod:`genmod.training.shared_noise`), so that they do not depend on the number of processes.
"""

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from genmod.data.dataset import Split
from genmod.errors import UsageError
from genmod.interfaces.model import GenerativeModel
from genmod.interfaces.objective import Terms
from genmod.training.sharding import TermsModule, shard
from genmod.training.units import network_units, units_of

__all__ = ["Team", "parallel_terms", "process_group"]


class Team:
    """The processes of a run, one or more, as one of them sees them.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.

    Example:
        >>> team = Team()
        >>> team.rank, team.size, team.share(6)
        (0, 1, slice(0, 6, None))
    """

    def __init__(self) -> None:
        together = dist.is_available() and dist.is_initialized()
        self.rank: int = dist.get_rank() if together else 0
        self.size: int = dist.get_world_size() if together else 1

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which alone writes files and reports events."""
        return self.rank == 0

    def share(self, n: int) -> slice:
        """This process's part of ``n`` examples.

        Raises:
            UsageError: the number of processes does not divide ``n``.
        """
        if n % self.size:
            raise UsageError(
                f"a batch of {n} cannot be shared evenly among {self.size} processes",
                hint=f"choose a --batch-size that {self.size} divides",
            )
        return slice(self.rank * n // self.size, (self.rank + 1) * n // self.size)

    def largest(self, *numbers: int) -> tuple[int, ...]:
        """The maximum of each number over all processes."""
        if self.size == 1:
            return numbers
        tensor = torch.tensor(numbers, device=_device())
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return tuple(tensor.tolist())

    def gather(self, thing: Any) -> list[Any]:
        """The plain data of all processes, in the order of their ranks."""
        if self.size == 1:
            return [thing]
        things: list[Any] = [None] * self.size
        dist.all_gather_object(things, thing)
        return things

    def from_leader(self, thing: Any) -> Any:
        """The plain data of rank 0."""
        things = [thing]
        if self.size > 1:
            dist.broadcast_object_list(things, src=0)
        return things[0]

    def wait(self) -> None:
        """Wait until all processes have come here."""
        # A barrier of NCCL would have to guess which GPU is that of the process.
        self.largest(0)

    def average(self, gradients: list[Tensor]) -> None:
        """Average gradients in place, for losses by group, whose gradients DistributedDataParallel does not average."""
        if self.size > 1:
            for gradient in gradients:
                dist.all_reduce(gradient)
                gradient /= self.size


@contextmanager
def process_group(device: str) -> Iterator[str]:
    """Join the process group that ``torchrun`` or ``genmod train --processes`` started; yields this process's device.

    Without one it does nothing.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or not dist.is_available():
        yield device
        return
    on_cuda = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    if on_cuda:
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    # What the processes agree on goes over gloo, which does not wait for the GPUs.
    backend, file = "cpu:gloo,cuda:nccl" if on_cuda else "gloo", os.environ.get("GENMOD_STORE")
    if file is None:
        dist.init_process_group(backend)
    else:
        store = dist.FileStore(file, size)  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=store, rank=int(os.environ["RANK"]), world_size=size)
    try:
        yield device
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def parallel_terms(
    model: GenerativeModel, strategy: str, device: torch.device, split: Split
) -> Callable[..., Terms]:
    """``model.terms`` with gradients that are averaged over all processes.

    With ``fsdp`` the weights are sharded over the processes, so optimizers must be made after this call.

    Args:
        model: the model, with the precision in which its networks are to run.
        strategy: ``ddp`` or ``fsdp``.
        device: of the weights.
        split: to train on; ``fsdp`` computes two of its examples, to see how the model is put together.

    Raises:
        UsageError: a part of the model needs statistics of the whole batch, which its process does not have.
    """
    for name, part in model.named_modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and device.type != "cuda":
            raise UsageError(
                f"{name} is a batch normalisation, whose statistics processes on the CPU do not share",
                hint="train in one process, or use another norm: -s encoder.norm=group",
            )
        if getattr(part, "batch_statistics", "none") == "local":
            raise UsageError(
                f"{name} ({type(part).__name__}) uses statistics of the batch of one process",
                hint="train in one process, or choose another component",
            )
    root = TermsModule(nn.SyncBatchNorm.convert_sync_batchnorm(model) if device.type == "cuda" else model)
    if strategy == "fsdp":
        shard(root, device, _units(model, device, split))
        return root
    ids = [device.index] if device.type == "cuda" else None
    # All processes compute the same buffers, so none are copied. Newer versions of torch name this option differently.
    known = inspect.signature(nn.parallel.DistributedDataParallel).parameters
    switch = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    options: dict[str, Any] = {switch: False}
    return nn.parallel.DistributedDataParallel(root, device_ids=ids, **options)


def _units(
    model: GenerativeModel, device: torch.device, split: Split
) -> list[tuple[tuple[nn.Module, ...], torch.dtype | None]]:
    """What is gathered together, and in which precision; the same in all processes, whatever one of them has run into."""

    def compute() -> object:
        batch = split.__getitems__([0, len(split) - 1]).to(device)
        return model.train().terms(batch.x, model.context(batch))

    modules = list(model.modules())
    number = {id(module): i for i, module in enumerate(modules)}
    found = [[number[id(module)] for module in unit] for unit in units_of(model, compute)]
    units = [tuple(modules[i] for i in unit) for unit in Team().from_leader(found)]
    low = network_units(model, units)
    return [(unit, model.autocast_dtype if unit in low else None) for unit in units]


def _device() -> str:
    """Where the numbers that processes agree on are; a group that somebody else has made may know GPUs only."""
    return "cpu" if "cpu:" in str(dist.get_backend_config()) else "cuda"
