"""Faults: datasets."""

import math

import numpy as np
import torch

from genmod import (
    Batch,
    DataInfo,
    TensorSplit,
)
from genmod.scaffold.templates.dataset import TemplateDataset
from planted import caught_by


class _Pictures(TemplateDataset):
    """Pictures of sixteen levels in two classes; UsageError."""

    def __init__(self, root):
        super().__init__(root, size=300)

    @property
    def info(self):
        return DataInfo((2, 2, 2), levels=16, classes=("a", "b"))

    def split(self, name):
        fixed = torch.Generator().manual_seed(1)
        levels = torch.randint(16, (300, 2, 2, 2), generator=fixed, dtype=torch.uint8)
        start, end = {"train": (0, 240), "validation": (240, 270), "test": (270, 300)}[name]
        return TensorSplit(Batch(levels[start:end], labels=torch.arange(end - start) % 2))


@caught_by("check_examples")
class OutOfRange(TemplateDataset):
    @property
    def info(self):
        return DataInfo((2,), low=0.0, high=1.0)


@caught_by("check_examples", "check_splits")
class WrongLevels(_Pictures):
    @property
    def info(self):
        return DataInfo((2, 2, 2), levels=13, classes=("a", "b"))


@caught_by("check_labels", "check_splits")
class LabelsOutOfRange(_Pictures):
    @property
    def info(self):
        return DataInfo((2, 2, 2), levels=16, classes=("a",))


@caught_by("check_labels")
class LabelsOutOfNowhere(TemplateDataset):
    def split(self, name):
        batch = super().split(name).batch
        return TensorSplit(Batch(batch.x, labels=torch.zeros(len(batch), dtype=torch.int64)))


@caught_by("check_splits")
class Overlapping(TemplateDataset):
    def split(self, name):
        return super().split("train" if name == "validation" else name)


@caught_by("check_splits", "check_examples", "check_fixed")
class EmptySplit(TemplateDataset):
    def split(self, name):
        batch = super().split(name).batch
        return TensorSplit(batch[:0] if name == "test" else batch)


@caught_by("check_fixed", "check_process")
class ShufflesGlobally(TemplateDataset):
    def split(self, name):
        batch = super().split(name).batch
        return TensorSplit(batch.take(torch.randperm(len(batch))))


@caught_by("check_fixed", "check_process")
class ReadsTheClock(TemplateDataset):
    made = iter(range(1000))

    def split(self, name):
        return TensorSplit(Batch(super().split(name).batch.x + 1e-3 * next(self.made)))


class _Sorted(TensorSplit):
    def __getitems__(self, indices):
        return super().__getitems__(sorted(indices))


@caught_by("check_indices")
class SortsTheIndices(TemplateDataset):
    def split(self, name):
        return _Sorted(super().split(name).batch)


@caught_by("check_everything", "check_splits")
class MisplacesItsSplits(TemplateDataset):
    def everything(self):
        return super().split("train")

    def places(self, name):
        return torch.arange(len(super().split(name)))


@caught_by("check_description")
class DescribesWithAList(TemplateDataset):
    @property
    def info(self):
        return DataInfo((2,), low=-math.inf, high=math.inf, classes=[])


# ---------------------------------------------------------------- other processes


def _taken(split, chosen):
    batch = split.batch
    return TensorSplit(batch.take(torch.tensor(chosen)))


@caught_by("check_process")
class SplitsByHash(TemplateDataset):
    """Names of the points are hashed with the salt of the process; UsageError."""

    def split(self, name):
        points = torch.cat(
            [super(SplitsByHash, self).split(each).batch.x for each in ("train", "validation", "test")]
        )
        part = {"train": range(8), "validation": (8,), "test": (9,)}[name]
        return TensorSplit(Batch(points[[hash(f"point{i}") % 10 in part for i in range(len(points))]]))


@caught_by("check_process", slow=True)
class OrderOfASet(TemplateDataset):
    def split(self, name):
        split = super().split(name)
        return _taken(split, [int(text) for text in {str(i) for i in range(len(split))}])


@caught_by("check_process", slow=True)
class ClassesOfASet(_Pictures):
    @property
    def info(self):
        return DataInfo((2, 2, 2), levels=16, classes=tuple({f"class {i}" for i in range(20)}))


# ---------------------------------------------------------------- labels and values


class _Longer(TensorSplit):
    def __len__(self):
        return len(self.batch) - 10

    def __getitems__(self, indices):
        if any(i >= len(self) for i in indices):
            raise IndexError
        batch = super().__getitems__(indices)
        return Batch(batch.x, labels=batch.labels)

    def in_memory(self):
        return Batch(self.batch.x[: len(self)], labels=self.batch.labels)


@caught_by("check_labels")
class LabelsLongerThanExamples(_Pictures):
    def split(self, name):
        return _Longer(super().split(name).batch)


@caught_by("check_labels", "check_examples", "check_splits", "check_indices", "check_fixed", "check_process")
class LabelsShorterThanExamples(_Pictures):
    def split(self, name):
        batch = super().split(name).batch
        return TensorSplit(Batch(batch.x, labels=batch.labels[:-1]))


