"""Pictures in a folder."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, TypeVar, final

import torch
from annotated_types import Interval

from genmod import Batch, DataError, DataInfo, Dataset, Doc, Split, SplitName
from genmod.plugins.datasets._files import locate
from genmod.plugins.datasets._order import mixed_text, split_of
from genmod.plugins.datasets._pictures import SUFFIXES, read_picture, size_of

__all__ = ["ImageFolder"]

_FOLDERS: dict[SplitName, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation", "valid", "val"),
    "test": ("test",),
}
_IN_MEMORY_BYTES = 2**30
_SHOWN = 10

_T = TypeVar("_T")
_R = TypeVar("_R")
_Pixels = Annotated[int, Interval(ge=1, le=8192)]


@final
class ImageFolder(Dataset):
    """Pictures in a folder and its subfolders: BMP, GIF, JPEG, PNG, PNM, TIFF and WebP.

    Folders named ``train``, ``validation`` (or ``val``, ``valid``) and ``test`` are the splits. Without them
    eight tenths of the pictures are for training, one for validation and one for testing, by a hash of each
    picture's path within the folder, so that pictures added later move no others; a split whose folder alone
    is missing gets its tenth of ``train`` in the same way. Where every picture of a split lies in a
    subfolder, the first subfolder's name is its class.

    With a ``size`` pictures are scaled until they cover it and cut evenly at the edges; without one they must
    all be of one size. Orientation tags are obeyed, transparent parts shown on white unless there are four
    channels, 16 bits reduced to 8, and of an animation the first picture is taken. Hidden files are passed
    over, links are followed.

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
    ) -> None:
        super().__init__(root)
        self.path = path
        self.size = (size, size) if isinstance(size, int) else size
        self.channels = channels

    @cached_property
    def info(self) -> DataInfo:
        height, width = self.size or self._common_size()
        classes = sorted({label for part in self._files.values() for _, label in part if label})
        return DataInfo((self.channels, height, width), levels=256, classes=tuple(classes))

    def split(self, name: SplitName) -> "_PictureSplit":
        files = self._files[name]
        if not files:
            total = sum(map(len, self._files.values()))
            raise DataError(
                f"{self._folder} has {total} pictures, none of which falls into the {name} split",
                hint="add pictures, or sort them into folders train, validation and test",
            )
        return _PictureSplit(files, self.info)

    @cached_property
    def _folder(self) -> Path:
        return locate(self.path, self.root)

    @cached_property
    def _files(self) -> dict[SplitName, list[tuple[Path, str]]]:
        """Split → its pictures and their classes, in the order of their paths."""
        found = {split: self._folder_of(split) for split in _FOLDERS}
        parts: dict[SplitName, list[tuple[Path, str]]] = {split: [] for split in _FOLDERS}
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
        for file, label in _labelled(shared):
            split = split_of(mixed_text(file.relative_to(shared).as_posix()))
            parts["train" if found[split] else split].append((file, label))
        if not any(parts.values()):
            raise DataError(
                f"{self._folder} has no pictures; names end in {', '.join(SUFFIXES)}",
                hint="give another folder: -s dataset.path=FOLDER",
            )
        return parts

    def _folder_of(self, split: SplitName) -> Path | None:
        return next((self._folder / name for name in _FOLDERS[split] if (self._folder / name).is_dir()), None)

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
    def __init__(self, files: Sequence[tuple[Path, str]], info: DataInfo) -> None:
        self.files = files
        self.info = info
        numbers = {name: number for number, name in enumerate(info.classes)}
        labelled = all(label for _, label in files)
        self.labels = torch.tensor([numbers[label] for _, label in files]) if labelled else None

    def __len__(self) -> int:
        return len(self.files)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        channels, height, width = self.info.shape
        x = torch.empty(len(indices), channels, height, width, dtype=torch.uint8)
        pixels = x.numpy()

        def read(place: int) -> DataError | None:
            try:
                picture = read_picture(self.files[indices[place]][0], channels, (height, width))
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
        return self.__getitems__(range(len(self))) if len(self) * self.info.size <= _IN_MEMORY_BYTES else None


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
