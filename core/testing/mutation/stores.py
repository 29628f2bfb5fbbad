"""Faults in datasets, trackers and formats."""

import itertools
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from genmod.data.dataset import Batch, Split
from genmod.testing.mutation.mutator import Attributes, NoChange, Seen, after, before, mutates, replaced

__all__: list[str] = []


class _Other(Split):
    """A split with other examples at its indices.

    Args:
        split: the split.
        indices: which of its examples are there, in this order.
        behind: a second split, whose examples come behind them.
    """

    def __init__(self, split: Split, indices: Sequence[int], behind: Split | None = None) -> None:
        self.split, self.indices, self.behind = split, list(indices), behind
        self.info, self.names, self.exact = split.info, None, split.exact

    def __len__(self) -> int:
        return len(self.indices) + (0 if self.behind is None else len(self.behind))

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        own = [self.indices[i] for i in indices if i < len(self.indices)]
        if self.behind is None or len(own) == len(indices):
            return self.split.__getitems__(own)
        rest = [i - len(self.indices) for i in indices if i >= len(self.indices)]
        parts = ([self.split.__getitems__(own)] if own else []) + [self.behind.__getitems__(rest)]

        def joined(name: str) -> Any:
            tensors = [getattr(part, name) for part in parts]
            return None if any(each is None for each in tensors) else torch.cat(tensors)

        return Batch(joined("x"), joined("labels"), joined("factors"))


class _Changed(_Other):
    """A split with something done to its batches."""

    def __init__(self, split: Split, change: Any, seen: Seen) -> None:
        super().__init__(split, range(len(split)))
        self.change, self.seen = change, seen

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        right = self.split.__getitems__(list(indices))
        made: Batch = self.change(self.split, right, list(indices))
        for old, new in zip(_tensors(right), _tensors(made), strict=True):
            self.seen(old, new)
        return made


def _tensors(batch: Batch) -> tuple[Any, ...]:
    return batch.x, batch.labels, batch.factors


def _splits(name: str, check: str, change: Any) -> None:
    """A fault in the splits of a dataset: ``change(original, split, name)``."""

    @mutates(name, "dataset", check=check)
    def _(cls: Any, seen: Seen) -> Attributes:
        def other(self: Any, original: Any, which: str) -> Any:
            return change(original, original(which), which)

        return replaced(cls, "split", other, seen)


def _batches(name: str, check: str, change: Any) -> None:
    """A fault in each batch of a dataset: ``change(info, split, batch, indices)``."""

    @mutates(name, "dataset", check=check)
    def _(cls: Any, seen: Seen) -> Attributes:
        def other(self: Any, split: Split, which: str) -> Any:
            return _Changed(split, lambda *given: change(self.info, *given), seen)

        return after(cls, "split", other, Seen())


_splits(
    "test examples are among those of training",
    "check_splits",
    lambda original, split, which: (
        _Other(split, range(len(split)), original("test")) if which == "train" else split
    ),
)
_splits(
    "the order is drawn each time",
    "check_fixed",
    lambda original, split, which: _Other(split, torch.randperm(len(split)).tolist()),
)
_batches(
    "indices are sorted",
    "check_indices",
    lambda info, split, batch, indices: split.__getitems__(sorted(indices)),
)
_batches(
    "whole numbers become fractions", "check_examples", lambda info, split, batch, indices: _halves(batch)
)
_batches(
    "values leave the declared range",
    "check_examples",
    lambda info, split, batch, indices: replace(batch, x=_outside(batch.x, info)),
)
_batches(
    "labels are those of another example",
    "check_indices",
    lambda info, split, batch, indices: (
        batch if batch.labels is None else replace(batch, labels=batch.labels.roll(1, 0))
    ),
)


def _halves(batch: Batch) -> Batch:
    return batch if batch.x.is_floating_point() else replace(batch, x=batch.x.float() / 2)


def _outside(x: Any, info: Any) -> Any:
    if x.is_floating_point():
        return torch.full_like(x, 2 * abs(info.high) + 1 if info.high < float("inf") else float("nan"))
    return torch.full_like(x, torch.iinfo(x.dtype).max)