@caught_by("check_labels")
class FewerNames(TemplateDataset):
    def split(self, name):
        split = super().split(name)
        return TensorSplit(split.batch, names=[f"{i}.png" for i in range(len(split) - 1)])


class _LabelsOfTheFile(TensorSplit):
    def __getitems__(self, indices):
        batch = super().__getitems__(indices)
        return Batch(batch.x, labels=self.batch.labels[: len(batch)])


@caught_by("check_indices")
class LabelsStayInOrder(_Pictures):
    def split(self, name):
        return _LabelsOfTheFile(super().split(name).batch)


class _OtherLabelsInMemory(TensorSplit):
    def in_memory(self):
        return Batch(self.batch.x, labels=1 - self.batch.labels)


@caught_by("check_indices")
class OtherLabelsInMemory(_Pictures):
    def split(self, name):
        return _OtherLabelsInMemory(super().split(name).batch)


@caught_by("check_examples")
class BelowItsRange(TemplateDataset):
    @property
    def info(self):
        return DataInfo((2,), low=-1.0, high=2.0)


@caught_by("check_examples")
class MissingUndeclared(TemplateDataset):
    def split(self, name):
        x = super().split(name).batch.x.clone()
        x[3, 1] = math.nan
        return TensorSplit(Batch(x))


@caught_by("check_examples")
class MissingAsInfinity(TemplateDataset):
    @property
    def info(self):
        return DataInfo((2,), low=-math.inf, high=math.inf, missing=True)

    def split(self, name):
        x = super().split(name).batch.x.clone()
        x[3, 1] = math.inf
        return TensorSplit(Batch(x))


@caught_by("check_examples")
class BetweenTheLevels(_Pictures):
    """Floats, because values are missing, that are none of the levels; UsageError."""

    @property
    def info(self):
        return DataInfo((2, 2, 2), levels=16, classes=("a", "b"), missing=True)

    def split(self, name):
        batch = super().split(name).batch
        return TensorSplit(Batch(batch.x / 15.5, labels=batch.labels))


# ---------------------------------------------------------------- splits and readings


@caught_by("check_splits")
class CutOffByOne(TemplateDataset):
    def split(self, name):
        points = torch.cat(
            [super(CutOffByOne, self).split(each).batch.x for each in ("train", "validation", "test")]
        )
        start, end = {"train": (0, 801), "validation": (800, 901), "test": (900, 1000)}[name]
        return TensorSplit(Batch(points[start:end]))


@caught_by("check_splits")
class PlacesInTwoSplits(_Pictures):
    def everything(self):
        parts = [super(PlacesInTwoSplits, self).split(name).batch for name in ("train", "validation", "test")]
        return TensorSplit(Batch(torch.cat([p.x for p in parts]), torch.cat([p.labels for p in parts])))

    def places(self, name):
        return {
            "train": torch.arange(241),
            "validation": torch.arange(240, 270),
            "test": torch.arange(270, 300),
        }[name]

    def split(self, name):
        return TensorSplit(self.everything().batch[self.places(name)])


@caught_by("check_fixed", "check_indices", "check_labels", "check_process")
class OneGeneratorForAllSplits(TemplateDataset):
    """It goes on from split to split, so that their order matters; UsageError."""

    def __init__(self, root):
        super().__init__(root)
        self.generator = torch.Generator().manual_seed(1)

    def split(self, name):
        batch = super().split(name).batch
        return TensorSplit(batch.take(torch.randperm(len(batch), generator=self.generator)))


@caught_by("check_fixed")
class MovesNumPy(TemplateDataset):
    def split(self, name):
        np.random.seed(3)
        batch = super().split(name).batch
        return TensorSplit(batch.take(torch.from_numpy(np.random.permutation(len(batch)))))


class _Noisy(TensorSplit):
    varies = True

    def varied(self, indices, *, seed, step):
        batch = self.__getitems__(indices)
        return Batch(batch.x + 0.01 * torch.stack([self.noise(seed, step, i, batch) for i in indices]))

    def noise(self, seed, step, index, batch):
        fixed = torch.Generator().manual_seed(seed * 1_000_003 + step * 1009 + index)
        return torch.randn(2, generator=fixed)


class _NoisyGlobally(_Noisy):
    def noise(self, seed, step, index, batch):
        return torch.randn(2)


class _NoisyByBatch(_Noisy):
    def noise(self, seed, step, index, batch):
        return super().noise(seed, step, index + len(batch), batch)


class _NoisyAtEachStepAlike(_Noisy):
    def noise(self, seed, step, index, batch):
        return super().noise(seed, 0, index, batch)


@caught_by("check_varied")
class VariesGlobally(TemplateDataset):
    def split(self, name):
        return _NoisyGlobally(super().split(name).batch)


@caught_by("check_varied")
class VariesByTheBatch(TemplateDataset):
    def split(self, name):
        return _NoisyByBatch(super().split(name).batch)


@caught_by("check_varied")
class VariesAtNoStep(TemplateDataset):
    def split(self, name):
        return _NoisyAtEachStepAlike(super().split(name).batch)
