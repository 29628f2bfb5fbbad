"""Datasets: fixed, disjoint splits of examples, and what a model must know about them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from genmod.data.info import DataInfo, Factor
from genmod.system.data_root import default_root
from genmod.system.explained import explained

__all__ = ["Batch", "DataInfo", "Dataset", "Factor", "Split", "SplitName", "TensorSplit", "default_root"]

SplitName = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Batch:
    """Examples as they are stored, first dimension ``B`` throughout.

    Args:
        x: the examples, ``(B, *shape)``, whole numbers or floats.
        labels: class numbers, ``(B,)`` ``int64``, or None.
        factors: values of the ground-truth factors, ``(B, number of factors)`` ``int64``, or None.
    """

    x: Tensor
    labels: Tensor | None = None
    factors: Tensor | None = None

    def __len__(self) -> int:
        """The number of examples."""
        return self.x.shape[0]

    def __getitem__(self, index: Tensor | slice) -> "Batch":
        return self._map(lambda tensor: tensor[index])

    def _repr_png_(self) -> bytes | None:
        # The package hands on what lies on the floors above this one.
        import genmod

        return genmod.batch_png(self)

    @property
    def nbytes(self) -> int:
        """The bytes of its tensors."""
        return sum(each.nbytes for each in (self.x, self.labels, self.factors) if each is not None)

    def take(self, indices: Tensor) -> "Batch":
        """The examples at ``indices (n,)``; faster than indexing with a tensor."""
        return self._map(lambda tensor: tensor.index_select(0, indices))

    def to(self, device: torch.device) -> "Batch":
        """The same examples on a device."""
        # A copy back to the CPU that does not wait could be read before it has arrived.
        return self._map(lambda tensor: tensor.to(device, non_blocking=device.type != "cpu"))

    def _map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        def apply(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else function(tensor)

        return Batch(function(self.x), apply(self.labels), apply(self.factors))


@explained
class Split(ABC):
    """A part of a dataset that can be fetched batch by batch."""

    info: DataInfo | None = None
    """Description of its examples, with names of classes and factors; None where only the dataset has it."""

    names: Sequence[str] | None = None
    """Name of each example, such as the file of a picture; None where examples have numbers alone."""

    exact: bool = True
    """Whether the same index always gives the same example; not of a stream, or of items that are drawn anew."""

    varies: bool = False
    """Whether training is given examples that are drawn anew each time, see :meth:`varied`."""

    @abstractmethod
    def __len__(self) -> int:
        """The number of examples."""

    @abstractmethod
    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """The examples at ``indices``, in that order; where :attr:`exact`, the same index always gives the same example."""

    def varied(self, indices: Sequence[int], *, seed: int, step: int) -> Batch:
        """The examples at ``indices`` as a step of training is given them, such as random crops of pictures.

        What one of them is depends on (seed, step, index) alone: on no other example, no worker, no process. Everything
        else than training, and a split that does not :attr:`varies`, takes those of :meth:`__getitems__`.

        Args:
            indices: of the examples.
            seed: of the run.
            step: optimizer step, counted from 0.
        """
        return self.__getitems__(indices)

    def in_memory(self) -> Batch | None:
        """All examples where they are in memory, else None: they are then fetched batch by batch."""
        return None


@dataclass(frozen=True)
class TensorSplit(Split):
    """A split held in memory.

    Args:
        batch: all of its examples.
        info: description of its examples; None where only the dataset has it.
        names: name of each example, where they have names.

    Example:
        >>> split = TensorSplit(Batch(torch.arange(6, dtype=torch.uint8).reshape(3, 2)))
        >>> len(split), split.__getitems__([2, 0]).x.tolist()
        (3, [[4, 5], [0, 1]])
    """

    batch: Batch
    info: DataInfo | None = None
    names: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.batch)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        return self.batch[torch.as_tensor(indices, dtype=torch.int64)]

    def in_memory(self) -> Batch:
        return self.batch


@explained
class Dataset(ABC):
    """A named source of data.

    The laws: the three splits are disjoint and never change between runs or machines; values lie in the
    declared range; constructing one is cheap, reading happens in :meth:`split`, or in :attr:`info` where
    the shape is only known from the files.

    Args:
        root: folder of data files, also for downloads.

    Raises:
        DataError: files are missing or unreadable; the hint says where to put which file.
    """

    known: DataInfo | None = None
    """The data description of the model that these data are opened for; it overrides what the files say."""

    opened_as: Mapping[str, Any] | None = None
    """Name, provider and options that it was opened by, as plain data; None of data that were given in Python."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    @abstractmethod
    def info(self) -> DataInfo:
        """Shape, range and labels of the examples."""

    @abstractmethod
    def split(self, name: SplitName) -> Split:
        """One of the three splits."""

    def everything(self) -> Split | None:
        """All examples, in the order of the file; None if they have no order but that of the splits.

        It has its own :attr:`Split.info`, and needs no splits: a file of one example will do.
        """
        return None

    def places(self, name: SplitName) -> Tensor | None:
        """Where the examples of a split are in :meth:`everything`, ``(len(split),)`` int64; None if that is None."""
        return None
