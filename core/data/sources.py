"""Data that are given in Python as splits: tensors, arrays, torch datasets and loaders, by name or as a whole."""

import warnings
from collections.abc import Mapping
from typing import Any, final

from genmod.data.dataset import DataInfo, Dataset, Split, SplitName, default_root
from genmod.data.given import Stream, describe_sources, own_dataset, source_of
from genmod.errors import DataError, DataWarning

__all__ = ["as_dataset", "as_examples", "is_splits"]

_SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


def as_dataset(data: Any, *, known: DataInfo | None = None) -> Dataset:
    """Any data as a dataset of three splits; a dataset is returned unchanged.

    - A tensor or array ``(N, …)``, a ``TensorDataset``, a map-style torch ``Dataset``, or a list of items: fixed pseudo-random
      tenths are for validation and testing. Items are ``x``, ``(x, label)``, or a mapping with ``x`` and perhaps ``labels``.
    - A DataFrame of pandas, polars or pyarrow: as dataset ``table``, with kinds of columns that are found.
    - A mapping ``{"train": …, "validation": …, "test": …}`` of these, or a tuple of two or three in this order; what is
      missing is such a tenth of the training data.
    - A scipy sparse matrix or an ``AnnData`` object, whose rows are dense one batch at a time.
    - An ``IterableDataset``, or a ``DataLoader`` that does more than to collect items: a stream in its own order. Its first
      examples are held out. A run that is resumed begins it anew, and so is not the same to the last bit.

    Values are described as those of dataset ``npz``: ``uint8`` are 256 levels in [0, 1], or 2 where none is above 1;
    ``bool`` are 2 levels; floats are continuous, in [0, 1] where all of them are there, else unbounded; other whole numbers
    from 0 on are counts. Labels are whole numbers or texts. What is in memory is not copied.

    Args:
        data: any of these.
        known: what a model was built for; values are then read as its data are.

    Raises:
        DataError: another type; values that are NaN, infinite, or negative whole numbers; examples that differ in shape.

    Example:
        >>> import torch
        >>> data = as_dataset(torch.rand(50, 28, 28))
        >>> data.info.shape, data.info.high, len(data.split("train")), len(data.split("test"))
        ((1, 28, 28), 1.0, 40, 5)
    """
    if isinstance(data, Dataset):
        return data
    named: dict[Any, Any] = {"train": data}
    if is_splits(data):
        named = dict(data) if isinstance(data, Mapping) else dict(zip(_SPLITS, data, strict=False))
    if type(data) is tuple and len(data) > 1 and len(getattr(data[1], "shape", (0, 0))) == 1:
        raise DataError(
            "the second of a tuple is the validation split, and this one has one number for each example",
            hint="give labels with their examples: torch.utils.data.TensorDataset(x, labels)",
        )
    if "train" not in named or set(named) - set(_SPLITS) or (type(data) is tuple and not 2 <= len(data) <= 3):
        raise DataError(
            f"splits {', '.join(map(str, named)) or 'by no name'} are given; allowed are {', '.join(_SPLITS)}, and train "
            "is needed",
            hint='give {"train": x, "test": y}, or TensorDataset(x, labels) for examples with labels',
        )
    found = own_dataset(named["train"], known)
    if found is not None:
        if len(named) == 1:
            return found
        # Other tables have the columns of the training data.
        known = found.info
    sources = {name: source_of(each, known, ends=name != "train") for name, each in named.items()}
    info = describe_sources(list(sources.values()), known)
    splits = {name: source.split(info) for name, source in sources.items()}
    lacking = [name for name in _SPLITS if name not in splits]
    if lacking:
        splits |= sources["train"].divided(info, lacking)
    if isinstance(sources["train"], Stream):
        first = sum(len(splits[name]) for name in lacking)
        warnings.warn(
            "a stream is read in its own order, and begins anew when a run is resumed, which is then not the same to the last "
            "bit"
            + f"; its first {first:,} examples are left out in training, for {' and '.join(lacking)}: give "
            '{"train": …, "validation": …, "test": …} where these are not the same each time' * bool(lacking),
            DataWarning,
            stacklevel=2,
        )
    return _GivenData(info, splits)


def as_examples(data: Any, info: DataInfo) -> Split:
    """Any data as one split of all examples in their order, for a model; a split is returned unchanged.

    Args:
        data: as for :func:`as_dataset`, but not several splits; a stream is read to its end.
        info: what the model was built for.

    Raises:
        DataError: as :func:`as_dataset`; or these are several splits, or a stream does not end below 1 GiB.

    Example:
        >>> import torch
        >>> len(as_examples(torch.zeros(3, 8, 8), DataInfo((1, 8, 8))))
        3
    """
    if isinstance(data, Split):
        return data
    if isinstance(data, Dataset) or is_splits(data):
        raise DataError(
            "these are several splits, and one is needed", hint='give one of them, such as data.split("test")'
        )
    source = source_of(data, info, ends=True)
    return source.split(describe_sources([source], info))


def is_splits(data: Any) -> bool:
    """Whether these are several splits, by name or in a tuple.

    Example:
        >>> import torch
        >>> is_splits({"train": torch.zeros(9, 2)}), is_splits({"x": torch.zeros(9, 2)})
        (True, False)
    """
    return type(data) is tuple or (isinstance(data, Mapping) and "x" not in data)


@final
class _GivenData(Dataset):
    """Splits that were made of data given in Python."""

    def __init__(self, info: DataInfo, splits: Mapping[Any, Split]) -> None:
        super().__init__(default_root())
        self._info, self._splits = info, splits

    @property
    def info(self) -> DataInfo:
        return self._info

    def split(self, name: SplitName) -> Split:
        return self._splits[name]
