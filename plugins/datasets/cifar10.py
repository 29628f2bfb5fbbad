"""Small colour photographs."""

import hashlib
import tarfile
import zlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, final

import torch
from annotated_types import Interval

from genmod import Batch, DataError, DataInfo, Dataset, Doc, SplitName, TensorSplit
from genmod.plugins.datasets._files import fetch

__all__ = ["CIFAR10"]

_FOLDER = "cifar-10-batches-bin"
_ARCHIVE = "cifar-10-binary.tar.gz"
_SERVERS = ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/")
_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
_TRAINING = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
_TEST = ("test_batch.bin",)
_RECORD = 1 + 3 * 32 * 32
_FILE = 10_000 * _RECORD


@final
class CIFAR10(Dataset):
    """Colour photographs, 32×32 pixels: 45,000 for training, 5,000 for validation, 10,000 for testing.

    "Learning Multiple Layers of Features from Tiny Images" (Krizhevsky, 2009).

    Read from the *binary* version, the folder ``cifar-10-batches-bin`` or ``cifar-10-binary.tar.gz`` in the
    data folder or in ``CIFAR10`` there, and else downloaded once (170 MB). The version for Python is not
    read: it consists of pickles, which can run code.

    Raises:
        DataError: a file is damaged, or missing and cannot be downloaded; the hint says where to put it.

    Example:
        >>> cifar = CIFAR10(Path("data"))
        >>> cifar.info.shape, cifar.info.classes[0]
        ((3, 32, 32), 'airplane')
    """

    def __init__(
        self,
        root: Path,
        *,
        validation: Annotated[
            int, Doc("how many training examples, the last ones, are held out"), Interval(ge=1, le=49_999)
        ] = 5000,
    ) -> None:
        super().__init__(root)
        self.validation = validation

    @property
    def info(self) -> DataInfo:
        classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
        return DataInfo((3, 32, 32), levels=256, classes=classes)

    def split(self, name: SplitName) -> TensorSplit:
        if name == "test":
            return TensorSplit(self._read(_TEST), self.info)
        held_out = len(self._training) - self.validation
        parts = {"train": slice(0, held_out), "validation": slice(held_out, None)}
        return TensorSplit(self._training[parts[name]], self.info)

    @cached_property
    def _training(self) -> Batch:
        return self._read(_TRAINING)

    def _read(self, names: tuple[str, ...]) -> Batch:
        for parent in (self.root, self.root / "CIFAR10"):
            if (parent / _FOLDER).is_dir():
                return _decoded(parent / _FOLDER, _read_folder(parent / _FOLDER, names))
            if (parent / _ARCHIVE).is_file():
                return _decoded(parent / _ARCHIVE, _read_archive(parent / _ARCHIVE, names))
        archive = self.root / _ARCHIVE
        hint = (
            f"put the binary version, {_ARCHIVE} or the folder {_FOLDER} from it, into {self.root},\n"
            "or name the folder where it is: --data-root DIR, or GENMOD_DATA=DIR"
        )
        fetch([f"{server}{_ARCHIVE}" for server in _SERVERS], archive, md5=_MD5, hint=hint)
        return _decoded(archive, _read_archive(archive, names))


def _read_folder(folder: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    contents = {}
    for name in names:
        try:
            with (folder / name).open("rb") as file:
                contents[name] = file.read(_FILE + 1)
        except OSError as error:
            raise _damaged(folder / name, f"cannot be read: {error}") from error
    return contents


def _read_archive(path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    # The checksum comes first, so that only an archive that is known byte for byte is read.
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if found != _MD5:
            raise _damaged(path, f"has MD5 {found}, not {_MD5}")
        with tarfile.open(path, "r:gz") as archive:
            members = {name: archive.extractfile(f"{_FOLDER}/{name}") for name in names}
            return {name: member.read() if member else b"" for name, member in members.items()}
    except (OSError, KeyError, EOFError, tarfile.TarError, zlib.error) as error:
        raise _damaged(path, f"cannot be read: {error}") from error


def _decoded(place: Path, contents: Mapping[str, bytes]) -> Batch:
    """Records of a label and the red, green and blue planes → images ``(N, 3, 32, 32)``, labels ``(N,)``."""
    parts = []
    for name, content in contents.items():
        if len(content) != _FILE:
            difference = "more" if len(content) > _FILE else "fewer"
            raise _damaged(place, f"has {name} with {difference} than its {_FILE:,} bytes")
        records = torch.frombuffer(bytearray(content), dtype=torch.uint8).reshape(-1, _RECORD)
        if int(records[:, 0].max()) > 9:
            raise _damaged(
                place, f"has {name} with the label {int(records[:, 0].max())}, where 0 to 9 are allowed"
            )
        parts.append(records)
    records = torch.cat(parts)
    return Batch(records[:, 1:].reshape(-1, 3, 32, 32).contiguous(), labels=records[:, 0].to(torch.int64))


def _damaged(path: Path, problem: str) -> DataError:
    return DataError(f"{path} {problem}", hint="put an intact copy there, or move this one away")
