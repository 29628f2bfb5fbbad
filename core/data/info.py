"""What a model must know about its data: shape, range, levels, classes, columns."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import Tensor

from genmod.data.column import Column, check_columns
from genmod.errors import DataError

__all__ = ["DataInfo", "Factor"]

_MAX_SIZE = 2**28
_MAX_DIMENSIONS = 8
_MAX_VALUES = 100_000
"""Of all factors together: each can be a number that a model is given."""


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
        missing: whether values may be missing: examples are then float32 with NaN for each. A model leaves them out of its
            likelihood, and gives its encoder marks of where they are.
        shift: subtracted from each column of a standardised table, from each channel of standardised codes; empty for other
            data.
        scale: divisor of each column or channel after that.
        columns: of a table with names, all of the user's columns in their order; an example has a value for each that is
            modelled.
        variables: names of the values of an example, such as genes, where they have names alone; empty for none.
        coded_by: SHA-256 of the weights of the model whose codes the examples are; empty where they are no codes.

    Raises:
        DataError: an empty shape, one of more than 8 dimensions, factors of too many values,
            ``low`` not below ``high``, fewer than two levels, levels without bounds,
            counts that have levels or do not begin at 0, or statistics or columns that do not fit the shape.

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
    columns: tuple[Column, ...] = ()
    variables: tuple[str, ...] = ()
    coded_by: str = ""

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
            if len(self.shape) not in (1, 3) or columns != {self.shape[0]}:
                raise DataError(
                    f"{len(self.shift)} shifts and {len(self.scale)} scales of examples of shape {self.shape}; "
                    "there is one of each for each column or channel"
                )
            if not all(map(math.isfinite, (*self.shift, *self.scale))) or min(self.scale) <= 0:
                raise DataError("shifts and scales must be finite, and scales above 0")
        if self.variables and (self.shape != (len(self.variables),) or len(set(self.variables)) < self.size):
            raise DataError(
                f"{len(set(self.variables)):,} different names of variables of examples of shape {self.shape}; each value has "
                "one name of its own"
            )
        if self.columns:
            check_columns(self.columns, self.shape)
            if not self.scale or self.levels is not None or self.counts:
                raise DataError(
                    "a table with named columns has shifts and scales, and neither levels nor counts"
                )

    @property
    def modelled(self) -> tuple[Column, ...]:
        """The columns of a table of which an example has a value, in order."""
        return tuple(column for column in self.columns if column.modelled)

    @property
    def size(self) -> int:
        """Number of values in one example."""
        return math.prod(self.shape)

    @property
    def is_image(self) -> bool:
        """Whether examples have the shape of an image."""
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

    def beside(self, numbers: Sequence[float]) -> Tensor:
        """A number for each column or channel, such as :attr:`scale`, float64, of a shape that broadcasts with an example.

        Example:
            >>> DataInfo((2, 4, 4)).beside([1.0, 2.0]).shape, DataInfo((2,)).beside([1.0, 2.0]).shape
            (torch.Size([2, 1, 1]), torch.Size([2]))
        """
        return torch.tensor(numbers, dtype=torch.float64).reshape(-1, *[1] * (len(self.shape) - 1))

    def original(self, values: Tensor) -> Tensor:
        """Values in the units that the data had before they were standardised: ``shift + scale · values``.

        Positive numbers of a table with named columns are taken out of their logarithm. In double precision, which large
        numbers with small differences need; other data are returned unchanged.

        Args:
            values: of any shape whose last dimensions are :attr:`shape`.

        Example:
            >>> DataInfo((2,), -math.inf, math.inf, shift=(1.7e9, 0.0), scale=(30.0, 1.0)).original(torch.ones(1, 2))
            tensor([[1.7000e+09, 1.0000e+00]], dtype=torch.float64)
        """
        if not self.scale:
            return values
        shift, scale = self.beside(self.shift), self.beside(self.scale)
        found = shift + scale * values.detach().cpu().double()
        for place, column in enumerate(self.modelled):
            if column.kind == "positive":
                found[..., place] = found[..., place].exp() - column.offset
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain data, with infinities as the texts "-inf" and "inf", which JSON lacks."""
        plain = asdict(self)
        for bound in ("low", "high"):
            if math.isinf(plain[bound]):
                plain[bound] = str(plain[bound])
        # What has no columns is written as it was before there were any.
        del plain["columns"]
        for name in ("variables", "coded_by"):
            if not plain[name]:
                del plain[name]
        return {**plain, "columns": [c.to_json() for c in self.columns]} if self.columns else plain

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
                columns=tuple(map(Column.from_json, plain.get("columns", ()))),
                variables=tuple(map(str, plain.get("variables", ()))),
                coded_by=str(plain.get("coded_by", "")),
            )
        except DataError as error:
            raise DataError(f"the description of the data is damaged: {error.message}") from error
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise DataError(f"the description of the data is damaged: {error!r}") from error
