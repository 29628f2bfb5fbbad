"""What MNIST and Fashion-MNIST share: four IDX files of the same names and shapes."""

from abc import abstractmethod
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from annotated_types import Interval

from genmod import Batch, DataError, DataInfo, Dataset, Doc, SplitName, TensorSplit
from genmod.plugins.datasets._files import check_online, fetch
from genmod.plugins.datasets._idx import read_idx

__all__ = ["MnistLike"]


class MnistLike(Dataset):
    """60,000 training and 10,000 test images, 28×28 pixels of 256 grey levels, in ten classes.

    Files are looked for in :attr:`folders`, plain or gzipped, and else downloaded once. Their content is
    checked, so that neither damaged files nor another dataset's, which have the same names, are taken.

    Raises:
        DataError: a file is damaged, or missing and cannot be downloaded; the hint says where to put them.
    """

    source: ClassVar[str]
    """Name of the class in ``torchvision.datasets`` that has the addresses of the files."""
    classes: ClassVar[tuple[str, ...]]
    files: ClassVar[tuple[tuple[str, tuple[int, ...], int], ...]]
    """Name, shape and CRC-32 of each decompressed file, images before labels."""

    def __init__(
        self,
        root: Path,
        *,
        validation: Annotated[
            int, Doc("how many training examples, the last ones, are held out"), Interval(ge=1, le=59_999)
        ] = 5000,
    ) -> None:
        super().__init__(root)
        self.validation = validation

    @property
    @abstractmethod
    def folders(self) -> tuple[Path, ...]:
        """Where files are looked for, in this order; downloads go to the first."""

    @property
    def info(self) -> DataInfo:
        return DataInfo((1, 28, 28), levels=256, classes=self.classes)

    def split(self, name: SplitName) -> TensorSplit:
        if name == "test":
            return TensorSplit(self._read("t10k"), self.info)
        held_out = len(self._training) - self.validation
        parts = {"train": slice(0, held_out), "validation": slice(held_out, None)}
        return TensorSplit(self._training[parts[name]], self.info)

    @cached_property
    def _training(self) -> Batch:
        return self._read("train")

    def _read(self, part: str) -> Batch:
        images, labels = (
            read_idx(self._path(name), shape, crc32=crc32)
            for name, shape, crc32 in self.files
            if name.startswith(part)
        )
        return Batch(images.unsqueeze(1), labels=labels.to(torch.int64))

    def _path(self, name: str) -> Path:
        found = self._find(name)
        if found is None:
            self._download()
            found = self.folders[0] / f"{name}.gz"
        return found

    def _find(self, name: str) -> Path | None:
        candidates = (folder / f"{name}{suffix}" for folder in self.folders for suffix in ("", ".gz"))
        return next((path for path in candidates if path.is_file()), None)

    def _download(self) -> None:
        folder = self.folders[0]
        hint = (
            f"put {', '.join(name for name, _, _ in self.files)} into {folder}, plain or gzipped (.gz),\n"
            "or name the folder where they are: --data-root DIR, or GENMOD_DATA=DIR"
        )
        missing = next(name for name, _, _ in self.files if self._find(name) is None)
        # Before torchvision is imported, which takes seconds.
        check_online(folder / f"{missing}.gz", hint)
        mirrors, checksums = _torchvision_source(self.source, hint)
        for name, _, _ in self.files:
            if self._find(name) is None:
                file = f"{name}.gz"
                fetch(
                    [f"{mirror}{file}" for mirror in mirrors], folder / file, md5=checksums[file], hint=hint
                )


def _torchvision_source(name: str, hint: str) -> tuple[list[str], dict[str, str]]:
    """Servers, and the MD5 of each file."""
    try:
        from torchvision import datasets

        source = getattr(datasets, name)
        return list(source.mirrors), dict(source.resources)
    except Exception as error:  # a torchvision made for another torch fails with any error
        raise DataError(
            f"files of {name} are missing, and torchvision, which has their addresses, fails: {error}",
            hint="install a pair that fits: pip install --upgrade torch torchvision\n"
            f"({_versions()} are installed), or {hint}",
        ) from error


def _versions() -> str:
    found = []
    for distribution in ("torch", "torchvision"):
        try:
            found.append(f"{distribution} {version(distribution)}")
        except PackageNotFoundError:
            found.append(f"no {distribution}")
    return " and ".join(found)
