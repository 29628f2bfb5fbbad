"""A DataFrame as a dataset: the kinds of its columns, its splits, its values as a model sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import torch
from numpy.typing import NDArray

from genmod.data.cells import Cells, cells_of, opened
from genmod.data.column import KINDS, Column, Kind
from genmod.data.dataset import Batch, Dataset, SplitName, TensorSplit, default_root
from genmod.data.frames import numbers_of, stored, to_values
from genmod.data.info import DataInfo, Factor
from genmod.data.kinds import column_of, measured
from genmod.data.row_splits import rows_of_splits
from genmod.errors import DataError

__all__ = ["FrameDataset"]

_SHOWN = 20


@final
class FrameDataset(Dataset):
    """The rows of a DataFrame of pandas, polars, pyarrow or another package that narwhals knows.

    Kinds and categories are found from all rows, statistics from the training rows. What a model was built for, where
    :attr:`known` says so, decides all of that instead.

    Args:
        frame: held in memory.
        kinds: of columns by name, where they are not to be found.
        drop: columns that are left out as if they were not there.
        split: ``row``: fixed pseudo-random tenths of the rows; ``column:NAME``: as that column says; ``group:NAME``: no
            value of that column in two splits; ``time:NAME``: the latest tenth for testing, the one before for validation.
        label: the column with the classes of the rows.
        factors: columns with further properties that a model may be conditioned on.
        missing: whether cells may be missing; ``auto``: where some are.
        root: of no meaning here.

    Raises:
        DataError: there are no rows, no such columns, or cells that are not of their column's kind.

    Example:
        >>> import pyarrow
        >>> data = FrameDataset(pyarrow.table({"age": [31.5, 42.0, 18.2, 77.1], "city": ["Rom", "Bern", "Rom", "Genf"]}))
        >>> [(column.name, column.kind) for column in data.info.columns], len(data.split("train"))
        ([('age', 'real'), ('city', 'category')], 2)
    """

    def __init__(
        self,
        frame: Any,
        *,
        kinds: Mapping[str, Kind] = {},
        drop: Sequence[str] = (),
        split: str = "row",
        label: str | None = None,
        factors: Sequence[str] = (),
        missing: bool | Literal["auto"] = "auto",
        root: Path | None = None,
    ) -> None:
        super().__init__(default_root(root))
        self.frame = frame
        self.kinds, self.drop = dict(kinds), tuple(drop)
        self.how = split
        self.label, self.factors = label, tuple(factors)
        self.missing = missing

    @property
    def info(self) -> DataInfo:
        return self._all[0]

    def split(self, name: SplitName) -> TensorSplit:
        places = self.places(name)
        names = None if self._names is None else [self._names[i] for i in places.tolist()]
        return TensorSplit(self._all[1].take(places), self.info, names)

    def everything(self) -> TensorSplit:
        """All rows, in their order."""
        return TensorSplit(self._all[1], self.info, self._names)

    def places(self, name: SplitName) -> torch.Tensor:
        """The rows of a split, ``(n,)`` int64, ascending."""
        return torch.from_numpy(self._rows[name])

    @cached_property
    def _table(self) -> Any:
        table = opened(self.frame)
        unknown = [name for name in (*self.drop, *self.kinds) if name not in table.columns]
        if unknown and self.known is None:
            raise DataError(
                f"the table has no column {', '.join(map(repr, unknown))}",
                hint=f"it has: {', '.join(table.columns[:_SHOWN])}"
                + (" …" if len(table.columns) > _SHOWN else ""),
            )
        if not len(table):
            raise DataError("the table has no rows")
        return table

    @cached_property
    def _names(self) -> list[str] | None:
        """Names of the rows: the values of the one column of identifiers, where there is one and they differ."""
        found = [
            column.name for column in self.info.columns if column.kind == "identifier" and not column.given
        ]
        if len(found) != 1 or found[0] not in self._table.columns:
            return None
        cells = cells_of(self._table, found[0])
        names = list(map(str, cells.values.tolist()))
        return names if cells.seen.all() and len(set(names)) == len(names) else None

    @cached_property
    def _rows(self) -> dict[SplitName, NDArray[np.int64]]:
        return rows_of_splits(self._table, self.how)

    @cached_property
    def _all(self) -> tuple[DataInfo, Batch]:
        """The description, and all rows."""
        if self.known is not None and self.known.columns:
            info = self.known
            x = to_values(info, self._table)
        else:
            info, x = self._found()
        labels, factors = self._properties(info)
        return info, Batch(x, labels, factors)

    def _found(self) -> tuple[DataInfo, torch.Tensor]:
        table, given = self._table, tuple(filter(None, (self.label, *self.factors)))
        lacking = [name for name in given if name not in table.columns]
        if lacking:
            raise DataError(
                f"the table has no column {', '.join(map(repr, lacking))}",
                hint=f"it has: {', '.join(table.columns)}",
            )
        how, _, by = self.how.partition(":")
        left_out = {*self.drop, *([by] if how == "column" else [])}
        cells = {name: cells_of(table, name) for name in table.columns if name not in left_out}
        columns = [self._column(each, given, by if how == "group" else "") for each in cells.values()]
        modelled = [column for column in columns if column.modelled]
        if not modelled:
            kinds = ", ".join(f"{column.name} is {column.kind}" for column in columns[:_SHOWN])
            raise DataError(
                f"no column is left for the model: {kinds}", hint="name kinds: -s dataset.kinds=NAME:real"
            )
        numbers = {column.name: numbers_of(column, cells[column.name]) for column in modelled}
        rows = self._rows["train"]
        statistics = {column.name: measured(column, numbers[column.name][rows]) for column in modelled}
        columns = [statistics[column.name][0] if column.name in statistics else column for column in columns]
        seen = any(column.missing for column in columns if column.modelled)
        if self.missing is False and seen:
            names = [column.name for column in columns if column.modelled and column.missing]
            raise DataError(
                f"cells are missing in column {', '.join(map(repr, names[:_SHOWN]))}",
                hint="fill them, or let them be missing: -s dataset.missing=auto",
            )
        classes: tuple[str, ...] = ()
        factors: list[Factor] = []
        for column in columns:
            if column.name == self.label:
                classes = tuple(map(str, column.values))
            if column.name in self.factors:
                factors.append(Factor(column.name, len(column.values), tuple(map(str, column.values))))
        factors.sort(key=lambda factor: self.factors.index(factor.name))
        info = DataInfo(
            (len(modelled),),
            -inf,
            inf,
            classes=classes,
            factors=tuple(factors),
            missing=seen or self.missing is True,
            shift=tuple(statistics[column.name][1] for column in modelled),
            scale=tuple(statistics[column.name][2] for column in modelled),
            columns=tuple(columns),
        )
        # With what is known in training, so that mapped columns have their offsets.
        return info, stored(info, [numbers[column.name] for column in modelled], len(table))

    def _column(self, cells: Cells, given: Sequence[str], group: str) -> Column:
        kind = self.kinds.get(cells.name)
        if kind is not None and kind not in KINDS:
            raise DataError(f"column {cells.name!r} cannot be {kind!r}; there are {', '.join(KINDS)}")
        if cells.name in given:
            two = len(np.unique(cells.values[cells.seen])) == 2
            return replace(column_of(cells, kind or ("binary" if two else "category")), given=True)
        if cells.name == group and kind is None:
            kind = "identifier"
        return column_of(cells, kind)

    def _properties(self, info: DataInfo) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Labels and factors of all rows; None where the table lacks a column of them."""
        there = set(self._table.columns)

        def codes(column: Column) -> torch.Tensor:
            found = numbers_of(column, cells_of(self._table, column.name))
            gone = np.flatnonzero(np.isnan(found))
            if len(gone):
                raise DataError(
                    f"column {column.name!r}, a label or factor, has no value in row {int(gone[0]) + 1}",
                    hint="fill it, or leave such rows out",
                )
            return torch.from_numpy(found.astype(np.int64))

        by_name = {column.name: column for column in info.columns if column.given}
        names = [factor.name for factor in info.factors]
        of_label = [column for name, column in by_name.items() if info.classes and name == self._label(info)]
        labels = codes(of_label[0]) if of_label and of_label[0].name in there else None
        known = [by_name[name] for name in names if name in by_name]
        if not names or len(known) < len(names) or not {column.name for column in known} <= there:
            return labels, None
        return labels, torch.stack([codes(column) for column in known], 1)

    def _label(self, info: DataInfo) -> str | None:
        """The column of the classes: as it was named, or the given one that is no factor."""
        if self.label is not None:
            return self.label
        factors = {factor.name for factor in info.factors}
        return next(
            (column.name for column in info.columns if column.given and column.name not in factors), None
        )