@mutates("an example is lost from everything()", "dataset", check="check_everything")
def _lost(cls: Any, seen: Seen) -> Attributes:
    def without(self: Any, found: Split | None) -> Split | None:
        return found and _Other(found, range(len(found) - 1))

    return after(cls, "everything", without, seen)


@mutates("the declared range is half as wide", "dataset", check="check_examples")
def _half_range(cls: Any, seen: Seen) -> Attributes:
    original = getattr(cls, "info", None)
    if not isinstance(original, property):
        raise NoChange("its info is no property")

    def info(self: Any) -> Any:
        found = original.__get__(self, cls)
        if found.high == float("inf"):
            return found
        levels = None if found.levels is None else max(found.levels // 2, 1)
        return seen(found, replace(found, levels=levels, high=found.low + (found.high - found.low) / 2))

    return {"info": property(info)}


@mutates("every third row is dropped", "tracker", check="check_tracker_rows")
def _dropped_row(cls: Any, seen: Seen) -> Attributes:
    counter = itertools.count(1)

    def write(self: Any, original: Any, row: Any) -> Any:
        return None if next(counter) % 3 == 0 else original(row)

    return replaced(cls, "write", write, seen)


@mutates("two values of a row are swapped", "tracker", check="check_tracker_rows")
def _swapped(cls: Any, seen: Seen) -> Attributes:
    def write(self: Any, row: Any) -> tuple[Any, ...]:
        return ({**row, "step": row.get("loss"), "loss": row.get("step")},)

    return before(cls, "write", write, seen)


@mutates("rows are written twice", "tracker", check="check_tracker_rows")
def _twice(cls: Any, seen: Seen) -> Attributes:
    def write(self: Any, original: Any, row: Any) -> Any:
        original(row)
        return original(row)

    return replaced(cls, "write", write, seen)


@mutates("a resumed run forgets its rows", "tracker", check="check_tracker_resume")
def _forgets(cls: Any, seen: Seen) -> Attributes:
    return before(cls, "begin", lambda self, rows: ((),), seen)


@mutates("it stores nothing before it is closed", "tracker", check="check_tracker_flush")
def _late(cls: Any, seen: Seen) -> Attributes:
    def kept(self: Any, original: Any, row: Any) -> None:
        self.__dict__.setdefault("_late", []).append((original, row))

    def close(self: Any, original: Any, status: str) -> Any:
        for write, row in self.__dict__.pop("_late", ()):
            write(row)
        return original(status)

    return {**replaced(cls, "write", kept, seen), **replaced(cls, "close", close, seen)}


@mutates("it writes beside its folder", "tracker", check="check_tracker_place")
def _beside(cls: Any, seen: Seen) -> Attributes:
    def begin(self: Any, original: Any, rows: Any) -> Any:
        (self.directory.parent / "latest.txt").write_bytes(b"here")
        return original(rows)

    return replaced(cls, "begin", begin, seen)


@mutates("its files have the time in them", "format", check="check_format_files")
def _timed(cls: Any, seen: Seen) -> Attributes:
    def write(self: Any, original: Any, model: Any, folder: Any, *others: Any) -> Any:
        found = original(model, folder, *others)
        (folder / "written.txt").write_bytes(str(time.perf_counter_ns()).encode())
        return found

    return replaced(cls, "write", write, seen)


@mutates("it changes the model that it writes", "format", check="check_format_leaves")
def _touched(cls: Any, seen: Seen) -> Attributes:
    @torch.no_grad()
    def write(self: Any, original: Any, model: Any, *others: Any) -> Any:
        found = original(model, *others)
        for parameter in model.parameters():
            parameter.mul_(1.01)
        return found

    return replaced(cls, "write", write, seen)


@mutates("weights are read scaled", "format", check="check_format_reads")
def _scaled(cls: Any, seen: Seen) -> Attributes:
    if not cls.reads:
        raise NoChange("it does not read")

    def scaled(self: Any, found: Any, folder: Any) -> Any:
        return replace(
            found,
            weights=lambda model: {name: 1.01 * each for name, each in found.weights(model).items()},
        )

    return after(cls, "read", scaled, seen)
