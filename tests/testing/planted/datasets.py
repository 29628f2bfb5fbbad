"""Faults: datasets."""

import math

import torch

from genmod import (
    Batch,
    DataInfo,
    TensorSplit,
)
from genmod.scaffold.templates.dataset import TemplateDataset
from planted import caught_by


class _Pictures(TemplateDataset):
    """Pictures of three levels in two classes; UsageError."""

    def __init__(self, root):
        super().__init__(root, size=300)

    @property
    def info(self):
        return DataInfo((2, 2, 2), levels=4, classes=("a", "b"))

    def split(self, name):
        points = super().split(name).batch.x
        levels = torch.cat([points, points.flip(1), points * 2, points * 3], 1).mul(1000).long() % 4
        return TensorSplit(
            Batch(levels.to(torch.uint8).reshape(-1, 2, 2, 2), labels=torch.arange(len(points)) % 2)
        )


@caught_by("check_examples")
class OutOfRange(TemplateDataset):
    @property
    def info(self):
        return DataInfo((2,), low=0.0, high=1.0)


@caught_by("check_examples", "check_splits")
class WrongLevels(_Pictures):
    @property
    def info(self):
        return DataInfo((2, 2, 2), levels=3, classes=("a", "b"))


@caught_by("check_labels", "check_splits")
class LabelsOutOfRange(_Pictures):
    @property
    def info(self):
        return DataInfo((2, 2, 2), levels=4, classes=("a",))


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


@caught_by("check_fixed")
class ShufflesGlobally(TemplateDataset):
    def split(self, name):
        batch = super().split(name).batch
        return TensorSplit(batch.take(torch.randperm(len(batch))))


@caught_by("check_fixed")
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


@caught_by("check_everything")
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
