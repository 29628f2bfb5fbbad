"""All examples of a dataset in the order of its file, whatever the split."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Literal, get_args

import torch
from torch import Tensor

from genmod.data.dataset import Batch, Dataset, Split, SplitName

__all__ = ["every_row", "in_order", "together"]


def every_row(dataset: Dataset) -> Split:
    """All examples in the order of the file; the splits one after the other where there is no other order.

    Example:
        >>> from genmod import ComponentSpec, ModelSpec, open_dataset
        >>> len(every_row(open_dataset(ModelSpec({"dataset": ComponentSpec("digits")}))))
        1797
    """
    found = dataset.everything()
    if found is not None:
        return found
    parts = [dataset.split(name) for name in get_args(SplitName)]
    return _Joined(parts)


def in_order(dataset: Dataset, name: SplitName | Literal["all"]) -> tuple[Split, Tensor]:
    """Examples in the order of the file, and the row of each among those of :func:`every_row`, ``(N,)`` int64.

    Args:
        dataset: where they are from.
        name: of a split, or ``all``.
    """
    if name == "all":
        every = every_row(dataset)
        return every, torch.arange(len(every))
    split, places = dataset.split(name), dataset.places(name)
    if places is None:
        before = get_args(SplitName)[: get_args(SplitName).index(name)]
        return split, torch.arange(len(split)) + sum(len(dataset.split(each)) for each in before)
    order = places.argsort()
    return _Reordered(split, order), places[order]


def together(batches: Sequence[Batch]) -> Batch:
    """Batches one after the other; labels and factors where all of them have some."""

    def joined(parts: Sequence[Tensor | None]) -> Tensor | None:
        known = [part for part in parts if part is not None]
        return torch.cat(known) if known and len(known) == len(parts) else None

    return Batch(
        torch.cat([batch.x for batch in batches]),
        joined([batch.labels for batch in batches]),
        joined([batch.factors for batch in batches]),
    )


class _Joined(Split):
    """Splits one after the other."""

    def __init__(self, parts: Sequence[Split]) -> None:
        self._parts, self._ends = parts, list(accumulate(map(len, parts)))
        self.info = parts[0].info
        if all(part.names is not None for part in parts):
            self.names = [name for part in parts for name in part.names or ()]

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        if any(not 0 <= i < len(self) for i in indices):
            raise IndexError(f"there are {len(self)} examples")
        owners = [bisect_right(self._ends, i) for i in indices]
        # Sorted by part, then put back in the order that was asked for.
        order = sorted(range(len(owners)), key=owners.__getitem__)
        found = []
        for number in sorted(set(owners)) or [0]:
            start = self._ends[number] - len(self._parts[number])
            mine = [int(indices[i]) - start for i in order if owners[i] == number]
            found.append(self._parts[number].__getitems__(mine))
        back = torch.tensor(order, dtype=torch.int64).argsort()
        return together(found).take(back)


class _Reordered(Split):
    """A split in another order."""

    def __init__(self, split: Split, order: Tensor) -> None:
        self._inner, self._order, self.info = split, order, split.info
        names = split.names
        self.names = None if names is None else [names[i] for i in order.tolist()]

    def __len__(self) -> int:
        return len(self._order)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        return self._inner.__getitems__(self._order[torch.as_tensor(indices, dtype=torch.int64)].tolist())
