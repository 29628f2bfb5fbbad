"""Batches: the examples of each step, shuffled, read and moved to the device."""

import signal
from collections.abc import Iterator, Sequence
from multiprocessing import current_process, get_start_method
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from genmod.data.dataset import Batch, DataInfo, Split, TensorSplit
from genmod.errors import DataError, GenmodError, UsageError
from genmod.system.device import free_memory, sent
from genmod.system.random import seed_for
from genmod.training.augment import Augmentation
from genmod.training.settings import TrainSettings
from genmod.training.signals import STOP_SIGNALS

__all__ = ["Batches", "batches_of"]

_MOST_OF_FREE = 0.5
"""Share of the free memory of a device that data may take: weights, their optimizer and a step need the rest."""

_GUARD = "Put the code of the script below the line: if __name__ == '__main__':"


def batches_of(split: Split, info: DataInfo, settings: TrainSettings, device: torch.device) -> "Batches":
    """The batches of a run, augmented as its settings say."""
    augmentation = Augmentation(settings.augment, info, settings.seed) if settings.augment else None
    return Batches(
        split,
        settings.batch_size,
        seed=settings.seed,
        device=device,
        workers=settings.workers,
        augmentation=augmentation,
    )


class Batches:
    """Shuffled batches of a split, each a function of (seed, step) alone.

    Each epoch has a new permutation, and new examples where the split has some that vary. All batches are full; the
    remaining examples of a permutation are left out, different ones in each epoch. Data in memory are kept on the device as
    they are stored, if they take no more than half of what is free there. Other data, and data that vary or that workers
    augment, are read batch by batch, ahead of time if there are workers.

    Args:
        split: the examples.
        batch_size: examples in a batch; at most the size of the split.
        seed: of the order, and of examples that vary.
        device: device of the batches.
        workers: processes that read ahead.
        augmentation: transforms of each example; without workers they change the global random state.

    Example:
        >>> from genmod.data.dataset import TensorSplit
        >>> split = TensorSplit(Batch(torch.arange(6)[:, None]))
        >>> batches = Batches(split, 2, seed=0, device=torch.device("cpu"))
        >>> batches.per_epoch, sorted(torch.cat([batches[i].x for i in range(3)]).flatten().tolist())
        (3, [0, 1, 2, 3, 4, 5])
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        *,
        seed: int,
        device: torch.device,
        workers: int = 0,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.batch_size = min(batch_size, len(split))
        self.per_epoch = len(split) // self.batch_size
        self.device = device
        self._source = _Source(split, augmentation, seed)
        self._order = _Order(len(split), self.batch_size, self.per_epoch, seed)
        self._workers = workers
        self._stream: Iterator[Any] = iter(())
        self._next = -1
        held = None if split.varies or (augmentation and workers) else split.in_memory()
        self.held: Batch | None = None
        if held is None:
            return
        if augmentation or held.nbytes > _MOST_OF_FREE * free_memory(device):
            self._source.split = TensorSplit(held)
        else:
            self.held = held.to(device)

    def __getitem__(self, step: int) -> Batch:
        """The batch of an optimizer step, counted from 0 over the whole run.

        Raises:
            DataError: a file can no longer be read, or a worker was killed.
        """
        if self.held is not None:
            return self.held.take(self._order.there(step, self.device))
        if step != self._next:
            self._stream = self._read_from(step)
        self._next = step + 1
        try:
            read = next(self._stream)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            guard = "" if get_start_method() == "fork" else f", or {_GUARD[0].lower()}{_GUARD[1:]}"
            raise DataError(
                f"a process that reads data has died: {error}",
                hint=f"memory may have run out: try fewer --workers{guard}",
            ) from error
        if isinstance(read, GenmodError):
            raise read
        return Batch(*read).to(self.device)

    def indices(self, step: int) -> list[int]:
        """The indices of the examples in the batch of a step."""
        return self._order[step].tolist()

    def close(self) -> None:
        """End the workers."""
        self._stream, self._next = iter(()), -1

    def _read_from(self, step: int) -> Iterator[Any]:
        if self._workers and getattr(current_process(), "_inheriting", False):
            # A spawned worker imports the script, and would start training too.
            raise UsageError("a worker process, which only reads data, tried to start training", hint=_GUARD)
        loader: DataLoader[Any] = DataLoader(
            self._source,
            batch_sampler=_From(self._order, step),
            num_workers=self._workers,
            collate_fn=_as_it_is,
            # A separate generator: without one, the loader draws from the global random state.
            generator=torch.Generator(),
            pin_memory=self.device.type == "cuda",
            worker_init_fn=_leave_signals_to_the_run,
        )
        return iter(loader)


class _Source(Dataset[Any]):
    """Map-style dataset that workers read: step and indices → a batch."""

    def __init__(self, split: Split, augmentation: Augmentation | None, seed: int) -> None:
        self.split, self._augmentation, self._seed = split, augmentation, seed

    def __getitems__(self, asked: Sequence[int]) -> tuple[Tensor | None, ...] | GenmodError:
        step, *indices = asked
        try:
            batch = self.split.varied(indices, seed=self._seed, step=step)
            x = batch.x if self._augmentation is None else self._augmentation(batch.x, indices, step)
        except GenmodError as error:
            # An error raised in a worker would arrive as the text of a traceback.
            return error
        return x, batch.labels, batch.factors


class _Order:
    """The indices of each step: a permutation for each epoch, split into batches."""

    def __init__(self, examples: int, batch_size: int, per_epoch: int, seed: int) -> None:
        self.examples, self.batch_size, self.per_epoch, self.seed = examples, batch_size, per_epoch, seed
        self._epoch = self._epoch_there = -1
        self._permutation = self._there = torch.empty(0, dtype=torch.long)

    def __getitem__(self, step: int) -> Tensor:
        epoch, position = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(seed_for(self.seed, "order", epoch))
            self._permutation, self._epoch = torch.randperm(self.examples, generator=generator), epoch
        return self._permutation[position * self.batch_size : (position + 1) * self.batch_size]

    def there(self, step: int, device: torch.device) -> Tensor:
        """The indices of a step on a device, which is given those of the whole epoch once: each copy would be waited for."""
        own = self[step]
        if device.type == "cpu":
            return own
        if self._epoch_there != self._epoch:
            self._there, self._epoch_there = sent(self._permutation, device), self._epoch
        first = step % self.per_epoch * self.batch_size
        return self._there[first : first + self.batch_size]


class _From(Sampler[list[int]]):
    """Infinite sampler: the steps from a given one on, each with its indices."""

    def __init__(self, order: _Order, step: int) -> None:
        self._order, self._step = order, step

    def __iter__(self) -> Iterator[list[int]]:
        step = self._step
        while True:
            yield [step, *self._order[step].tolist()]
            step += 1


def _as_it_is(read: Any) -> Any:
    return read


def _leave_signals_to_the_run(worker: int) -> None:
    """Ignore signals in a worker: Ctrl-C and schedulers signal the whole process group, and a dead worker ends the run."""
    for signum in STOP_SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
