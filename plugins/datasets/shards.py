"""Data too large for memory, in one file or in many."""

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, final

import numpy as np
import torch
from annotated_types import Ge
from numpy.typing import NDArray

from genmod import Batch, DataError, DataInfo, Dataset, Doc, Split, SplitName
from genmod.data import is_code_folder, shuffled, stored_values
from genmod.plugins.datasets._code_shards import CodeRows, CodeShards
from genmod.plugins.datasets._files import locate, split_folders
from genmod.plugins.datasets._rows import JoinedRows, RowFile, npy_rows, safetensors_rows

__all__ = ["Shards"]

_MOST_SHUFFLED = 2**26
"""Their order is held in memory."""


@final
class Shards(Dataset):
    """Examples from ``.npy`` files, or from the tensor ``x`` of ``.safetensors`` files, read batch by batch.

    ``path`` is a file, or a folder whose files are joined in the order of their names. Folders ``train``,
    ``validation`` (or ``val``, ``valid``) and ``test`` in it are the splits; a missing one is a fixed
    pseudo-random tenth of ``train``. Shapes are ``(N, columns)`` or ``(N, channels, height, width)``.

    Values: ``uint8`` are 256 levels in [0, 1], ``bool`` are 2 levels, floats are unbounded unless ``low`` and
    ``high`` say otherwise; their values are not checked before they are used.

    Of a folder that ``genmod encode`` wrote, splits and classes are those of the data that were encoded. Codes are
    standardised, each column or channel by what was measured in training; integers of a codebook are levels. With
    ``codes=draws`` an example is a draw from its posterior: of training a new one in each step, made of the file's ``scales``
    or chosen among its ``draws``.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "rows.npy"
        >>> np.save(path, np.zeros((50, 3), dtype=np.float32))
        >>> Shards(path.parent, path=path).info.shape
        (3,)

    Raises:
        DataError: nothing there, damaged files, files that do not fit each other, or too few examples.
    """

    def __init__(
        self,
        root: Path,
        *,
        path: Annotated[Path, Doc("file or folder, seen from the current or else the data folder")],
        low: Annotated[float | None, Doc("smallest value of floats; none for unbounded")] = None,
        high: Annotated[float | None, Doc("largest value of floats; none for unbounded")] = None,
        codes: Annotated[
            Literal["means", "draws"] | None,
            Doc(
                "of the codes of genmod encode: means, or a draw from q(z|x), in training a new one each time"
            ),
        ] = None,
        in_memory: Annotated[int, Doc("bytes up to which a split is held in memory"), Ge(0)] = 2**30,
    ) -> None:
        super().__init__(root)
        self.path = path
        self.low = low
        self.high = high
        self.codes = codes
        self.in_memory = in_memory

    @property
    def info(self) -> DataInfo:
        self._parts  # noqa: B018 - too few examples are refused before a model is built for them
        return self._described

    @cached_property
    def _described(self) -> DataInfo:
        if self._codes is not None:
            return self._codes.info
        first = self._files["train"][0]
        if first.dtype.kind != "f":
            return DataInfo(first.shape[1:], levels=2 if first.dtype == np.bool_ else 256)
        low, high = self.low, self.high
        return DataInfo(
            first.shape[1:], -math.inf if low is None else low, math.inf if high is None else high
        )

    def split(self, name: SplitName) -> Split:
        files, places = self._parts[name]
        return self._rows(files, places)

    def everything(self) -> Split:
        return self._rows([file for part in self._files.values() for file in part], None)

    def _rows(self, files: list[RowFile], places: NDArray[np.int64] | None) -> Split:
        if self._codes is not None:
            return CodeRows(self._codes, files, places, self.in_memory)
        return _Rows(JoinedRows(files, places), self.in_memory, self._described)

    @cached_property
    def _codes(self) -> CodeShards | None:
        place = locate(self.path, self.root)
        if is_code_folder(place):
            return CodeShards(place, self.codes)
        if self.codes is not None:
            raise DataError(
                f"{place} has no codes.json, and no {self.codes} of a posterior are known there",
                hint="leave -s dataset.codes out; or write codes: genmod encode MODEL --with scales -o FOLDER/",
            )
        return None

    def places(self, name: SplitName) -> torch.Tensor:
        files, places = self._parts[name]
        if places is not None:
            return torch.from_numpy(places)
        before = list(self._files)[: list(self._files).index(name)]
        start = sum(len(file) for split in before for file in self._files[split])
        return torch.arange(start, start + sum(map(len, files)))

    @cached_property
    def _files(self) -> dict[SplitName, list[RowFile]]:
        """The files of each split that has a folder; of training, all of a place that has none."""
        if self._codes is not None:
            return self._codes.files
        place = locate(self.path, self.root)
        folders = split_folders(place)
        files = {split: _files(folder) for split, folder in folders.items() if folder is not None}
        if "train" not in files:
            files = {"train": _files(place), **files}
        kinds = {(file.shape[1:], file.dtype) for part in files.values() for file in part}
        if len(kinds) > 1:
            shown = ", ".join(sorted(f"{shape} of {dtype}" for shape, dtype in kinds))
            raise DataError(f"the files in {place} do not fit each other: {shown}")
        shape, dtype = next(iter(kinds))
        if len(shape) not in (1, 3) or (dtype.kind not in "bf" and dtype != np.uint8):
            raise DataError(
                f"{place} has examples of shape {shape} and type {dtype}",
                hint="save (N, columns) or (N, channels, height, width), as uint8, bool or float32",
            )
        return files

    @cached_property
    def _parts(self) -> dict[SplitName, tuple[list[RowFile], NDArray[np.int64] | None]]:
        """Split → its files, and which of their rows; None for all."""
        place, files = locate(self.path, self.root), self._files
        folders = split_folders(place)
        total = sum(map(len, files["train"]))
        missing = [split for split in folders if split not in files]
        if total < len(missing) + 1:
            raise DataError(f"{place} has {total} training examples; {len(missing) + 1} or more are needed")
        if missing and total > _MOST_SHUFFLED:
            raise DataError(
                f"{place} has {total:,} examples; at most {_MOST_SHUFFLED:,} are split by themselves",
                hint=f"make the folders yourself: {', '.join(folders)}",
            )
        tenth, order = max(1, total // 10), shuffled(total) if missing else None
        parts: dict[SplitName, tuple[list[RowFile], NDArray[np.int64] | None]] = {
            split: (part, None) for split, part in files.items()
        }
        if order is not None:
            for i, split in enumerate(missing):
                parts[split] = (files["train"], np.sort(order[i * tenth : (i + 1) * tenth]))
            parts["train"] = (files["train"], np.sort(order[len(missing) * tenth :]))
        return parts


@final
class _Rows(Split):
    def __init__(self, rows: JoinedRows, most: int, info: DataInfo) -> None:
        self.info: DataInfo = info
        self._rows, self._most = rows, most

    def __len__(self) -> int:
        return len(self._rows)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        x = self._rows.read(indices)
        return Batch(torch.from_numpy(stored_values(str(self._rows.files[0].path), x)))

    def in_memory(self) -> Batch | None:
        return self.__getitems__(range(len(self))) if self._rows.nbytes <= self._most else None


def _files(place: Path) -> list[RowFile]:
    paths = [place] if place.is_file() else sorted([*place.glob("*.npy"), *place.glob("*.safetensors")])
    found = [file for path in paths if (file := _rows(path)) is not None]
    if not found:
        raise DataError(
            f"{place} has no .npy file, and no .safetensors file with a tensor x",
            hint="save one: numpy.save(PATH, x)",
        )
    return found


def _rows(path: Path) -> RowFile | None:
    return safetensors_rows(path, "x") if path.suffix == ".safetensors" else npy_rows(path)
