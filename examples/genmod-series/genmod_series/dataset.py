"""Windows of a time series."""

import math
from functools import cached_property
from pathlib import Path
from typing import Annotated, final

import numpy as np
import torch
from annotated_types import Ge, Le
from numpy.typing import NDArray
from torch import Tensor

from genmod import Batch, DataError, DataInfo, Dataset, Doc, SplitName, TensorSplit
from genmod_series.table import read_series

__all__ = ["SAMPLE", "Series"]

SAMPLE = Path(__file__).with_name("tide.csv")
"""Heights of water at two places, made by ``make_sample.py``."""

_FROM: dict[SplitName, float] = {"train": 0.0, "validation": 0.8, "test": 0.9}
_UNTIL: dict[SplitName, float] = {"train": 0.8, "validation": 0.9, "test": 1.0}


@final
class Series(Dataset):
    """Windows of a time series in a CSV file, ``(columns, length)`` each; empty cells are missing values.

    The file has a line of names, then a line for each time: the time, which is not read, and a number for each column. The
    first eight tenths of the times are for training, the next for validation, the last for testing; a window that lies
    in two of them is in none, so that no number is in two splits.

    Without a ``path`` these are the heights of water at two places every hour for 120 days, which were simulated.

    Raises:
        DataError: the file is missing or damaged, or has too few times for a window in each split.

    Example:
        >>> dataset = Series(Path("."), length=24)
        >>> dataset.info.shape, dataset.info.missing, len(dataset.split("validation"))
        ((2, 24), True, 12)
    """

    def __init__(
        self,
        root: Path,
        *,
        path: Annotated[
            Path | None, Doc("a CSV file, from the folder of data or from here; none for an example")
        ] = None,
        length: Annotated[int, Ge(2), Le(100_000), Doc("times in a window")] = 24,
        hop: Annotated[
            int, Ge(0), Doc("times from one window to the next; 0 for the length: none overlap")
        ] = 0,
    ) -> None:
        super().__init__(root)
        self.path = path
        self.length = length
        self.hop = hop or length

    @property
    def info(self) -> DataInfo:
        # A model that was trained on gaps has a place for them, whether this file has any or not.
        missing = bool(np.isnan(self._values).any()) or (self.known is not None and self.known.missing)
        return DataInfo((len(self._values), self.length), low=-math.inf, high=math.inf, missing=missing)

    def split(self, name: SplitName) -> TensorSplit:
        found = self._numbers(name)
        if not len(found):
            raise DataError(
                f"{self._file} has {self._values.shape[1]:,} times, too few for a window of {self.length:,} in {name}",
                hint=f"choose shorter windows: -s dataset.length={max(2, self.length // 4)}",
            )
        return TensorSplit(Batch(self._windows(found)), self.info)

    def everything(self) -> TensorSplit:
        return TensorSplit(Batch(self._windows(self._starts // self.hop)), self.info)

    def places(self, name: SplitName) -> Tensor:
        return torch.from_numpy(self._numbers(name))

    @cached_property
    def _file(self) -> Path:
        if self.path is None:
            return SAMPLE
        path = self.path.expanduser()
        return self.root / path if (self.root / path).is_file() else path

    @cached_property
    def _values(self) -> NDArray[np.float32]:
        """The columns of the file, ``(columns, times)``; read once, when somebody asks for it."""
        return read_series(self._file)[1]

    @property
    def _starts(self) -> NDArray[np.int64]:
        return np.arange(0, self._values.shape[1] - self.length + 1, self.hop)

    def _numbers(self, name: SplitName) -> NDArray[np.int64]:
        """The windows that lie in a split as a whole, in order."""
        times = self._values.shape[1]
        first, end = round(_FROM[name] * times), round(_UNTIL[name] * times)
        starts = self._starts
        return np.flatnonzero((starts >= first) & (starts + self.length <= end))

    def _windows(self, numbers: NDArray[np.int64]) -> Tensor:
        """Windows by their numbers, ``(n, columns, length)``."""
        times = numbers[:, None] * self.hop + np.arange(self.length)
        return torch.from_numpy(np.ascontiguousarray(self._values[:, times].transpose(1, 0, 2)))
