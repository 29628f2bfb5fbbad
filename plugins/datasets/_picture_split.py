"""A part of a collection of pictures, read as they are asked for."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import get_worker_info

from genmod import Batch, DataError, DataInfo, Split
from genmod.plugins.datasets._crop import Crop
from genmod.plugins.datasets._decoded import Decoded
from genmod.plugins.datasets._facts import in_threads, raise_all
from genmod.plugins.datasets._pictures import read_picture
from genmod.plugins.datasets._sources import Source
from genmod.system import seed_for

__all__ = ["PictureSplit", "stored_as"]

_IN_MEMORY_BYTES = 2**30
_IN_MEMORY = 20_000
"""Pictures that are read before training begins, at most; of more, each is kept when it is read."""


_LONG = 1_000
"""Pictures from which on decoding them takes long enough for a progress bar."""
_IN_TURN = 8
_SHARED = 256
"""Of more pictures, each of several processes begins to decode others, and takes those of the others from the file."""


def stored_as(info: DataInfo) -> torch.dtype:
    """The type of the values of pictures."""
    return torch.float32 if info.levels is None else torch.uint8 if info.levels <= 256 else torch.int32


@final
class PictureSplit(Split):
    """Pictures by their rows in a collection.

    Args:
        place: where the collection is, for messages.
        sources: row → where the bytes of its picture are.
        rows: of the pictures, ``(n,)``.
        names: of the pictures.
        labels: class of each, an empty text where it has none.
        info: description of the examples.
        white: value of white; None for 8 bits.
        crop: whether examples are parts of pictures: from the middle, or, in training, at random.
        scale: shorter side of pictures before a part is taken.
        training: whether the pictures are for training.
        whole: whether JPEGs are decoded in their own size.
        decoded: where whole pictures and middle parts are kept once they have been decoded, by row.
    """

    def __init__(
        self,
        *,
        place: Path,
        sources: Callable[[int], Source],
        rows: NDArray[np.int64],
        names: Sequence[str],
        labels: Sequence[str],
        info: DataInfo,
        white: float | None,
        crop: bool,
        scale: int | None,
        training: bool,
        whole: bool,
        decoded: Decoded,
    ) -> None:
        self.info: DataInfo = info
        self.names = names
        self.varies = crop and training
        self._place, self._sources, self._rows, self._white = place, sources, rows, white
        self._whole, self._decoded = whole, decoded
        self._crop = Crop(scale) if crop else None
        self._dtype = stored_as(info)
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
            or self._decoded.usable
            or get_worker_info() is not None
            or any(not 0 <= i < len(self) for i in indices)
        ):
            return self._read(indices)
        x, there = self._held
        places = torch.as_tensor(indices, dtype=torch.int64)
        new = places[~there[places]].unique()
        if len(new):
            x[new] = self._read(new.tolist()).x
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
        return self._read(range(len(self))) if few else None

    @property
    def _fits(self) -> bool:
        return len(self) * self.info.size * self._dtype.itemsize <= _IN_MEMORY_BYTES

    def _read(self, indices: Sequence[int], crops: Sequence[Crop] | None = None) -> Batch:
        """Pictures from where they are kept, the others decoded; parts of them that are drawn at random are never kept."""
        channels, height, width = self.info.shape
        n, rows = len(indices), self._rows[np.asarray(indices, np.int64)].tolist()
        x = torch.empty(n, channels, height, width, dtype=self._dtype)
        pixels, kept = x.numpy(), crops is None and self._decoded.usable
        rows_of_bytes = pixels.reshape(n, -1).view(np.uint8) if n else np.empty((0, 0), np.uint8)

        def missing(places: range) -> list[int]:
            return [i for i in places if not self._decoded.take(rows[i], rows_of_bytes[i])]

        def read(i: int) -> DataError | None:
            # Another process may have decoded it since.
            if shared and self._decoded.take(rows[i], rows_of_bytes[i]):
                return None
            source = self._sources(rows[i])
            crop = self._crop if crops is None else crops[i]
            try:
                size = (height, width)
                picture = read_picture(source, channels, size, self._white, crop, whole=self._whole)
            except DataError as error:
                return error
            if (picture.dtype.kind == "f") != self._dtype.is_floating_point:
                kinds = ("whole numbers", "floating-point values")
                found, wanted = kinds[:: 1 if self._dtype.is_floating_point else -1]
                return DataError(
                    f"{source} has {found}, and others have {wanted}",
                    hint="convert them to pictures of one kind",
                )
            pixels[i] = picture.transpose(2, 0, 1)
            if kept:
                self._decoded.put(rows[i], rows_of_bytes[i])
            return None

        places = list(range(n))
        if kept:
            parts = [range(start, min(start + _SHARED, n)) for start in range(0, n, _SHARED)]
            found = in_threads(missing, parts) if len(parts) > 1 else map(missing, parts)
            places = [i for part in found for i in part]
        shared = kept and len(places) > _SHARED
        if shared:
            first = os.getpid() * 0x9E3779B1 % len(places)
            places = places[first:] + places[:first]
        if places:
            what = f"pictures in {self._place}" if len(places) >= _LONG else ""
            some = _in_turns(places)
            found_by_turn = in_threads(lambda turn: [read(i) for i in turn], some, what)
            errors = zip(places, (error for turn in found_by_turn for error in turn), strict=True)
            raise_all([error for _, error in sorted(errors, key=lambda pair: pair[0]) if error])
        labels = None if self.labels is None else self.labels[torch.as_tensor(indices, dtype=torch.int64)]
        return Batch(x, labels=labels)


def _in_turns(places: list[int]) -> list[list[int]]:
    """Pictures that a thread reads before it asks for more: asking takes a hundredth of the time that decoding does."""
    count = max(1, min(_IN_TURN, len(places) // 32))
    return [places[start : start + count] for start in range(0, len(places), count)]
