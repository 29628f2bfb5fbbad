"""Large matrices with a row for each example, such as counts of genes in cells: sparse, and dense one batch at a time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray

from genmod.data.arrays import finite_values, stored_counts
from genmod.data.dataset import Batch, DataInfo, Dataset, Factor, Split, SplitName, default_root
from genmod.data.order import dealt, mixed, mixed_text
from genmod.errors import DataError

__all__ = [
    "CsrRows",
    "Labels",
    "Matrix",
    "MatrixDataset",
    "Rows",
    "check_pointers",
    "dense_rows",
    "numbered",
    "of_categories",
]

Labels = tuple[tuple[str, ...], torch.Tensor]
"""Names of classes in order, and the number of each row's, ``(N,)`` int64."""

_MOST_CLASSES = 10_000

_MOST_COLUMNS = 2**20
"""A batch of rows is dense."""


class Rows(Protocol):
    """A matrix that is read by rows."""

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""

    def read(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """The rows at ``indices``, dense, ``(n, columns)``."""


def dense_rows(data: NDArray[Any], columns: NDArray[Any], counts: NDArray[Any], width: int) -> NDArray[Any]:
    """Rows of a sparse matrix: the values of all of them one after the other, the column of each, how many are of each row.

    Raises:
        DataError: a column is not below ``width``, or a row has more values than columns.

    Example:
        >>> dense_rows(np.array([5, 6, 7]), np.array([2, 0, 1]), np.array([1, 2]), 3)
        array([[0, 0, 5],
               [6, 7, 0]])
    """
    from scipy.sparse import csr_matrix

    wrong = len(columns) and (int(columns.min()) < 0 or int(columns.max()) >= width)
    if wrong or (len(counts) and int(counts.max()) > width):
        raise DataError(f"the sparse matrix is damaged: a row has values beyond its {width} columns")
    starts = np.concatenate([[0], np.cumsum(counts)])
    dense: NDArray[Any] = csr_matrix((data, columns, starts), (len(counts), width)).toarray()
    return dense


@final
@dataclass(frozen=True)
class CsrRows:
    """A sparse matrix in memory, by rows (CSR).

    Args:
        data: the values that are stored.
        indices: the column of each.
        indptr: where each row begins, and the end, ``(rows + 1,)``.
        shape: number of rows and of columns.

    Raises:
        DataError: these do not fit each other.
    """

    data: NDArray[Any]
    indices: NDArray[Any]
    indptr: NDArray[Any]
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        check_pointers(self.indptr, self.shape, len(self.data), len(self.indices))

    def read(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """The rows at ``indices``, dense, ``(n, columns)``."""
        counts = self.indptr[indices + 1] - self.indptr[indices]
        inside = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        places = np.repeat(self.indptr[indices], counts) + inside
        return dense_rows(self.data[places], self.indices[places], counts, self.shape[1])


def check_pointers(indptr: NDArray[Any], shape: tuple[int, int], values: int, columns: int) -> None:
    """Refuse a sparse matrix whose arrays do not fit each other.

    Raises:
        DataError: they do not.
    """
    fits = (
        indptr.ndim == 1
        and indptr.dtype.kind in "iu"
        and len(indptr) == shape[0] + 1
        and values == columns
        and int(indptr[0]) == 0
        and int(indptr[-1]) == values
        and bool((np.diff(indptr.astype(np.int64)) >= 0).all())
    )
    if not fits:
        raise DataError(
            f"the sparse matrix is damaged: {len(indptr):,} row pointers of {values:,} values with {columns:,} columns do "
            f"not describe {shape[0]:,} rows"
        )


@dataclass(frozen=True)
class Matrix:
    """A matrix, and what is known of its rows and columns.

    Args:
        rows: its values.
        name: what to call it in errors.
        variables: names of the columns; empty for none.
        names: of the rows; None for none.
        label: the class of each row; None for none.
        factors: other properties of each row, by name.
    """

    rows: Rows
    name: str = "the matrix"
    variables: tuple[str, ...] = ()
    names: Sequence[str] | None = None
    label: Labels | None = None
    factors: Mapping[str, Labels] = field(default_factory=dict)


class MatrixDataset(Dataset):
    """The rows of a matrix; a fixed pseudo-random tenth of them is for validation, another for testing.

    Which ones, depends on the names of the rows and on the seed alone, so that few change when rows are added. Columns
    are those of the model by name, if it knows names.

    Args:
        matrix: the matrix.
        counts: whether its values are counts, whole numbers from 0 on.
        seed: of the splits.

    Raises:
        DataError: a value is of another kind, a column of the model is missing, or there are too many columns.

    Example:
        >>> rows = CsrRows(np.ones(20), np.arange(20), np.arange(21), (20, 20))
        >>> data = MatrixDataset(Matrix(rows))
        >>> data.info.shape, len(data.split("train")), data.split("test").__getitems__([0]).x.sum()
        ((20,), 16, tensor(1))
    """

    def __init__(self, matrix: Matrix, *, counts: bool = True, seed: int = 0) -> None:
        super().__init__(default_root())
        self.matrix, self.counts, self.seed = matrix, counts, seed
        width = matrix.rows.shape[1]
        if not 0 < width <= _MOST_COLUMNS:
            raise DataError(
                f"{matrix.name} has {width:,} columns; 1 to {_MOST_COLUMNS:,} are allowed, since batches of its rows are dense"
            )

    @cached_property
    def info(self) -> DataInfo:
        matrix, columns = self.matrix, self._columns
        return DataInfo(
            (matrix.rows.shape[1] if columns is None else len(columns),),
            0.0 if self.counts else -math.inf,
            math.inf,
            counts=self.counts,
            classes=() if matrix.label is None else matrix.label[0],
            factors=tuple(Factor(name, len(values), values) for name, (values, _) in matrix.factors.items()),
            variables=self._wanted if matrix.variables else (),
        )

    def split(self, name: SplitName) -> "Split":
        return self._some(self._dealt[name])

    def everything(self) -> "Split":
        return self._some(np.arange(self.matrix.rows.shape[0]))

    def places(self, name: SplitName) -> torch.Tensor:
        return torch.from_numpy(self._dealt[name])

    def _some(self, places: NDArray[np.int64]) -> "Split":
        numbers = [each for _, each in self.matrix.factors.values()]
        return _Rows(
            self.matrix, places, self._columns, self.info, torch.stack(numbers, 1) if numbers else None
        )

    @property
    def _wanted(self) -> tuple[str, ...]:
        known = self.known.variables if self.known is not None else ()
        return known or self.matrix.variables

    @cached_property
    def _columns(self) -> NDArray[np.int64] | None:
        """The columns of the model by name; None for all as they are."""
        wanted, found = self._wanted, self.matrix.variables
        if wanted == found or not found:
            return None
        place = {name: i for i, name in enumerate(found)}
        lacking = [name for name in wanted if name not in place]
        if lacking:
            shown = ", ".join(lacking[:10]) + (" …" if len(lacking) > 10 else "")
            raise DataError(
                f"{self.matrix.name} lacks {len(lacking):,} of the {len(wanted):,} variables that the model knows: {shown}",
                hint="give data with these variables, in any order; or build a model for these data",
            )
        return np.array([place[name] for name in wanted])

    @cached_property
    def _dealt(self) -> dict[SplitName, NDArray[np.int64]]:
        n, names = self.matrix.rows.shape[0], self.matrix.names
        if n < 3:
            raise DataError(f"{self.matrix.name} has {n} rows; 3 or more are needed")
        start = mixed(np.array([self.seed]))
        own = (
            np.arange(n, dtype=np.uint64)
            if names is None
            else np.array([mixed_text(name) for name in names], np.uint64)
        )
        chosen = np.array(dealt(mixed(own ^ start).tolist(), ["validation", "test"]))
        splits: tuple[SplitName, ...] = ("train", "validation", "test")
        return {split: np.flatnonzero(chosen == split) for split in splits}


@final
class _Rows(Split):
    """Some rows of a matrix, read batch by batch."""

    def __init__(
        self,
        matrix: Matrix,
        places: NDArray[np.int64],
        columns: NDArray[np.int64] | None,
        info: DataInfo,
        factors: torch.Tensor | None,
    ) -> None:
        self.info: DataInfo = info
        self._matrix, self._places, self._columns, self._factors = matrix, places, columns, factors
        self._labels = None if matrix.label is None else matrix.label[1]
        self.names = None if matrix.names is None else _Chosen(matrix.names, places)

    def __len__(self) -> int:
        return len(self._places)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        asked = np.asarray(indices, np.int64)
        if len(asked) and not (int(asked.min()) >= 0 and int(asked.max()) < len(self)):
            raise IndexError(f"there are {len(self)} examples")
        places = self._places[asked]
        x = self._matrix.rows.read(places)
        if self._columns is not None:
            x = x[:, self._columns]
        values = stored_counts if self.info.counts else _real
        some = torch.from_numpy(places)
        return Batch(
            torch.from_numpy(values(self._matrix.name, x)),
            None if self._labels is None else self._labels[some],
            None if self._factors is None else self._factors[some],
        )


@final
class _Chosen(Sequence[str]):
    """Some of many names."""

    def __init__(self, names: Sequence[str], places: NDArray[np.int64]) -> None:
        self._names, self._places = names, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        found = self._places[index]
        return self._names[int(found)] if found.ndim == 0 else [self._names[int(i)] for i in found]


def _real(name: str, x: NDArray[Any]) -> NDArray[Any]:
    return finite_values(name, x if x.dtype.kind == "f" else x.astype(np.float32), np.float32)


def of_categories(name: str, kinds: NDArray[Any], codes: NDArray[Any]) -> Labels:
    """Labels by the number of each row's category; categories of no row are left out.

    Raises:
        DataError: as :func:`numbered`.

    Example:
        >>> of_categories("batch", np.array(["b", "unused", "a"], dtype=object), np.array([0, 2, 0]))
        (('a', 'b'), tensor([1, 0, 1]))
    """
    used, places = np.unique(codes, return_inverse=True)
    classes, numbers = numbered(name, kinds[used])
    return classes, numbers[places]


def numbered(name: str, values: NDArray[Any]) -> Labels:
    """Labels, whole numbers or texts ``(N,)``, by their sorted values.

    Raises:
        DataError: values of another type, or more than 10,000 different ones.

    Example:
        >>> numbered("batch", np.array(["b", "a", "b"], dtype=object))
        (('a', 'b'), tensor([1, 0, 1]))
    """
    texts = values.dtype.kind in "UO" and all(isinstance(value, str) for value in values)
    if not texts and values.dtype.kind not in "biu":
        raise DataError(
            f"{name} has values of type {values.dtype}, or missing ones; allowed are whole numbers, or texts, for every row"
        )
    classes, numbers = np.unique(values, return_inverse=True)
    if len(classes) > _MOST_CLASSES:
        raise DataError(
            f"{name} has {len(classes):,} different values; at most {_MOST_CLASSES:,} are allowed"
        )
    return tuple(map(str, classes.tolist())), torch.from_numpy(numbers.astype(np.int64))
