"""The rows of a table in a file."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, final

from annotated_types import Ge
from torch import Tensor

from genmod import DataError, DataInfo, Dataset, Doc, SplitName, TensorSplit
from genmod.data import FrameDataset, Kind, read_table
from genmod.plugins.datasets._files import locate

__all__ = ["Table"]


@final
class Table(Dataset):
    """The rows of a CSV, parquet, feather or JSON-lines file with names of columns.

    The kind of each column is found from all rows, and can be named: ``binary``, ``category`` and ``ordered`` have a
    probability for each value, ``count`` is for whole numbers from 0 on, ``whole`` for other whole numbers, ``real`` and
    ``positive`` (skewed, above 0, through a logarithm) for numbers, ``date`` for dates and times; ``constant`` columns are
    filled in again, and ``identifier`` columns, whose values all differ, left out. What was decided is kept with the model, and
    another file is read by it: columns are found by name, and a value that training did not have is an error.

    Numbers are standardised by the training rows, categories never. Empty cells are missing values; a model that was built
    from a table without any accepts none, unless ``missing=true``.

    Splits: ``row``, fixed pseudo-random tenths; ``column:NAME``, as that column says: train, validation or test;
    ``group:NAME``, no value of that column in two splits; ``time:NAME``, the latest tenth for testing.

    Raises:
        DataError: the file is missing or damaged; there is no such column; cells are not of their column's kind.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     text = "age,city,pay\\n31,Rom,1.5\\n42,Bern,0.25\\n18,Rom,7.125\\n77,Bern,2.5\\n"
        ...     _ = Path(folder, "people.csv").write_text(text)
        ...     data = Table(Path(folder), path=Path("people.csv"), drop=["pay"], label="city")
        ...     data.info.shape, data.info.classes, len(data.split("train"))
        ((1,), ('Bern', 'Rom'), 2)
    """

    def __init__(
        self,
        root: Path,
        *,
        path: Annotated[Path, Doc("the file, seen from the current or else the data folder")],
        delimiter: Annotated[
            str | None, Doc("between the cells of CSV, one character; found unless given")
        ] = None,
        kinds: Annotated[
            Mapping[str, Kind],
            Doc("kinds of columns by name, where they are not to be found: age:count,zip:category"),
        ] = {},
        drop: Annotated[Sequence[str], Doc("columns that are passed over")] = (),
        split: Annotated[str, Doc("row, column:NAME, group:NAME or time:NAME")] = "row",
        label: Annotated[str | None, Doc("the column with the classes of the rows, not modelled")] = None,
        factors: Annotated[
            Sequence[str], Doc("further columns that a model can be conditioned on, not modelled")
        ] = (),
        missing: Annotated[
            bool | Literal["auto"], Doc("whether cells may be missing; auto: if some are")
        ] = "auto",
        max_bytes: Annotated[int, Doc("how large the file may be"), Ge(1)] = 2**32,
    ) -> None:
        super().__init__(root)
        self.path, self.delimiter, self.max_bytes = path, delimiter, max_bytes
        self.options = {
            "kinds": dict(kinds),
            "drop": tuple(drop),
            "split": split,
            "label": label,
            "factors": tuple(factors),
            "missing": missing,
        }

    @cached_property
    def _rows(self) -> FrameDataset:
        columns = self.known.columns if self.known is not None else ()
        texts = [column.name for column in columns if column.dtype in ("String", "Categorical", "Enum")]
        path = locate(self.path, self.root)
        frame = read_table(path, delimiter=self.delimiter, texts=texts, max_bytes=self.max_bytes)
        rows = FrameDataset(frame, root=self.root, **self.options)  # type: ignore[arg-type]
        rows.known = self.known
        try:
            _ = rows.info
        except DataError as error:
            raise DataError(f"{path}: {error.message}", hint=error.hint) from error
        return rows

    @property
    def info(self) -> DataInfo:
        return self._rows.info

    def split(self, name: SplitName) -> TensorSplit:
        return self._rows.split(name)

    def everything(self) -> TensorSplit:
        return self._rows.everything()

    def places(self, name: SplitName) -> Tensor:
        return self._rows.places(name)
