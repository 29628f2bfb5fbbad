"""A part of a collection of pictures, read as they are asked for."""

from collections.abc import Callable, Sequence
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import get_worker_info

from genmod import Batch, DataError, DataInfo, Split
from genmod.plugins.datasets._crop import Crop
from genmod.plugins.datasets._facts import in_threads, raise_all
from genmod.plugins.datasets._pictures import read_picture
from genmod.plugins.datasets._sources import Source
from genmod.system import seed_for

__all__ = ["PictureSplit"]

_IN_MEMORY_BYTES = 2**30
_IN_MEMORY = 20_000
"""Pictures that are read before training begins, at most; of more, each is kept when it is read."""


@final
class PictureSplit(Split):
    """Pictures by their rows in a collection.

    Args:
        sources: row → where the bytes of its picture are.
        rows: of the pictures, ``(n,)``.
        names: of the pictures.
        labels: class of each, an empty text where it has none.
        info: description of the examples.
        white: value of white; None for 8 bits.
        crop: whether examples are parts of pictures: from the middle, or, in training, at random.
        scale: shorter side of pictures before a part is taken.
        training: whether the pictures are for training.
    """

    def __init__(
        self,
        *,
        sources: Callable[[int], Source],
        rows: NDArray[np.int64],
        names: Sequence[str],
        labels: Sequence[str],
        info: DataInfo,
        white: float | None,
        crop: bool,
        scale: int | None,
        training: bool,
    ) -> None:
        self.info: DataInfo = info
        self.names = names
        self.varies = crop and training
        self._sources, self._rows, self._white = sources, rows, white
        self._crop = Crop(scale) if crop else None
        self._dtype = (
            torch.float32 if info.levels is None else torch.uint8 if info.levels <= 256 else torch.int32
        )
        numbers = {name: number for number, name in enumerate(info.classes)}
        # Of many pictures for training, those that have been read: where there are none yet, no memory is taken.
        self._held: tuple[Tensor, Tensor] | None = None
        if training and not crop and self._fits and len(rows) > _IN_MEMORY:
            x = torch.empty(len(rows), *info.shape, dtype=self._dtype)
            self._held = x, torch.zeros(len(rows), dtype=torch.bool)
        self.labels = None
        if all(labels):
            self.labels = torch.from_numpy(
                np.fromiter((numbers[each] for each in labels), np.int64, len(labels))
            )

    def __len__(self) -> int:
        return len(self._rows)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        if (
            self._held is None
            or get_worker_info() is not None
            or any(not 0 <= i < len(self) for i in indices)
        ):
            return self._read(indices, [self._crop] * len(indices))
        x, there = self._held
        places = torch.as_tensor(indices, dtype=torch.int64)
        new = places[~there[places]].unique()
        if len(new):
            x[new] = self._read(new.tolist(), [self._crop] * len(new)).x
            there[new] = True
        return Batch(x[places], labels=None if self.labels is None else self.labels[places])

    def varied(self, indices: Sequence[int], *, seed: int, step: int) -> Batch:
        """Parts at random, where there are any: a function of seed, step and each index alone."""
        if self._crop is None or not self.varies:
            return self.__getitems__(indices)
        draws = [np.random.default_rng(seed_for(seed, f"crop/{step}", i)).random(2) for i in indices]
        return self._read(indices, [Crop(self._crop.scale, *draw.tolist()) for draw in draws])

    def in_memory(self) -> Batch | None:
        few = len(self) <= _IN_MEMORY and self._fits
        return self.__getitems__(range(len(self))) if few else None

    @property
    def _fits(self) -> bool:
        return len(self) * self.info.size * self._dtype.itemsize <= _IN_MEMORY_BYTES

    def _read(self, indices: Sequence[int], crops: Sequence[Crop | None]) -> Batch:
        channels, height, width = self.info.shape
        sources = [self._sources(int(self._rows[i])) for i in indices]
        x = torch.empty(len(indices), channels, height, width, dtype=self._dtype)
        pixels = x.numpy()

        def read(place: int) -> DataError | None:
            try:
                picture = read_picture(sources[place], channels, (height, width), self._white, crops[place])
            except DataError as error:
                return error
            if (picture.dtype.kind == "f") != self._dtype.is_floating_point:
                kinds = ("whole numbers", "floating-point values")
                found, wanted = kinds[:: 1 if self._dtype.is_floating_point else -1]
                return DataError(
                    f"{sources[place]} has {found}, and others have {wanted}",
                    hint="convert them to pictures of one kind",
                )
            pixels[place] = picture.transpose(2, 0, 1)
            return None

        raise_all([error for error in in_threads(read, range(len(indices))) if error])
        labels = None if self.labels is None else self.labels[torch.as_tensor(indices, dtype=torch.int64)]
        return Batch(x, labels=labels)
