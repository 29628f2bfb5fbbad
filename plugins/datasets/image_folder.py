"""Pictures in a folder."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, final

import torch
from annotated_types import Gt, Interval

from genmod import Batch, DataError, DataInfo, Dataset, Doc, Split, SplitName
from genmod.data import dealt, mixed_text, split_of
from genmod.plugins.datasets._files import locate, split_folders
from genmod.plugins.datasets._pictures import SUFFIXES, brightest, depth_of, read_picture, size_of

__all__ = ["ImageFolder"]

_IN_MEMORY_BYTES = 2**30
_SHOWN = 10

_T = TypeVar("_T")
_R = TypeVar("_R")
_Pixels = Annotated[int, Interval(ge=1, le=8192)]


@final
class ImageFolder(Dataset):
    """Pictures in a folder and its subfolders: BMP, GIF, JPEG, PNG, PNM, TIFF and WebP.

    Folders named ``train``, ``validation`` (or ``val``, ``valid``) and ``test`` are the splits. Without them a tenth of the
    pictures is for validation, one for testing and the rest for training, at least one each of three or more pictures: in
    the order of a hash of each picture's path within the folder, the first are for validation and the last for testing. A
    picture that is added later moves at most one other into or out of validation, and one into or out of testing. A split
    whose folder alone is missing gets its tenth of ``train`` in the same way. With ``splits=hash``, as in models of
    revision 1, each picture's hash alone decides, so that no other ever moves, and small folders may have none for
    validation or testing. Where every picture of a split lies in a subfolder, the first subfolder's name is its class.

    With a ``size`` pictures are scaled until they cover it and cut evenly at the edges; without one they must
    all be of one size. Orientation tags are obeyed, transparent parts shown on white unless there are four
    channels, and of an animation the first picture is taken. Hidden files are passed over, links are followed.

    Pictures of 8 bits or less have 256 levels in [0, 1]. Deeper ones, grey or colour, keep their values: from 0 to ``white``,
    which is the least of 255, 511, 1023, … that no picture exceeds unless it is given, and stands for 1. Floating-point
    ones are continuous, in [0, 1] where all values are, or divided by ``white``, else unbounded. ``depth=8``, as in models of
    revision 1, reduces whole numbers of 16 bits to 8. Pictures in CMYK and the like are refused.

    Up to 1 GiB of pixels are read at once, more batch by batch.

    Raises:
        DataError: no folder, no pictures, pictures of unequal size, unreadable ones, or ones of more than
            67 million pixels.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for i in range(50):
        ...         Image.new("RGB", (90, 60)).save(Path(folder, f"{i}.png"))
        ...     data = ImageFolder(Path("data"), path=Path(folder), size=32, channels=1)
        ...     data.info.shape, data.split("train").__getitems__([0, 1]).x.shape
        ((1, 32, 32), torch.Size([2, 1, 32, 32]))
    """

    def __init__(
        self,
        root: Path,
        *,
        path: Annotated[Path, Doc("the folder, seen from the current one or else from the data folder")],
        size: Annotated[
            _Pixels | tuple[_Pixels, _Pixels] | None, Doc("height and width in pixels, one number for both")
        ] = None,
        channels: Annotated[Literal[1, 3, 4], Doc("1 grey, 3 colour, 4 colour and opacity")] = 3,
        white: Annotated[
            float | None, Gt(0), Doc("value of white in pictures of more than 8 bits; found unless given")
        ] = None,
        depth: Annotated[Literal["all", "8"], Doc("bits that are kept: all, or 8")] = "all",
        splits: Annotated[
            Literal["exact", "hash"], Doc("shares of the splits: exact, or by chance")
        ] = "exact",
    ) -> None:
        super().__init__(root)
        self.path = path
        self.size = (size, size) if isinstance(size, int) else size
        self.channels = channels
        self.white = white
        self.depth = depth
        self.splits = splits

    @staticmethod
    def migrate(options: Mapping[str, Any], revision: int) -> Mapping[str, Any]:
        """Models of revision 1 were trained on 8 bits, and on splits by hash alone."""
        return {**options, "depth": "8", "splits": "hash"}

    @cached_property
    def info(self) -> DataInfo:
        height, width = self.size or self._common_size()
        classes = tuple(sorted({label for part in self._files.values() for _, label in part if label}))
        shape, white = (self.channels, height, width), self._white[0]
        if self._white[1]:
            return DataInfo(shape, levels=256 if white is None else int(white) + 1, classes=classes)
        bounds = (-math.inf, math.inf) if white == math.inf else (0.0, 1.0)
        return DataInfo(shape, *bounds, classes=classes)

    @cached_property
    def _white(self) -> tuple[float | None, bool]:
        """The value of white, None for 8 bits; and whether values are whole numbers."""
        if self.depth == "8":
            return None, True
        files = [file for part in self._files.values() for file, _ in part]
        depths = dict(zip(files, _in_threads(depth_of, files), strict=True))
        floats = [file for file, depth in depths.items() if not depth]
        if floats and len(floats) < len(files):
            other = next(file for file, depth in depths.items() if depth)
            raise DataError(
                f"{floats[0]} has floating-point values and {other} has whole numbers",
                hint="convert them to pictures of one kind",
            )
        if self.white is not None:
            if not floats and not (float(self.white).is_integer() and 1 <= self.white < 2**24):
                raise DataError(f"white is {self.white:g}; of whole numbers it is one from 1 to 16,777,215")
            return float(self.white), not floats
        if not floats and self.known is not None and self.known.levels is not None:
            return self.known.levels - 1.0, True
        deep = [file for file, depth in depths.items() if depth != 8]
        most = (
            max([255.0, *_in_threads(brightest, deep)]) if not floats else max(_in_threads(brightest, deep))
        )
        if floats:
            return (math.inf if most > 1 else 1.0), False
        return 2.0 ** math.ceil(math.log2(most + 1)) - 1, True

    def split(self, name: SplitName) -> "_PictureSplit":
        files = self._files[name]
        if not files:
            total = sum(map(len, self._files.values()))
            raise DataError(
                f"{self._folder} has {total} pictures, none of which falls into the {name} split",
                hint="add pictures, or sort them into folders train, validation and test",
            )
        return _PictureSplit(files, self.info, self._white[0], self._folder)

    def everything(self) -> "_PictureSplit":
        return _PictureSplit(self._ordered, self.info, self._white[0], self._folder)

    def places(self, name: SplitName) -> torch.Tensor:
        rows = {file: row for row, (file, _) in enumerate(self._ordered)}
        return torch.tensor([rows[file] for file, _ in self._files[name]], dtype=torch.int64)

    @cached_property
    def _folder(self) -> Path:
        return locate(self.path, self.root)

    @cached_property
    def _files(self) -> dict[SplitName, list[tuple[Path, str]]]:
        """Split → its pictures and their classes, in the order of their paths."""
        found = split_folders(self._folder)
        parts: dict[SplitName, list[tuple[Path, str]]] = {split: [] for split in found}
        if found["train"] is None and any(found.values()):
            others = " and ".join(folder.name for folder in found.values() if folder)
            raise DataError(
                f"{self._folder} has a folder {others}, but no folder train",
                hint=f"make {self._folder / 'train'}, or rename {others} if those are classes",
            )
        for split, folder in found.items():
            if folder is not None and split != "train":
                parts[split] = _labelled(folder)
        shared = found["train"] or self._folder
        pictures = _labelled(shared)
        hashes = [mixed_text(file.relative_to(shared).as_posix()) for file, _ in pictures]
        wanting = [split for split in ("validation", "test") if not found[split]]  # type: ignore[index]
        chosen = dealt(hashes, wanting) if self.splits == "exact" else [split_of(h) for h in hashes]  # type: ignore[arg-type]
        for picture, split in zip(pictures, chosen, strict=True):
            parts["train" if found[split] else split].append(picture)
        if not any(parts.values()):
            raise DataError(
                f"{self._folder} has no pictures; names end in {', '.join(SUFFIXES)}",
                hint="give another folder: -s dataset.path=FOLDER",
            )
        return parts

    @cached_property
    def _ordered(self) -> list[tuple[Path, str]]:
        """All pictures in the order of their paths."""
        every = [file for part in self._files.values() for file in part]
        return sorted(every, key=lambda each: each[0].as_posix())

    def _common_size(self) -> tuple[int, int]:
        files = [file for part in self._files.values() for file, _ in part]
        sizes = _in_threads(size_of, files)
        other = next((i for i, size in enumerate(sizes) if size != sizes[0]), None)
        if other is not None:
            raise DataError(
                f"the pictures are of unequal size: {files[0]} has {_by(sizes[0])} pixels, "
                f"{files[other]} has {_by(sizes[other])}",
                hint="choose one for all, for example -s dataset.size=64",
            )
        return sizes[0]


@final
class _PictureSplit(Split):
    def __init__(
        self, files: Sequence[tuple[Path, str]], info: DataInfo, white: float | None, folder: Path
    ) -> None:
        self.files = files
        self.names = [file.relative_to(folder).as_posix() for file, _ in files]
        self.info: DataInfo = info
        self.white = white
        self.dtype = (
            torch.float32 if info.levels is None else torch.uint8 if info.levels <= 256 else torch.int32
        )
        numbers = {name: number for number, name in enumerate(info.classes)}
        labelled = all(label for _, label in files)
        self.labels = torch.tensor([numbers[label] for _, label in files]) if labelled else None

    def __len__(self) -> int:
        return len(self.files)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        channels, height, width = self.info.shape
        x = torch.empty(len(indices), channels, height, width, dtype=self.dtype)
        pixels = x.numpy()

        def read(place: int) -> DataError | None:
            try:
                picture = read_picture(self.files[indices[place]][0], channels, (height, width), self.white)
            except DataError as error:
                return error
            pixels[place] = picture.transpose(2, 0, 1)
            return None

        errors = [error for error in _in_threads(read, range(len(indices))) if error]
        if errors:
            shown = [error.message for error in errors[:_SHOWN]]
            more = [f"and {len(errors) - _SHOWN} more"] if len(errors) > _SHOWN else []
            raise DataError("\n".join(shown + more), hint=errors[0].hint) from errors[0]
        labels = None if self.labels is None else self.labels[torch.as_tensor(indices, dtype=torch.int64)]
        return Batch(x, labels=labels)

    def in_memory(self) -> Batch | None:
        size = len(self) * self.info.size * self.dtype.itemsize
        return self.__getitems__(range(len(self))) if size <= _IN_MEMORY_BYTES else None


def _labelled(folder: Path) -> list[tuple[Path, str]]:
    """Pictures below a folder, ordered, and the first folder below it that each is in, if all are in one."""
    pictures = _pictures(folder)
    parts = [picture.relative_to(folder).parts for picture in pictures]
    labelled = all(len(part) > 1 for part in parts)
    return [(picture, part[0] if labelled else "") for picture, part in zip(pictures, parts, strict=True)]


def _pictures(folder: Path) -> list[Path]:
    found: list[Path] = []
    waiting, seen = [folder], set()
    while waiting:
        current = waiting.pop()
        try:
            status = current.stat()
            if (status.st_dev, status.st_ino) in seen:  # links may lead back up
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(current) as entries:
                visible = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
        except OSError as error:
            raise DataError(f"{current} cannot be read: {error}") from error
        waiting.extend(Path(entry.path) for entry in reversed(visible) if entry.is_dir())
        found.extend(Path(e.path) for e in visible if e.name.lower().endswith(SUFFIXES) and e.is_file())
    return sorted(found, key=Path.as_posix)


def _in_threads(function: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(function, items))


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"
