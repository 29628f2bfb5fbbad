"""What kind of data is given in Python, and the splits that each kind can be made into."""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import data as torch_data

from genmod.data.annotated import matrix_dataset
from genmod.data.cells import is_frame
from genmod.data.dataset import DataInfo, Dataset, Split, SplitName, TensorSplit
from genmod.data.everything import every_row
from genmod.data.held import Held, collated, describe, held
from genmod.data.items import ItemsSplit, StreamSplit, part_of, read_items
from genmod.data.order import tenths
from genmod.data.table import FrameDataset
from genmod.errors import DataError, DataWarning

__all__ = ["Source", "Stream", "describe_sources", "own_dataset", "source_of"]

_LOOKED_AT = 1000
"""Items of a torch dataset that are read to find out what it holds."""
_TRIED = 8
"""Items that are read twice to find out whether they stay the same."""
_READ_FIRST = 10_000
"""Examples of a stream that are read to find out what it holds; also its epoch, where its length is not known."""
_HELD_OUT = 1000
_AT_ONCE = 64
_MAX_BYTES = 2**30
_MAX_FIRST = 2**28
_ALLOWED = (
    "a tensor or array (N, …), a DataFrame, a sparse matrix, an AnnData, a torch TensorDataset, Dataset or DataLoader, "
    'or a mapping {"train": …, "validation": …, "test": …} of these'
)


@dataclass(frozen=True)
class Memory:
    """Examples in memory."""

    some: Held
    names: tuple[str, ...] = ()

    def split(self, info: DataInfo) -> Split:
        return TensorSplit(self.some.batch(info), info)

    def divided(self, info: DataInfo, lacking: list[SplitName]) -> dict[SplitName, Split]:
        return _tenths(self.split(info), lacking)


@dataclass(frozen=True)
class Items:
    """A map-style dataset, or a split of genmod's own.

    Args:
        items: the dataset.
        some: examples of it.
        names: of its classes.
        exact: whether items stay the same.
    """

    items: Any
    some: Held
    names: tuple[str, ...]
    exact: bool

    def split(self, info: DataInfo) -> Split:
        return self.items if isinstance(self.items, Split) else ItemsSplit(self.items, info, exact=self.exact)

    def divided(self, info: DataInfo, lacking: list[SplitName]) -> dict[SplitName, Split]:
        return _tenths(self.split(info), lacking)


