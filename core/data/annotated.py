"""Sparse matrices of scipy and ``AnnData`` objects as datasets, without importing either package."""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genmod.data.dataset import DataInfo
from genmod.data.matrix import CsrRows, Labels, Matrix, MatrixDataset, Rows, numbered, of_categories
from genmod.errors import DataError

__all__ = ["MOST_VALUES", "array_rows", "matrix_dataset"]

MOST_VALUES = 1000
"""Different values of a column of ``obs`` that is taken for a factor without being named."""


def matrix_dataset(data: Any, *, known: DataInfo | None = None) -> MatrixDataset | None:
    """A dataset of a scipy sparse matrix ``(N, columns)`` or of an ``AnnData`` object; None for anything else.

    Neither is dense as a whole. Values are counts if all of them are whole numbers from 0 on. Factors of an ``AnnData``
    are the columns of ``obs`` that are texts, categories or true and false, with at most 1,000 values and none missing.

    Args:
        data: any object.
        known: what a model was built for; columns are then those of the model by name.

    Raises:
        DataError: the matrix is of a type that is no number, or has too many columns.

    Example:
        >>> from scipy.sparse import csr_matrix
        >>> data = matrix_dataset(csr_matrix(np.eye(20)))
        >>> data.info.shape, data.info.counts, len(data.split("train")), data.split("test").__getitems__([0]).x.sum()
        ((20,), True, 16, tensor(1))
    """
    scipy = sys.modules.get("scipy.sparse")
    if scipy is not None and scipy.issparse(data):
        matrix, values = Matrix(array_rows(data), "the sparse matrix"), data
    elif type(data).__module__.partition(".")[0] == "anndata" and hasattr(data, "obs_names"):
        values = data.X
        matrix = Matrix(
            array_rows(values),
            "the AnnData object",
            tuple(map(str, data.var_names)),
            list(map(str, data.obs_names)),
            factors=_factors(data.obs),
        )
    else:
        return None
    counts = _are_counts(getattr(values, "data", values)) if known is None else known.counts
    made = MatrixDataset(matrix, counts=counts)
    made.known = known
    return made


def array_rows(values: Any) -> Rows:
    """The rows of a matrix in memory, sparse or dense.

    Raises:
        DataError: it is no matrix of numbers.
    """
    shape: tuple[int, ...] = tuple(getattr(values, "shape", ()))
    dtype = getattr(values, "dtype", np.dtype(object))
    if len(shape) != 2 or dtype.kind not in "biuf":
        raise DataError(
            f"the matrix has the shape {shape} and type {dtype}; numbers in rows are needed",
            hint="read a file into memory first: adata.to_memory()",
        )
    if not hasattr(values, "tocsr"):
        return _ArrayRows(np.asarray(values))
    by_rows = values.tocsr()
    return CsrRows(by_rows.data, by_rows.indices, by_rows.indptr, (int(shape[0]), int(shape[1])))


class _ArrayRows:
    """A dense matrix in memory."""

    def __init__(self, values: NDArray[Any]) -> None:
        self._values = values

    @property
    def shape(self) -> tuple[int, int]:
        return self._values.shape[0], self._values.shape[1]

    def read(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        rows: NDArray[Any] = self._values[indices]
        return rows


def _factors(obs: Any) -> dict[str, Labels]:
    """Columns that are categories, texts, or true and false, as a file of them has."""
    found = {}
    for name in obs.columns:
        column = obs[name]
        if str(column.dtype) in ("object", "str", "string") and all(isinstance(v, str) for v in column):
            column = column.astype("category")
        if str(column.dtype) == "bool":
            found[str(name)] = numbered(str(name), column.to_numpy())
        elif str(column.dtype) == "category":
            kinds, codes = column.cat.categories.to_numpy(), column.cat.codes.to_numpy()
            if kinds.dtype.kind in "OUiu" and len(kinds) <= MOST_VALUES and (codes >= 0).all():
                found[str(name)] = of_categories(str(name), kinds, codes)
    return found


def _are_counts(values: Any) -> bool:
    values = np.asarray(values)
    if values.dtype.kind in "bu":
        return True
    return bool(((values >= 0) & (values == np.floor(values)) & (values < 2**31)).all())
