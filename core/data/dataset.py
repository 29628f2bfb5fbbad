"""Datasets: fixed, disjoint splits of examples, and what a model must know about them."""

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor

from genmod.errors import DataError

__all__ = ["Batch", "DataInfo", "Dataset", "Factor", "Split", "SplitName", "TensorSplit", "default_root"]

SplitName = Literal["train", "validation", "test"]

_MAX_SIZE = 2**28
_MAX_DIMENSIONS = 8
_MAX_VALUES = 100_000
"""Of all factors together: each can be a number that a model is given."""


def default_root(explicit: Path | None = None) -> Path:
    """Where data files are: the folder given, else ``$GENMOD_DATA``, else ``~/.cache/genmod``.

    Example:
        >>> default_root(Path("data")).name
        'data'
    """
    if explicit is not None:
        return Path(explicit).expanduser()
    if os.environ.get("GENMOD_DATA"):
        return Path(os.environ["GENMOD_DATA"]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "genmod"


@dataclass(frozen=True)
class Factor:
    """A property of each example, such as a ground-truth factor of variation.

    Args:
        name: of the factor.
        size: number of values, numbered from 0.
        values: their names, in order; empty where they have none.
    """

    name: str
    size: int
    values: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the values; their numbers where they have none."""
        return self.values or tuple(map(str, range(self.size)))


@dataclass(frozen=True)
class DataInfo:
    """What a model must know about its data; saved with the model, so that loading needs no data.

    Stored integers ``k = 0 … levels-1`` stand for the values ``low + k (high - low) / (levels - 1)``; stored
    floats are the values themselves.

    Args:
        shape: shape of one example: ``(channels, height, width)`` of an image, ``(columns,)`` of a table.
        low: smallest value, may be ``-inf``.
        high: largest value, may be ``inf``.
        levels: number of equally spaced values, 256 for 8-bit images; None for continuous data.
        counts: whether values are whole numbers from 0 on, stored as they are.
        classes: names of the classes where examples are labelled.
        factors: ground-truth factors where they are known.
        missing: whether values may be missing, NaN.
        shift: subtracted from each column of a standardised table; empty for other data.
        scale: divisor of each column after that.

    Raises:
        DataError: an empty shape, one of more than 8 dimensions, factors of too many values,
            ``low`` not below ``high``, fewer than two levels, levels without bounds,
            counts that have levels or do not begin at 0, or statistics that are not one for each column.

    Example:
        >>> info = DataInfo((1, 8, 8), levels=17)
        >>> info.size, info.is_image
        (64, True)
        >>> info.values(torch.tensor([0, 8, 16], dtype=torch.uint8))
        tensor([0.0000, 0.5000, 1.0000])
    """

    shape: tuple[int, ...]
    low: float = 0.0
    high: float = 1.0
    levels: int | None = None
    classes: tuple[str, ...] = ()
    factors: tuple[Factor, ...] = ()
    counts: bool = False
    missing: bool = False
    shift: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.shape) > _MAX_DIMENSIONS:
            raise DataError(
                f"an example has {len(self.shape):,} dimensions; at most {_MAX_DIMENSIONS} are allowed"
            )
        values = [f.size for f in self.factors]
        if min([1, *values]) < 1 or sum(values) > _MAX_VALUES:
            raise DataError(
                f"the factors have {max(values):,} values and fewer; each has at least one, and all together at most "
                f"{_MAX_VALUES:,}"
            )
        if not self.shape or min(self.shape) < 1 or self.size > _MAX_SIZE:
            raise DataError(f"an example has the shape {self.shape}; 1 to {_MAX_SIZE:,} values are allowed")
        if not self.low < self.high:
            raise DataError(
                f"the data range from {self.low} to {self.high}; the first must be below the second"
            )
        if self.levels is not None and (self.levels < 2 or math.isinf(self.high - self.low)):
            raise DataError(
                f"{self.levels} levels from {self.low} to {self.high}; allowed are 2 or more, finite"
            )
        if self.counts and (self.levels is not None or self.low != 0):
            raise DataError(
                f"counts from {self.low:g} with levels={self.levels}; they begin at 0 and have no levels"
            )
        if self.scale or self.shift:
            columns = {len(self.shift), len(self.scale)}
            if len(self.shape) != 1 or columns != {self.shape[0]}:
                raise DataError(
                    f"{len(self.shift)} shifts and {len(self.scale)} scales of examples of shape {self.shape}; "
                    "a table has one of each for each column"
                )
            if not all(map(math.isfinite, (*self.shift, *self.scale))) or min(self.scale) <= 0:
                raise DataError("shifts and scales must be finite, and scales above 0")

    @property
    def size(self) -> int:
        """Number of values in one example."""
        return math.prod(self.shape)

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3

    def values(self, stored: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Stored examples → float values in ``[low, high]``, any shape → the same shape.

        Args:
            stored: integers, or the values themselves.
            dtype: of the values; by default that of stored floats, and torch's default for integers.

        Raises:
            DataError: integers are stored, but the data were declared to be continuous.
        """
        if stored.is_floating_point():
            return stored if dtype is None else stored.to(dtype)
        if self.counts:
            return stored.to(dtype or torch.get_default_dtype())
        if self.levels is None:
            raise DataError(
                f"the data were declared continuous (levels=None), but are stored as {stored.dtype}"
            )
        if self.levels == 2 and (self.low, self.high) == (0, 1):
            return stored.to(dtype or torch.get_default_dtype())
        # Dividing, unlike multiplying by a rounded step, makes the largest level exactly `high`.
        values = stored.to(dtype or torch.get_default_dtype()) / (self.levels - 1)
        return values if (self.low, self.high) == (0, 1) else self.low + values * (self.high - self.low)

    def original(self, values: Tensor) -> Tensor:
        """Values in the units that the data had before they were standardised: ``shift + scale · values``.

        In double precision, which large numbers with small differences need; other data are returned unchanged.

        Args:
            values: of any shape whose last dimensions are :attr:`shape`.

        Example:
            >>> DataInfo((2,), -math.inf, math.inf, shift=(1.7e9, 0.0), scale=(30.0, 1.0)).original(torch.ones(1, 2))
            tensor([[1.7000e+09, 1.0000e+00]], dtype=torch.float64)
        """
        if not self.scale:
            return values
        shift, scale = (torch.tensor(each, dtype=torch.float64) for each in (self.shift, self.scale))
        return shift + scale * values.detach().cpu().double()

    def to_json(self) -> dict[str, Any]:
        """Plain data, with infinities as the texts "-inf" and "inf", which JSON lacks."""
        plain = asdict(self)
        for bound in ("low", "high"):
            if math.isinf(plain[bound]):
                plain[bound] = str(plain[bound])
        return plain

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        """The reverse of :meth:`to_json`.

        Raises:
            DataError: a field is missing, unknown or of the wrong type.
        """
        try:
            return cls(
                shape=tuple(int(n) for n in plain["shape"]),
                low=float(plain["low"]),
                high=float(plain["high"]),
                levels=None if plain["levels"] is None else int(plain["levels"]),
                classes=tuple(str(name) for name in plain["classes"]),
                factors=tuple(
                    Factor(str(f["name"]), int(f["size"]), tuple(map(str, f.get("values", ()))))
                    for f in plain["factors"]
                ),
                counts=bool(plain.get("counts", False)),
                missing=bool(plain.get("missing", False)),
                shift=tuple(map(float, plain.get("shift", ()))),
                scale=tuple(map(float, plain.get("scale", ()))),
            )
        except DataError as error:
            raise DataError(f"the description of the data is damaged: {error.message}") from error
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise DataError(f"the description of the data is damaged: {error!r}") from error


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
        return self.x.shape[0]

    def __getitem__(self, index: Tensor | slice) -> "Batch":
        return self._map(lambda tensor: tensor[index])

    def take(self, indices: Tensor) -> "Batch":
        """The examples at ``indices (n,)``; faster than indexing with a tensor."""
        return self._map(lambda tensor: tensor.index_select(0, indices))

    def to(self, device: torch.device) -> "Batch":
        # A copy back to the CPU that does not wait could be read before it has arrived.
        return self._map(lambda tensor: tensor.to(device, non_blocking=device.type != "cpu"))

    def _map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        def apply(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else function(tensor)

        return Batch(function(self.x), apply(self.labels), apply(self.factors))


class Split(ABC):
    """A part of a dataset that can be fetched batch by batch."""

    info: DataInfo | None = None
    """Description of its examples, with names of classes and factors; None where only the dataset has it."""

    names: Sequence[str] | None = None
    """Name of each example, such as the file of a picture; None where examples have numbers alone."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """The examples at ``indices``, in that order; the same index always gives the same example."""

    def in_memory(self) -> Batch | None:
        """All examples where they are in memory, else None: they are then fetched batch by batch."""
        return None


@dataclass(frozen=True)
class TensorSplit(Split):
    """A split held in memory.

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