@dataclass(frozen=True)
class Stream:
    """What is read in its own order.

    Args:
        batches: begins it.
        some: its first examples.
        length: number of its examples, where that is known.
    """

    batches: Any
    some: Held
    length: int | None
    names: tuple[str, ...] = ()

    def split(self, info: DataInfo, held_out: int = 0) -> Split:
        """The stream without its first ``held_out`` examples."""
        length = max(1, (self.length or _READ_FIRST + held_out) - held_out)
        return StreamSplit(self.batches, info, length=length, skip=held_out)

    def divided(self, info: DataInfo, lacking: list[SplitName]) -> dict[SplitName, Split]:
        """Its first examples for splits that are lacking, the rest for training."""
        size = min(_HELD_OUT, max(1, len(self.some) // 10))
        if len(self.some) < 3:
            raise DataError(f"the stream has {len(self.some)} examples; 3 or more are needed")
        batch, splits = self.some.batch(info), dict[SplitName, Split]()
        for i, name in enumerate(lacking):
            splits[name] = TensorSplit(batch[slice(i * size, (i + 1) * size)], info)
        return {"train": self.split(info, size * len(lacking)), **splits}


Source = Memory | Items | Stream


def _tenths(split: Split, lacking: list[SplitName]) -> dict[SplitName, Split]:
    return {name: part_of(split, places) for name, places in tenths(len(split), lacking).items()}


def describe_sources(sources: Sequence[Source], known: DataInfo | None) -> DataInfo:
    """What a model must know about the data of all splits."""
    own = next((s.items for s in sources if isinstance(s, Items) and isinstance(s.items, Split)), None)
    if own is not None and (own.info or known) is not None:
        return own.info or known  # type: ignore[return-value]
    return describe([source.some for source in sources], known, sources[0].names)


def own_dataset(data: Any, known: DataInfo | None) -> Dataset | None:
    """The dataset of data that have one of their own: DataFrames, sparse matrices, ``AnnData``; None of others."""
    if not is_frame(data):
        return matrix_dataset(data, known=known)
    found = FrameDataset(data)
    found.known = known
    return found


def source_of(data: Any, known: DataInfo | None, *, ends: bool) -> Source:
    """What kind of data these are; those that must end are read to their end."""
    if isinstance(data, Dataset):
        raise DataError("a dataset has splits of its own", hint='give one of them: data.split("train")')
    if isinstance(data, torch_data.TensorDataset):
        return Memory(held(data.tensors, known))
    if isinstance(data, torch_data.Subset):
        whole = source_of(data.dataset, known, ends=ends)
        if isinstance(whole, Memory):
            labels = whole.some.labels
            places = np.asarray(data.indices, dtype=np.int64)
            chosen = Held(whole.some.x[torch.from_numpy(places)], None if labels is None else labels[places])
            return Memory(chosen, whole.names)
    dataset = own_dataset(data, known)
    if dataset is not None:
        data = every_row(dataset)
    if isinstance(data, Split):
        batch = data.in_memory()
        some = batch if batch is not None else data.__getitems__(range(min(len(data), _LOOKED_AT)))
        return Items(data, Held(some.x), (), data.exact)
    if isinstance(data, torch_data.DataLoader):
        return _loader(data, known, ends=ends)
    if isinstance(data, torch_data.IterableDataset):
        return _stream(partial(_collected, data, known), None, known, ends=ends)
    if isinstance(data, Tensor | np.ndarray | Mapping):
        return Memory(held(data, known))
    if not isinstance(data, str | bytes) and all(hasattr(data, name) for name in ("__getitem__", "__len__")):
        return _items(data, known)
    raise DataError(
        f"the data are a {type(data).__module__}.{type(data).__qualname__}; allowed are {_ALLOWED}"
    )


def _items(data: Any, known: DataInfo | None) -> Items:
    n = len(data)
    if not n:
        raise DataError("the dataset has no items")
    count = min(n, _LOOKED_AT)
    places = sorted({i * (n - 1) // max(1, count - 1) for i in range(count)})
    some = read_items(data, places, known, tell=True)
    tried = places[:: max(1, len(places) // _TRIED)]
    again, once = read_items(data, tried, known), {place: i for i, place in enumerate(places)}
    exact = bool(torch.equal(again.x, some.x[[once[place] for place in tried]]))
    if not exact:
        warnings.warn(
            "items of the dataset differ from one reading to the next; a run that is resumed is not the same to the last bit",
            DataWarning,
            stacklevel=2,
        )
    return Items(data, some, () if some.labels is None else _class_names(data), exact)


def _class_names(data: Any) -> tuple[str, ...]:
    """Names of all classes, from what torchvision's datasets have of them; empty where there is nothing."""
    names, numbers = getattr(data, "classes", None), getattr(data, "targets", None)
    if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
        return tuple(names)
    if isinstance(numbers, list | np.ndarray | Tensor) and len(numbers) == len(data):
        found = np.unique(np.asarray(numbers))
        return tuple(map(str, found.tolist())) if found.dtype.kind in "iU" else ()
    return ()


def _loader(loader: Any, known: DataInfo | None, *, ends: bool) -> Source:
    """A loader that only collects items is its dataset; any other is a stream."""
    samplers = (torch_data.SequentialSampler, torch_data.RandomSampler)
    plain = (
        not isinstance(loader.dataset, torch_data.IterableDataset)
        and isinstance(loader.sampler, samplers)
        and type(loader.batch_sampler) is torch_data.BatchSampler
        and loader.collate_fn is torch_data.default_collate
        and not getattr(loader.sampler, "replacement", False)
    )
    if plain:
        warnings.warn(
            "of the DataLoader its dataset is taken: order, size of batches and workers are those of the settings",
            DataWarning,
            stacklevel=2,
        )
        return source_of(loader.dataset, known, ends=ends)
    batched = loader.batch_size is not None or loader.batch_sampler is not None
    length = None
    if not isinstance(loader.dataset, torch_data.IterableDataset) and loader.batch_size:
        length = len(loader) * loader.batch_size
    batches = partial(_as_held, loader, known) if batched else partial(_collected, loader, known)
    return _stream(batches, length, known, ends=ends)


def _stream(batches: Any, length: int | None, known: DataInfo | None, *, ends: bool) -> "Memory | Stream":
    some, count, bytes_ = list[Held](), 0, 0
    ended = True
    for each in batches():
        some.append(each)
        count, bytes_ = count + len(each), bytes_ + each.x.nbytes
        if bytes_ > _MAX_BYTES or (not ends and (count >= _READ_FIRST or bytes_ > _MAX_FIRST)):
            ended = False
            break
    if not some:
        raise DataError("the stream has no examples")
    if ends and not ended:
        raise DataError(
            f"the stream gave {count:,} examples, more than {_MAX_BYTES / 2**30:g} GiB, and did not end",
            hint="give fewer of them, or encode them batch by batch: model.encode(model.observe(x))",
        )
    whole = _joined(some)
    if ends:
        return Memory(whole)
    return Stream(batches, whole, count if ended else length)


def _as_held(loader: Iterable[Any], known: DataInfo | None) -> Iterator[Held]:
    for i, each in enumerate(loader):
        yield held(each, known, tell=not i)


def _collected(items: Iterable[Any], known: DataInfo | None) -> Iterator[Held]:
    """Single examples, several at a time."""
    some, told = list[Any](), False
    for each in items:
        some.append(each)
        if len(some) == _AT_ONCE:
            yield collated(some, known, tell=not told)
            some, told = [], True
    if some:
        yield collated(some, known, tell=not told)


def _joined(parts: list[Held]) -> Held:
    kinds = dict.fromkeys(f"{tuple(part.x.shape[1:])} of {part.x.dtype}" for part in parts)
    if len(kinds) > 1:
        raise DataError(f"examples of the stream differ: {', '.join(list(kinds)[:3])}")
    labels = [part.labels for part in parts if part.labels is not None]
    return Held(
        torch.cat([p.x for p in parts]), np.concatenate(labels) if len(labels) == len(parts) else None
    )
