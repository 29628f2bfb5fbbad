"""Splits of data that come item by item: map-style torch datasets, and streams with an order of their own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, final

import torch
from torch.utils.data import get_worker_info

from genmod.data.dataset import Batch, DataInfo, Split, TensorSplit
from genmod.data.held import Held, collated
from genmod.errors import DataError

__all__ = ["ItemsSplit", "PartSplit", "StreamSplit", "part_of"]


@final
class ItemsSplit(Split):
    """The items of a map-style dataset, read as they are needed.

    Args:
        items: the dataset.
        info: description of its examples.
        exact: whether an item is the same each time it is read.
    """

    def __init__(self, items: Any, info: DataInfo, *, exact: bool = True) -> None:
        self._items, self.info, self.exact = items, info, exact

    def __len__(self) -> int:
        return len(self._items)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        assert self.info is not None
        return read_items(self._items, indices, self.info).batch(self.info)


def read_items(items: Any, indices: Sequence[int], known: DataInfo | None, *, tell: bool = False) -> Held:
    """The items at some indices of a map-style dataset."""
    several = getattr(items, "__getitems__", None)
    found = several(list(indices)) if callable(several) else [items[i] for i in indices]
    return collated(found, known, tell=tell)


@final
class PartSplit(Split):
    """Some examples of another split.

    Args:
        whole: the split.
        places: of the examples in it.
    """

    def __init__(self, whole: Split, places: Sequence[int]) -> None:
        self._whole, self._places = whole, places
        self.info, self.exact, self.varies = whole.info, whole.exact, whole.varies

    def __len__(self) -> int:
        return len(self._places)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        return self._whole.__getitems__([int(self._places[i]) for i in indices])

    def varied(self, indices: Sequence[int], *, seed: int, step: int) -> Batch:
        return self._whole.varied([int(self._places[i]) for i in indices], seed=seed, step=step)


def part_of(split: Split, places: Any) -> Split:
    """Some examples of a split, in memory where the split is.

    Args:
        split: the whole.
        places: of the examples in it, an array of whole numbers.
    """
    batch = None if split.varies else split.in_memory()
    if batch is None:
        return PartSplit(split, places)
    return TensorSplit(batch.take(torch.as_tensor(places, dtype=torch.int64)), split.info)


@final
class StreamSplit(Split):
    """A stream of batches in an order of its own: whichever examples are asked for, the next ones are given.

    Where it ends it begins anew.

    Args:
        batches: begins the stream.
        info: description of its examples.
        length: how many examples are taken for an epoch.
        skip: examples at its beginning that are left out each time.
    """

    exact = False

    def __init__(
        self, batches: Callable[[], Iterable[Held]], info: DataInfo, *, length: int, skip: int = 0
    ) -> None:
        self._begin, self.info, self._length, self._skip = batches, info, length, skip
        self._stream: Iterator[Batch] = iter(())
        self._rest = Batch(torch.empty(0))

    def __len__(self) -> int:
        return self._length

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        if get_worker_info() is not None:
            raise DataError(
                "a stream cannot be read by several processes, each of which would give all of it",
                hint="leave workers out; a DataLoader may have workers of its own: DataLoader(data, num_workers=4)",
            )
        taken, wanted = list[Batch](), len(indices)
        while wanted:
            if not len(self._rest):
                self._rest = self._next()
            taken.append(self._rest[:wanted])
            self._rest, wanted = self._rest[wanted:], wanted - len(taken[-1])
        labels = [each.labels for each in taken]
        return Batch(
            torch.cat([each.x for each in taken]),
            None if any(each is None for each in labels) else torch.cat([e for e in labels if e is not None]),
        )

    def _next(self) -> Batch:
        for attempt in range(2):
            for batch in self._stream:
                return batch
            if not attempt:
                self._stream = self._batches()
        raise DataError(
            "the stream gave no further example when it was begun anew",
            hint="give a DataLoader, or an object whose __iter__ begins from the start each time",
        )

    def _batches(self) -> Iterator[Batch]:
        assert self.info is not None
        skip = self._skip
        for each in self._begin():
            batch = each.batch(self.info)
            left = batch[skip:]
            skip = max(0, skip - len(batch))
            if len(left):
                yield left
