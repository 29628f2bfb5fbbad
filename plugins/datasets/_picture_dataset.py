"""What datasets of pictures share: splits, classes, sizes and depths, whether the pictures are in folders or in archives."""

import math
import warnings
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Gt, Interval
from numpy.typing import NDArray

from genmod import DataError, DataInfo, Dataset, DataWarning, Doc, SplitName, UsageError
from genmod.data import dealt, split_of
from genmod.plugins.datasets._decoded import Decoded
from genmod.plugins.datasets._facts import Facts
from genmod.plugins.datasets._files import locate, split_folders
from genmod.plugins.datasets._listing import Listing
from genmod.plugins.datasets._picture_split import PictureSplit, stored_as
from genmod.plugins.datasets._sources import Source

__all__ = ["PictureDataset"]

_Pixels = Annotated[int, Interval(ge=1, le=8192)]
_Rows = NDArray[np.int64]


class PictureDataset(Dataset):
    """Pictures in some places, described by what their headers say."""

    def __init__(
        self,
        root: Path,
        *,
        path: Annotated[Path, Doc("where the pictures are, seen from the current or else the data folder")],
        size: Annotated[
            _Pixels | tuple[_Pixels, _Pixels] | None, Doc("height and width in pixels, one number for both")
        ] = None,
        crop: Annotated[
            _Pixels | tuple[_Pixels, _Pixels] | None,
            Doc("height and width of a part in own resolution, at random in training"),
        ] = None,
        scale: Annotated[
            _Pixels | None, Doc("shorter side in pixels before a crop; none for its own")
        ] = None,
        channels: Annotated[Literal[1, 3, 4], Doc("1 grey, 3 colour, 4 colour and opacity")] = 3,
        white: Annotated[
            float | None, Gt(0), Doc("value of white in pictures of more than 8 bits; found unless given")
        ] = None,
        depth: Annotated[Literal["all", "8"], Doc("bits that are kept: all, or 8")] = "all",
        splits: Annotated[
            Literal["exact", "hash"], Doc("shares of the splits: exact, or by chance")
        ] = "exact",
        decode: Annotated[
            Literal["scaled", "whole"], Doc("JPEGs: scaled down on the way, or in their own size first")
        ] = "scaled",
    ) -> None:
        super().__init__(root)
        if scale is not None or crop is not None:
            _check_crop(size, crop, scale)
        self.path = path
        self.size = (size, size) if isinstance(size, int) else size
        self.crop = (crop, crop) if isinstance(crop, int) else crop
        self.scale = scale
        self.channels = channels
        self.white = white
        self.depth = depth
        self.splits = splits
        self.decode = decode

    @abstractmethod
    def listings(self, place: Path) -> list[Listing]:
        """The pictures in a file or folder, by the folder or archive that they are in."""

    @abstractmethod
    def nothing(self, place: Path) -> DataError:
        """What is said where there are no pictures."""

    def in_order(self, classes: set[str]) -> Sequence[str]:
        """The classes in the order of their numbers."""
        return sorted(classes)

    @cached_property
    def info(self) -> DataInfo:
        self._rows  # noqa: B018 - where there are no pictures, that is said first
        height, width = self.size or self.crop or self._common_size()
        classes = tuple(self.in_order({label for label in self._labels if label}))
        self._tell_of_small_ones()
        shape, white = (self._channels, height, width), self._white[0]
        if self._white[1]:
            return DataInfo(shape, levels=256 if white is None else int(white) + 1, classes=classes)
        bounds = (-math.inf, math.inf) if white == math.inf else (0.0, 1.0)
        return DataInfo(shape, *bounds, classes=classes)

    @property
    def _channels(self) -> int:
        """Those of the model that the pictures are opened for, where it is one of pictures."""
        known = None if self.known is None else self.known.shape
        return known[0] if known is not None and len(known) == 3 and known[0] in (1, 3, 4) else self.channels

    def split(self, name: SplitName) -> PictureSplit:
        rows = self._rows[name]
        if not len(rows):
            raise DataError(
                f"{self._place} has {len(self._labels):,} pictures, none of which falls into the {name} split",
                hint="add pictures, or sort them into folders train, validation and test",
            )
        return self._of(rows, training=name == "train")

    def everything(self) -> PictureSplit:
        return self._of(np.arange(len(self._labels)), training=False)

    def places(self, name: SplitName) -> torch.Tensor:
        return torch.from_numpy(self._rows[name])

    def _of(self, rows: _Rows, *, training: bool) -> PictureSplit:
        return PictureSplit(
            place=self._place,
            sources=self._source,
            rows=rows,
            names=[self._names[row] for row in rows.tolist()],
            labels=[self._labels[row] for row in rows.tolist()],
            info=self.info,
            white=self._white[0],
            crop=self.crop is not None,
            scale=self.scale,
            training=training,
            whole=self.decode == "whole",
            decoded=self._decoded,
        )

    @cached_property
    def _decoded(self) -> Decoded:
        """Pictures as they are decoded, all splits together."""
        white, stored = self._white[0], stored_as(self.info)
        made_by = {
            "shape": list(self.info.shape),
            "stored": str(stored).removeprefix("torch."),
            "white": None if white is None else f"{white:g}",
            "crop": self.crop is not None,
            "scale": self.scale,
            "decode": self.decode,
        }
        return Decoded(self._place, self._listings, made_by, self.info.size * stored.itemsize)

    @cached_property
    def _place(self) -> Path:
        return locate(self.path, self.root)

    @cached_property
    def _by_folder(self) -> dict[SplitName | None, list[Listing]]:
        """Split → what is in its folder; None → what is to be split."""
        found = split_folders(self._place)
        if found["train"] is None and any(found.values()):
            others = " and ".join(folder.name for folder in found.values() if folder)
            raise DataError(
                f"{self._place} has a folder {others}, but no folder train",
                hint=f"make {self._place / 'train'}, or rename {others} if those are classes",
            )
        if found["train"] is None:
            return {None: self.listings(self._place)}
        return {split: self.listings(folder) for split, folder in found.items() if folder is not None}

    @cached_property
    def _listings(self) -> list[Listing]:
        """All of them, in the order of their paths."""
        every = [listing for part in self._by_folder.values() for listing in part]
        return sorted(every, key=lambda listing: listing.place.as_posix())

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(map(len, self._listings)))

    @cached_property
    def _names(self) -> list[str]:
        """Names of all pictures, seen from the place where they are."""
        names = []
        for listing in self._listings:
            inside = listing.place.relative_to(self._place).as_posix()
            start = "" if inside == "." else f"{inside}/"
            names += [start + name for name in listing.names] if start else listing.names
        return names

    @cached_property
    def _labels(self) -> list[str]:
        return [label for listing in self._listings for label in listing.labels]

    @cached_property
    def _rows(self) -> dict[SplitName, _Rows]:
        """Split → which of all pictures it has."""
        firsts = {
            id(listing): end - len(listing) for listing, end in zip(self._listings, self._ends, strict=True)
        }

        def rows_of(part: Sequence[Listing]) -> _Rows:
            ranges = [firsts[id(each)] + np.arange(len(each)) for each in part]
            return np.sort(np.concatenate(ranges)) if ranges else np.empty(0, np.int64)

        found: dict[SplitName, _Rows] = {
            split: rows_of(part) for split, part in self._by_folder.items() if split
        }
        shared = self._by_folder[None if None in self._by_folder else "train"]
        wanting: list[SplitName] = [split for split in ("validation", "test") if split not in found]
        if not self._labels:
            raise self.nothing(self._place)
        rows = rows_of(shared)
        hashes = np.concatenate([each.hashes for each in self._listings])[rows]
        if self.splits == "exact":
            chosen = dealt(hashes, wanting)
        else:
            chosen = [split_of(h) if split_of(h) in wanting else "train" for h in hashes.tolist()]
        named = np.array(chosen)
        return found | {split: rows[named == split] for split in ("train", *wanting)}

    def _source(self, row: int) -> Source:
        owner = bisect_right(self._ends, row)
        listing = self._listings[owner]
        return listing.source(row - (self._ends[owner] - len(listing)))

    @cached_property
    def _facts(self) -> list[Facts]:
        return [Facts(listing) for listing in self._listings]

    def _common_size(self) -> tuple[int, int]:
        sizes = np.concatenate([facts.sizes for facts in self._facts])
        other = (sizes != sizes[0]).any(1).argmax()
        if other:
            raise DataError(
                f"the pictures are of unequal size: {self._source(0)} has {_by(sizes[0])} pixels, "
                f"{self._source(other)} has {_by(sizes[other])}",
                hint="choose one for all, for example -s dataset.size=64, or parts at random: -s dataset.crop=64",
            )
        return int(sizes[0, 0]), int(sizes[0, 1])

    @cached_property
    def _white(self) -> tuple[float | None, bool]:
        """The value of white, None for 8 bits; and whether values are whole numbers."""
        if self.depth == "8":
            return None, True
        if self.known is not None and self.known.levels is not None:
            # What the model was built for; to look at a million headers again takes minutes where nothing is kept.
            return self.white or self.known.levels - 1.0, True
        depths = np.concatenate([facts.depths for facts in self._facts])
        floats = not depths.all()
        if floats and depths.any():
            raise DataError(
                f"{self._source(int(depths.argmin()))} has floating-point values and {self._source(int(depths.argmax()))} has "
                "whole numbers",
                hint="convert them to pictures of one kind",
            )
        if self.white is not None:
            if not floats and not (float(self.white).is_integer() and 1 <= self.white < 2**24):
                raise DataError(f"white is {self.white:g}; of whole numbers it is one from 1 to 16,777,215")
            return float(self.white), not floats
        deep = [facts.whites(np.flatnonzero(facts.depths != 8)) for facts in self._facts]
        most = float(np.concatenate([*deep, [0.0]]).max())
        if floats:
            return (math.inf if most > 1 else 1.0), False
        white = 2.0 ** math.ceil(math.log2(max(most, 255.0) + 1)) - 1
        self._tell_of_depths(depths, white)
        return white, True

    def _tell_of_depths(self, depths: _Rows, white: float) -> None:
        deep = int((depths != 8).sum())
        if 0 < deep < len(depths) and white > 255:
            name = self._names[int((depths != 8).argmax())]
            warnings.warn(
                f"{deep:,} of {len(depths):,} pictures, such as {name}, have more than 8 bits: all are read with "
                f"{int(white) + 1:,} levels, 255 of 8 bits as {white:g}; -s dataset.depth=8 reads all with 256",
                DataWarning,
                stacklevel=2,
            )

    def _tell_of_small_ones(self) -> None:
        """Say how many pictures do not cover the crop, before a model is built for them."""
        if self.crop is None or self.scale is not None or self.known is not None:
            return
        sizes = np.concatenate([facts.sizes for facts in self._facts])
        small = (sizes < self.crop).any(1)
        if small.any():
            first = int(small.argmax())
            warnings.warn(
                f"{int(small.sum()):,} of {len(sizes):,} pictures, such as {self._names[first]} of {_by(sizes[first])} pixels, "
                f"are smaller than the crop, {_by(self.crop)}, and are scaled up until they cover it",
                DataWarning,
                stacklevel=2,
            )


def _check_crop(size: Any, crop: Any, scale: int | None) -> None:
    largest = None if crop is None else crop if isinstance(crop, int) else max(crop)
    if largest is None:
        raise UsageError(
            f"scale is {scale}, and no crop is asked for",
            hint="-s dataset.crop=64 takes parts of the scaled pictures; -s dataset.size=64 scales and cuts them to a size",
        )
    if size is not None:
        raise UsageError(
            f"size is {size} and crop is {crop}; one of them is allowed",
            hint="size scales each picture to cover it and cuts it evenly; crop takes a part, at random in training",
        )
    if scale is not None and scale < largest:
        raise UsageError(
            f"scale is {scale}, less than the crop, {crop}", hint=f"-s dataset.scale={largest}, or more"
        )


def _by(size: Sequence[int]) -> str:
    return f"{size[0]}×{size[1]}"
