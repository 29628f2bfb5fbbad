"""Right datasets: missing values, twins, streams, names, files, and what varies."""

import math
import zlib
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import torch

from correct import right
from genmod import Batch, DataError, DataInfo, Dataset, Doc, Split, TensorSplit
from genmod.scaffold.templates.dataset import TemplateDataset

_ALL = ("train", "validation", "test")


@right(always=True)
class MissingLevels(Dataset):
    """Grey values, some of which were not observed, and one example that nobody observed."""

    @property
    def info(self):
        return DataInfo((1, 3, 3), levels=16, missing=True)

    def split(self, name):
        fixed = torch.Generator().manual_seed(_ALL.index(name))
        x = torch.randint(16, (60, 1, 3, 3), generator=fixed) / 15
        x[torch.rand(x.shape, generator=fixed) < 0.3] = math.nan
        x[0] = math.nan
        return TensorSplit(Batch(x))


@right()
class FewCounts(Dataset):
    """So few different values that examples are there several times, by nature."""

    @property
    def info(self):
        return DataInfo((3,), high=math.inf, counts=True)

    def split(self, name):
        fixed = torch.Generator().manual_seed(_ALL.index(name))
        return TensorSplit(Batch(torch.poisson(torch.full((20, 3), 9.0), generator=fixed).int()))


@right()
class SplitsByChecksum(TemplateDataset):
    """A checksum of the name of each point says where it belongs; UsageError."""

    def split(self, name):
        points = torch.cat([super(SplitsByChecksum, self).split(each).batch.x for each in _ALL])
        part = {"train": range(8), "validation": (8,), "test": (9,)}[name]
        chosen = [i for i in range(len(points)) if zlib.crc32(f"point{i}".encode()) % 10 in part]
        return TensorSplit(Batch(points[chosen]), names=sorted({f"point{i:04}" for i in chosen}))


class _Lazy(Split):
    """Examples that are made when they are asked for."""

    varies = True

    def __init__(self, start, count):
        self.start, self.count = start, count

    def __len__(self):
        return self.count

    def __getitems__(self, indices):
        if any(i >= self.count for i in indices):
            raise IndexError(max(indices))
        numbers = torch.tensor(indices, dtype=torch.float64).reshape(-1, 1) + self.start
        return Batch(
            (numbers * torch.tensor([[2**0.5, 3**0.5]])).frac().float(), labels=numbers[:, 0].long() % 3
        )

    def varied(self, indices, *, seed, step):
        batch = self.__getitems__(indices)
        flips = [np.random.default_rng([seed, step, i]).random() < 0.5 for i in indices]
        x = torch.stack([row.flip(0) if flip else row for row, flip in zip(batch.x, flips, strict=True)])
        return Batch(x, labels=batch.labels)


@right()
class Endless(Dataset):
    """Examples without a file, drawn anew for training; UsageError."""

    @property
    def info(self):
        return DataInfo((2,), classes=("a", "b", "c"))

    def split(self, name):
        return _Lazy(*{"train": (0, 200_000), "validation": (200_000, 700), "test": (300_000, 3)}[name])


def _write(folder):
    (folder / "points.txt").write_text("\n".join(f"{i}.5 {i * i}" for i in range(60)))


@right()
class NeedsAFile(Dataset):
    """Rows of a text file.

    Raises:
        DataError: it is not there.
    """

    check_cases: ClassVar = {"files": _write, "options": {"path": Path("points.txt")}}

    def __init__(self, root, *, path: Annotated[Path, Doc("the file")]):
        super().__init__(root)
        self.path = path

    @property
    def info(self):
        return DataInfo((2,), low=-math.inf, high=math.inf)

    def everything(self):
        place = self.root / self.path
        if not place.exists():
            raise DataError(f"there is no {place}", hint="give another: -s dataset.path=FILE")
        return TensorSplit(Batch(torch.from_numpy(np.loadtxt(place, dtype=np.float32))), self.info)

    def places(self, name):
        start, end = {"train": (0, 48), "validation": (48, 54), "test": (54, 60)}[name]
        return torch.arange(60).flip(0)[start:end]

    def split(self, name):
        return TensorSplit(self.everything().batch[self.places(name)], self.info)


@right()
class OneConstantColumn(TemplateDataset):
    """A column that is the same everywhere, and rows that repeat within a split; UsageError."""

    def split(self, name):
        x = super().split(name).batch.x.clone()
        x[:, 1] = 0.25
        return TensorSplit(Batch(x.repeat_interleave(2, 0)))
