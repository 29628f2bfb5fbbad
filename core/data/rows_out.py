"""Files with a row for each example, written block by block: ``.npy``, ``.npz``, ``.csv``, ``.parquet``, ``.h5ad``."""

import csv
import shutil
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from genmod.errors import UsageError
from genmod.system.files import staged_file

__all__ = ["WRITERS", "Layout", "RowWriter", "check_room", "column_names", "rows_out"]

_Array = NDArray[Any]
_GROUP = 2**16
"""Rows of a group of a ``.parquet`` file."""


@dataclass(frozen=True)
class Layout:
    """What a file of rows has.

    Args:
        columns: array → the columns that one row of it has, flattened.
        labels: of the rows: their numbers, or their names.
        source: the file that the rows were made from, if there is one.
    """

    columns: Mapping[str, Sequence[str]]
    labels: Sequence[int] | Sequence[str]
    source: Path | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def label(self) -> str:
        """What the labels are called: ``index``, or ``name``."""
        return "name" if len(self) and isinstance(self.labels[0], str) else "index"


class RowWriter(ABC):
    """Writes a file block by block.

    Args:
        path: of a file that is not there yet.
        layout: of the rows.
    """

    single: ClassVar[bool] = False
    """Whether the file has room for one array alone, without labels."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout, self.done = path, layout, 0

    def write(self, block: Mapping[str, _Array]) -> None:
        """Write the next rows, ``(n, …)`` of each array of the layout."""
        n = len(next(iter(block.values())))
        labels = np.asarray(self.layout.labels[self.done : self.done + n])
        self.add(labels, {name: block[name] for name in self.layout.columns})
        self.done += n

    @abstractmethod
    def add(self, labels: _Array, block: Mapping[str, _Array]) -> None:
        """Write rows with their labels, ``(n,)``."""

    def finish(self) -> None:  # noqa: B027 - most files are whole when they have all rows
        """Make the file whole, after the last row."""

    @abstractmethod
    def close(self) -> None:
        """Give back what is held, also after an error."""


@contextmanager
def rows_out(path: Path, layout: Layout) -> Iterator[RowWriter]:
    """Context with the writer of a file, which replaces ``path`` at the end; nothing is left after an error.

    Raises:
        UsageError: no known suffix, more arrays than such a file holds, or a package that it needs is not installed.
        FileError: it cannot be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "codes.csv")
        >>> with rows_out(path, Layout({"means": ["z0", "z1"]}, range(2))) as writer:
        ...     writer.write({"means": np.array([[0.5, 1.0], [2.0, -1.0]], dtype=np.float32)})
        >>> path.read_text()
        'index,z0,z1\\n0,0.5,1\\n1,2,-1\\n'
    """
    writer = check_room(path, len(layout.columns))
    with staged_file(path) as temporary:
        made = writer(temporary, layout)
        try:
            yield made
            made.finish()
        finally:
            made.close()


def column_names(name: str, shape: Sequence[int], draws: int = 1) -> list[str]:
    """Names of the columns that values ``(*shape,)`` have when they are flattened.

    Args:
        name: with a place for their indices.
        shape: of the values; its first dimension is that of several draws.
        draws: how many.

    Example:
        >>> column_names("z{}", (2,)), column_names("code{}", (1, 2)), column_names("z{}", (2, 1), draws=2)
        (['z0', 'z1'], ['code0_0', 'code0_1'], ['z0_draw0', 'z0_draw1'])
    """
    places = np.ndindex(*(shape[1:] if draws > 1 else shape))
    names = [name.format("_".join(map(str, place))) for place in places]
    return names if draws == 1 else [f"{each}_draw{k}" for k in range(draws) for each in names]


def check_room(path: Path, arrays: int) -> type[RowWriter]:
    """What writes a file of that name.

    Raises:
        UsageError: no known suffix, or more arrays than such a file holds.
    """
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise UsageError(
            f"{path} says no known format by its suffix {path.suffix!r}",
            hint=f"end the name in {', '.join(WRITERS)}",
        )
    if writer.single and arrays > 1:
        raise UsageError(
            f"{path.suffix} holds one array, and these are {arrays}",
            hint=f"end the name in {', '.join(end for end, each in WRITERS.items() if not each.single)}",
        )
    return writer


class _Growing:
    """An ``.npy`` file of so many rows, written in pieces."""

    def __init__(self, path: Path, rows: int) -> None:
        self.path, self._rows, self._file = path, rows, path.open("xb")
        self._begun = False

    def add(self, piece: _Array) -> None:
        if not self._begun:
            header = npy.header_data_from_array_1_0(piece)
            npy.write_array_header_2_0(
                self._file,
                {**header, "shape": (self._rows, *piece.shape[1:]), "fortran_order": False},  # type: ignore[arg-type]
            )
            self._begun = True
        np.ascontiguousarray(piece).tofile(self._file)

    def close(self) -> None:
        self._file.close()


class _Npy(RowWriter):
    """The one array."""

    single = True

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, layout)
        self._file = _Growing(path, len(layout))

    def add(self, labels: _Array, block: Mapping[str, _Array]) -> None:
        for piece in block.values():
            self._file.add(piece)

    def close(self) -> None:
        self._file.close()


class _Npz(RowWriter):
    """The arrays by name, and the labels."""

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, layout)
        # Members of a zip are written one after the other, and the arrays grow side by side.
        self._folder = path.with_suffix(".parts.tmp")
        self._folder.mkdir()
        names = (layout.label, *layout.columns)
        self._files = {name: _Growing(self._folder / f"{name}.npy", len(layout)) for name in names}
        texts = layout.label == "name"
        self._type = np.dtype(f"U{max(map(len, layout.labels))}") if texts else np.dtype(np.int64)  # type: ignore[arg-type]

    def add(self, labels: _Array, block: Mapping[str, _Array]) -> None:
        for name, piece in {self.layout.label: labels.astype(self._type), **block}.items():
            self._files[name].add(piece)

    def finish(self) -> None:
        with zipfile.ZipFile(self.path, "x") as archive:
            for name, file in self._files.items():
                file.close()
                # Without the time of day, so that the same arrays are the same bytes.
                member = zipfile.ZipInfo(f"{name}.npy")
                with file.path.open("rb") as source, archive.open(member, "w", force_zip64=True) as target:
                    shutil.copyfileobj(source, target, 2**20)

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class _Csv(RowWriter):
    """A line for each row; floats with the digits that give them back exactly."""

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, layout)
        self._file: IO[str] = path.open("x", encoding="utf-8", newline="")
        self._lines = csv.writer(self._file, lineterminator="\n")
        self._lines.writerow([layout.label, *(name for names in layout.columns.values() for name in names)])

    def add(self, labels: _Array, block: Mapping[str, _Array]) -> None:
        columns = [column for array in block.values() for column in _flat(array).T]
        self._lines.writerows(zip(labels.tolist(), *map(_texts, columns), strict=True))

    def close(self) -> None:
        self._file.close()


class _Parquet(RowWriter):
    """A table in groups of rows."""

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, layout)
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise UsageError(
                ".parquet needs the package pyarrow, which is not installed",
                hint="pip install 'genmod-torch[tables]', or end the name in .csv",
            ) from None
        self._arrow, self._parquet = pyarrow, pyarrow.parquet
        self._stack, self._waiting, self._rows = ExitStack(), list[dict[str, _Array]](), 0
        self._writer: Any = None

    def add(self, labels: _Array, block: Mapping[str, _Array]) -> None:
        self._waiting.append({self.layout.label: labels, **block})
        self._rows += len(labels)
        if self._rows >= _GROUP:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        whole = {name: np.concatenate([each[name] for each in self._waiting]) for name in self._waiting[0]}
        columns: dict[str, Any] = {self.layout.label: whole.pop(self.layout.label).tolist()}
        for name, array in whole.items():
            columns |= dict(zip(self.layout.columns[name], _flat(array).T, strict=True))
        table = self._arrow.table(columns)
        if self._writer is None:
            # Codes hardly ever repeat, and dictionaries of them take memory.
            opened = self._parquet.ParquetWriter(self.path, table.schema, use_dictionary=False)
            self._writer = self._stack.enter_context(opened)
        self._writer.write_table(table)
        self._waiting, self._rows = [], 0

    def finish(self) -> None:
        self._flush()

    def close(self) -> None:
        self._stack.close()


class _H5ad(RowWriter):
    """A copy of the ``.h5ad`` file that the rows were made from, with the arrays in ``obsm``."""

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, layout)
        if layout.source is None or layout.source.suffix.lower() != ".h5ad":
            raise UsageError(
                "an .h5ad holds codes beside the cells that they are of, and these are of "
                + str(layout.source or "the data of the model"),
                hint="give the .h5ad file: genmod encode DIR cells.h5ad -o coded.h5ad; or end the name in .csv",
            )
        try:
            import h5py
        except ImportError:
            raise UsageError(
                ".h5ad needs the package h5py, which is not installed",
                hint="pip install 'genmod-torch[anndata]', or end the name in .csv",
            ) from None
        shutil.copyfile(layout.source, path)
        self._file = h5py.File(path, "r+")

    def add(self, labels: _Array, block: Mapping[str, _Array]) -> None:
        obsm = self._file.require_group("obsm")
        for name, array in block.items():
            flat, key = _flat(array), "X_genmod" if name == "means" else f"X_genmod_{name}"
            if not self.done:
                obsm.attrs.setdefault("encoding-type", "dict")
                obsm.attrs.setdefault("encoding-version", "0.1.0")
                if key in obsm:
                    del obsm[key]
                made = obsm.create_dataset(key, (len(self.layout), flat.shape[1]), flat.dtype)
                made.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
            obsm[key][self.done : self.done + len(flat)] = flat

    def close(self) -> None:
        self._file.close()


def _flat(array: _Array) -> _Array:
    """One row for each, ``(n, …) → (n, values of one)``."""
    return array.reshape(len(array), -1)


def _texts(column: _Array) -> Sequence[Any]:
    if column.dtype.kind != "f":
        return column.tolist()  # type: ignore[no-any-return]
    digits = 9 if column.dtype.itemsize <= 4 else 17
    return [f"{value:.{digits}g}" for value in column.tolist()]


WRITERS: dict[str, type[RowWriter]] = {
    ".npy": _Npy,
    ".npz": _Npz,
    ".csv": _Csv,
    ".parquet": _Parquet,
    ".h5ad": _H5ad,
}
"""Suffix → what writes such files."""
