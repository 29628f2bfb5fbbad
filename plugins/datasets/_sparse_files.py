"""Sparse matrices as scipy saves them: ``scipy.sparse.save_npz``."""

from pathlib import Path

from genmod import DataError
from genmod.data import CsrRows, Matrix, MatrixDataset
from genmod.plugins.datasets._array_files import array_names, read_arrays

__all__ = ["sparse_file"]

_PARTS = ("format", "shape", "data", "indices", "indptr")


def sparse_file(path: Path, counts: bool, max_bytes: int) -> MatrixDataset | None:
    """The rows of a sparse matrix (CSR); None for a file without one. It is never dense as a whole.

    Raises:
        DataError: the matrix is damaged, of another form, or takes more than ``max_bytes``.
    """
    try:
        names = set(array_names(path))
    except DataError:
        return None  # whoever reads it as arrays says why
    if not {"format", "shape", "data"} <= names or {"x", "x_train"} & names:
        return None
    found = read_arrays(path, _PARTS, max_bytes)
    form, shape, data = found["format"], found["shape"], found["data"]
    form_text = form.item().decode("ascii", "replace") if form.dtype.kind == "S" and form.size == 1 else ""
    if form_text != "csr" or not {"indices", "indptr"} <= names:
        raise DataError(
            f"{path} is a sparse matrix of the form {form_text!r}; matrices are read by rows, csr",
            hint="save it by rows: scipy.sparse.save_npz(PATH, matrix.tocsr())",
        )
    kinds = [each.dtype.kind for each in (data, shape, found["indices"])]
    if shape.shape != (2,) or data.ndim != 1 or kinds[0] not in "biuf" or not set(kinds[1:]) <= {"i", "u"}:
        raise DataError(
            f"{path} is damaged: a sparse matrix of shape {shape.tolist()!s:.40} and type {data.dtype}"
        )
    size = (int(shape[0]), int(shape[1]))
    try:
        rows = CsrRows(data, found["indices"], found["indptr"], size)
    except DataError as error:
        raise DataError(f"{path}: {error.message}", hint=error.hint) from error
    return MatrixDataset(Matrix(rows, str(path)), counts=counts)
