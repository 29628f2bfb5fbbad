"""Reading parts of an ``.h5ad`` file: matrices by rows, columns of ``obs``, names."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from genmod import DataError
from genmod.data import CsrRows, check_pointers, dense_rows, of_categories

__all__ = ["categories_in", "labels_of", "names_of", "opened", "rows_of"]

_PIECE = 256
"""Texts that are read at a time: each may be as long as the file."""

_MOST_IN_CHUNK = 2**30
_MOST_IN_PIECE = 2**24
_MOST_LINKS = 8
_MOST_VALUES = 1000
_SAVE = "save it again with a present anndata: anndata.read_h5ad(PATH).write_h5ad(PATH)"


@contextmanager
def opened(path: Path, mode: str = "r") -> Iterator[Any]:
    """An HDF5 file; whatever is wrong with it is a DataError.

    Raises:
        DataError: h5py is not installed, or the file cannot be read.
    """
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            "reading .h5ad files needs the package h5py", hint="pip install 'genmod-torch[anndata]'"
        ) from error
    try:
        with h5py.File(path, mode) as file:
            yield file
    except DataError as error:
        raise DataError(f"{path}: {error.message}", hint=error.hint) from error
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError, UnicodeError) as error:
        raise DataError(f"{path} cannot be read as .h5ad: {error}", hint=_SAVE) from error


def _has(group: Any, name: str) -> bool:
    """Whether there is something of that name; what a link names is not opened."""
    return group.get(name, getlink=True) is not None


def _node(group: Any, name: str, links: int = 0) -> Any:
    """What lies there; nothing that is elsewhere, since a file could name any other."""
    import h5py

    here = group
    for part in filter(None, name.split("/")):
        if not isinstance(here, h5py.Group) or not _has(here, part):
            there = ", ".join(list(here)[:20]) if isinstance(here, h5py.Group) else ""
            raise DataError(f"there is no {name!r}", hint=f"there is: {there or 'nothing'}")
        link = here.get(part, getlink=True)
        if isinstance(link, h5py.ExternalLink) or links > _MOST_LINKS:
            raise DataError(f"{name!r} is a link to another file", hint=_SAVE)
        if isinstance(link, h5py.SoftLink):  # step by step, for on its way may be a link to another file
            here = _node(here.file if link.path.startswith("/") else here, link.path, links + 1)
        else:
            here = here[part]
    if isinstance(here, h5py.Dataset) and (here.external or here.is_virtual):
        raise DataError(f"the values of {name!r} are in another file", hint=_SAVE)
    if (
        isinstance(here, h5py.Dataset)
        and here.chunks
        and math.prod(here.chunks) * here.dtype.itemsize > _MOST_IN_CHUNK
    ):
        raise DataError(f"{name!r} is written in chunks of more than {_MOST_IN_CHUNK:,} bytes", hint=_SAVE)
    return here


def _whole(node: Any, most: int) -> NDArray[Any]:
    """A dataset in memory.

    Raises:
        DataError: it would take more than ``most`` bytes, or holds no numbers.
    """
    if node.dtype.kind not in "biuf" or node.ndim != 1:
        raise DataError(f"{node.name} has the type {node.dtype} and the shape {node.shape}", hint=_SAVE)
    if node.nbytes > most:
        raise DataError(
            f"{node.name} takes {node.nbytes:,} bytes in memory; max_bytes allows {most:,}",
            hint=f"if you trust the file: -s dataset.max_bytes={node.nbytes}",
        )
    values: NDArray[Any] = node[:]
    return values


def _texts(node: Any, most: int) -> list[str]:
    """The texts of a dataset, which may be many times as long as the file."""
    refusal = DataError(
        f"the texts of {node.name} take more than max_bytes allows",
        hint="allow more: -s dataset.max_bytes=N",
    )
    # Texts of one length for all may be long, and empty in the file.
    if node.dtype.itemsize > most:
        raise refusal
    found: list[str] = []
    piece = max(1, min(_PIECE, _MOST_IN_PIECE // node.dtype.itemsize))
    for start in range(0, len(node), piece):
        found += node.asstr()[start : start + piece].tolist()
        most -= sum(map(len, found[start:])) + 64 * (len(found) - start)
        if most < 0:
            raise refusal
    return found


def _complete(node: Any, most: int) -> Any:
    """The values of an array with a mask, as pandas 3 has texts; any other dataset as it is.

    Raises:
        DataError: a value is missing, or this is another group.
    """
    if not hasattr(node, "keys"):
        return node
    if _whole(_node(node, "mask"), most).any():
        raise DataError(f"values of {node.name} are missing", hint="fill them, and save it again")
    return _node(node, "values")


def names_of(file: Any, table: str, most: int) -> list[str]:
    """The names of the rows of ``obs``, ``var`` or ``raw/var``.

    Raises:
        DataError: there are none, or they take more than ``most`` bytes.
    """
    frame = _node(file, table)
    index = frame.attrs.get("_index", "_index") if hasattr(frame, "keys") else None
    if not isinstance(index, str):
        raise DataError(f"{table!r} is written in an old form", hint=_SAVE)
    return _texts(_complete(_node(frame, index), most), most)


def labels_of(file: Any, name: str, n: int, most: int) -> Any:
    """A column of ``obs`` as classes, see :func:`genmod.data.of_categories`.

    Raises:
        DataError: there is no such column, values are missing, of another type, or too many.
    """
    node = _node(_node(file, "obs"), name)
    label = f"obs column {name!r}"
    if hasattr(node, "keys"):
        if _has(node, "codes"):
            codes, kinds = (
                _whole(_node(node, "codes"), most).astype(np.int64),
                _values(_node(node, "categories"), most),
            )
            missing = codes < 0
            wrong = len(codes) and int(codes.max()) >= len(kinds)
            if wrong:
                raise DataError(f"{label} is damaged: its codes go beyond its {len(kinds)} categories")
        else:
            values, missing = (
                _values(_node(node, "values"), most),
                _whole(_node(node, "mask"), most).astype(bool),
            )
            kinds, codes = np.unique(values, return_inverse=True)
    else:
        kinds, codes = np.unique(_values(node, most), return_inverse=True)
        missing = np.zeros(len(codes), bool)
    if len(codes) != n:
        raise DataError(f"{label} has {len(codes):,} values; there are {n:,} cells")
    if missing.any():
        raise DataError(
            f"{label} is missing for {int(missing.sum()):,} cells",
            hint="give them a class of their own, such as 'unknown'",
        )
    return of_categories(label, kinds, codes)


def categories_in(file: Any, most: int) -> list[str]:
    """The columns of ``obs`` that are categories, of at most 1,000 and none missing, or true and false."""
    frame, found = _node(file, "obs"), []
    for name in map(str, frame.attrs.get("column-order", ())):
        node = _node(frame, name)
        if hasattr(node, "keys"):
            if not _has(node, "codes"):
                continue
            kinds = _complete(_node(node, "categories"), most)
            few = len(kinds) <= _MOST_VALUES and kinds.dtype.kind in "Oiu"
            if few and (_whole(_node(node, "codes"), most) >= 0).all():
                found.append(name)
        elif node.dtype == bool:
            found.append(name)
    return found


def _values(node: Any, most: int) -> NDArray[Any]:
    import h5py

    node = _complete(node, most)
    if h5py.check_string_dtype(node.dtype) is not None:
        return np.array(_texts(node, most), dtype=object)
    return _whole(node, most)


def rows_of(path: Path, file: Any, name: str, held: int, most: int) -> Any:
    """The rows of a matrix, sparse by rows or dense; in memory where it takes no more than ``held`` bytes.

    Raises:
        DataError: there is none, it is sparse by columns, damaged, or the pointers to its rows take more than ``most`` bytes.
    """
    node = _node(file, name)
    if not hasattr(node, "keys"):
        if node.ndim != 2 or node.dtype.kind not in "biuf":
            raise DataError(
                f"{name!r} has the shape {node.shape} and type {node.dtype}; numbers in rows are needed"
            )
        return _Dense(path, name, tuple(node.shape))
    form = node.attrs.get("encoding-type", node.attrs.get("h5sparse_format", ""))
    if form not in ("csr_matrix", "csr"):
        raise DataError(
            f"{name!r} is of the form {form!r}; sparse matrices are read by rows, csr_matrix",
            hint="save it by rows: adata.X = adata.X.tocsr(); adata.write_h5ad(PATH)",
        )
    shape = tuple(int(n) for n in node.attrs.get("shape", node.attrs.get("h5sparse_shape", ())))
    data, columns = _node(node, "data"), _node(node, "indices")
    indptr = _whole(_node(node, "indptr"), most)
    if len(shape) != 2 or data.ndim != 1 or data.dtype.kind not in "biuf" or columns.dtype.kind not in "iu":
        raise DataError(f"{name!r} is damaged: shape {shape}, values {data.dtype}, columns {columns.dtype}")
    indptr = indptr.astype(np.int64)
    if data.nbytes + columns.nbytes <= held:
        return CsrRows(data[:], columns[:], indptr, (shape[0], shape[1]))
    check_pointers(indptr, (shape[0], shape[1]), len(data), len(columns))
    return _Backed(path, name, (shape[0], shape[1]), indptr)


class _InFile:
    """Part of a file that is opened once in each process: workers that share an open file would share the place in it."""

    def __init__(self, path: Path, name: str, shape: tuple[int, int]) -> None:
        self.path, self.name, self.shape = path, name, shape
        self._open: tuple[int, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_open": None}

    def node(self) -> Any:
        import h5py

        if self._open is None or self._open[0] != os.getpid():
            self._open = (os.getpid(), h5py.File(self.path, "r"))
        return self._open[1][self.name]


@final
class _Dense(_InFile):
    """A dense matrix in a file."""

    def read(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        unique, back = np.unique(indices, return_inverse=True)
        try:
            rows: NDArray[Any] = self.node()[unique]
        except (OSError, KeyError) as error:
            raise DataError(f"{self.path} can no longer be read: {error}") from error
        return rows[back]


@final
class _Backed(_InFile):
    """A matrix in a file, sparse by rows."""

    def __init__(self, path: Path, name: str, shape: tuple[int, int], indptr: NDArray[np.int64]) -> None:
        super().__init__(path, name, shape)
        self._indptr = indptr

    def read(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        unique, back = np.unique(indices, return_inverse=True)
        counts = self._indptr[unique + 1] - self._indptr[unique]
        if len(counts) and int(counts.max()) > self.shape[1]:
            raise DataError(f"{self.path}: {self.name!r} is damaged: a row has more values than columns")
        # Neighbouring rows are read together.
        runs = np.split(unique, np.flatnonzero(np.diff(unique) != 1) + 1) if len(unique) else []
        try:
            node = self.node()
            data, columns = node["data"], node["indices"]
            ends = [(int(self._indptr[run[0]]), int(self._indptr[run[-1] + 1])) for run in runs]
            values = [data[start:end] for start, end in ends] or [np.empty(0, data.dtype)]
            places = [columns[start:end] for start, end in ends] or [np.empty(0, np.int64)]
        except (OSError, KeyError) as error:
            raise DataError(f"{self.path} can no longer be read: {error}") from error
        return dense_rows(np.concatenate(values), np.concatenate(places), counts, self.shape[1])[back]
