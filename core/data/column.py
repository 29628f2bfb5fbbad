"""The columns of a table: their kinds, and how the values of each are held as numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from genmod.errors import DataError

__all__ = ["KINDS", "MAX_VALUES", "Column", "Kind", "check_columns"]

Kind = Literal[
    "binary",
    "category",
    "ordered",
    "count",
    "whole",
    "real",
    "positive",
    "date",
    "constant",
    "identifier",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
MAX_VALUES = 100_000
"""Categories of one column."""

_CODED = ("binary", "category", "ordered")
_SCALED = ("whole", "real", "positive", "date")
_UNSEEN = ("constant", "identifier")
_MAX_COLUMNS = 10_000
_MAX_TEXT = 10_000
_MAX_MODES = 100

_Scalar = str | int | float | bool


@dataclass(frozen=True)
class Column:
    """A column of a table as a model knows it.

    Values are held as numbers: the place of a category in ``values``, counts as they are, other numbers in their own
    units, dates in days and times in seconds (since 1970 where they are points in time). ``positive`` numbers are mapped by
    ``log(value + offset)`` before they are standardised.

    Args:
        name: of the column.
        kind: ``binary``, ``category``, ``ordered``, ``count``, ``whole``, ``real``, ``positive``, ``date``, ``constant`` (one
            value throughout) or ``identifier`` (of rows, and other things that are not modelled).
        dtype: type of the values as narwhals names it, such as ``Int64``, ``String`` or ``Datetime(us)``.
        values: the categories in order, or the one value of a constant.
        low: smallest value in training, of numbers.
        high: largest one.
        offset: of ``positive`` numbers.
        step: of which all values are multiples, such as 0.01 of prices, 1 of whole numbers, 3600 of full hours; 0 where there
            is none. Values are rounded to it on their way back.
        modes: how many normals describe the standardised values well; 1 of other kinds.
        missing: whether some values were missing.
        given: whether it is the label or a factor: a model may be conditioned on it, and does not describe it.

    Raises:
        DataError: an unknown kind, too many or repeated values, or numbers that are not finite.

    Example:
        >>> Column("city", "category", "String", ("Bern", "Rom")).modelled, Column("no", "identifier", "Int64").modelled
        (True, False)
    """

    name: str
    kind: Kind
    dtype: str
    values: tuple[_Scalar, ...] = ()
    low: float | None = None
    high: float | None = None
    offset: float = 0.0
    step: float = 0.0
    modes: int = 1
    missing: bool = False
    given: bool = False

    def __post_init__(self) -> None:
        def wrong(what: str) -> DataError:
            return DataError(f"column {self.name!r} {what}")

        if self.kind not in KINDS:
            raise DataError(f"column {self.name!r} is {self.kind!r}; there are {', '.join(KINDS)}")
        if len(self.name) > _MAX_TEXT or len(self.dtype) > _MAX_TEXT:
            raise DataError(f"the name or type of a column is longer than {_MAX_TEXT:,} characters")
        if len(self.values) > MAX_VALUES or any(
            isinstance(value, str) and len(value) > _MAX_TEXT for value in self.values
        ):
            raise wrong(f"has more than {MAX_VALUES:,} values, or one of more than {_MAX_TEXT:,} characters")
        if len(set(self.values)) < len(self.values):
            raise wrong("has a value twice")
        wanted = {"binary": (2, 2), "category": (2, MAX_VALUES), "ordered": (2, MAX_VALUES)}
        least, most = wanted.get(self.kind, (0, 1 if self.kind == "constant" else 0))
        if not least <= len(self.values) <= most:
            raise wrong(f"is {self.kind} and has {len(self.values)} values")
        if not all(isinstance(value, _Scalar) for value in self.values):
            raise wrong("has values that are no texts, numbers, true or false")
        numbers = [
            value
            for value in (*self.values, self.low, self.high, self.offset, self.step)
            if isinstance(value, float)
        ]
        if not all(map(math.isfinite, numbers)):
            raise wrong("has numbers that are not finite")
        if not 1 <= self.modes <= _MAX_MODES or min(self.offset, self.step) < 0:
            raise wrong(f"has {self.modes} modes and the offset {self.offset:g}")

    @property
    def modelled(self) -> bool:
        """Whether it is among the values of an example."""
        return self.kind not in _UNSEEN and not self.given

    @property
    def coded(self) -> bool:
        """Whether it is held as places of categories."""
        return self.kind in _CODED

    @property
    def scaled(self) -> bool:
        """Whether it is standardised."""
        return self.kind in _SCALED

    def rounded(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values to the nearest multiples of the step, any shape."""
        if not self.step:
            return values
        # A tenth is no binary fraction: 3 * 0.1 is not 0.3.
        return (
            np.round(values, round(-math.log10(self.step)))
            if self.step < 1
            else np.rint(values / self.step) * self.step
        )

    def mapped(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values as they are before they are standardised: ``log(value + offset)`` of positive numbers, any shape."""
        return np.log(values + self.offset) if self.kind == "positive" else values

    def unmapped(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The reverse of :meth:`mapped`."""
        return np.exp(values) - self.offset if self.kind == "positive" else values

    def shown(self, value: float | None) -> str:
        """A value in the user's units, as people write it: a date as one."""
        if value is None:
            return "-"
        if self.dtype == "Date" or self.dtype.startswith("Datetime"):
            import datetime

            try:
                time = datetime.datetime(1970, 1, 1) + datetime.timedelta(
                    seconds=value * (86_400 if self.dtype == "Date" else 1)
                )
            except OverflowError:
                return f"{value:g}"
            return str(time.date() if self.dtype == "Date" else time.replace(microsecond=0))
        return f"{value:.10g}" if self.step else f"{value:.4g}"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "values": list(self.values)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """The reverse of :meth:`to_json`.

        Raises:
            DataError: it describes no column.
            KeyError, TypeError, ValueError: a field is missing or of another type.
        """

        def number(name: str) -> float | None:
            return None if plain.get(name) is None else float(plain[name])

        return cls(
            name=str(plain["name"]),
            kind=plain["kind"],
            dtype=str(plain["dtype"]),
            values=tuple(plain["values"]),
            low=number("low"),
            high=number("high"),
            offset=float(plain.get("offset", 0.0)),
            step=float(plain.get("step", 0.0)),
            modes=int(plain.get("modes", 1)),
            missing=bool(plain.get("missing", False)),
            given=bool(plain.get("given", False)),
        )


def check_columns(columns: Sequence[Column], shape: tuple[int, ...]) -> None:
    """Whether columns have names of their own, and those that are modelled make examples of a shape.

    Raises:
        DataError: they do not.
    """
    names, modelled = [column.name for column in columns], sum(column.modelled for column in columns)
    if len(names) > _MAX_COLUMNS or len(set(names)) < len(names):
        raise DataError(
            f"there are {len(names):,} columns with {len(set(names)):,} names; allowed are {_MAX_COLUMNS:,}, each with a "
            "name of its own"
        )
    if shape != (modelled,):
        raise DataError(f"{modelled} columns are modelled, and examples have the shape {shape}")
