"""Points around a circle."""

import math
from pathlib import Path
from typing import Annotated, final

import torch
from annotated_types import Interval

from genmod import Batch, DataInfo, Dataset, Doc, TensorSplit

__all__ = ["TemplateDataset"]

_FIRST = {"train": 0.0, "validation": 0.8, "test": 0.9}
_END = {"train": 0.8, "validation": 0.9, "test": 1.0}


@final
class TemplateDataset(Dataset):
    """Points in the plane, evenly spread over a ring; nothing is read or downloaded.

    Eight tenths are for training, one for validation and one for testing.
    """

    def __init__(
        self,
        root: Path,
        *,
        size: Annotated[int, Doc("number of points"), Interval(ge=30, le=1_000_000)] = 1000,
        width: Annotated[float, Doc("width of the ring of radius 1"), Interval(ge=0.01, le=1)] = 0.2,
    ) -> None:
        super().__init__(root)
        self.size = size
        self.width = width

    @property
    def info(self) -> DataInfo:
        return DataInfo((2,), low=-math.inf, high=math.inf)

    def split(self, name: str) -> TensorSplit:
        number = torch.arange(int(_FIRST[name] * self.size), int(_END[name] * self.size)).double()
        # Multiples of irrational numbers fill the ring evenly, and are the same on every machine.
        angle = 2 * math.pi * (number * math.sqrt(5)).frac()
        radius = 1 + self.width * ((number * math.sqrt(2)).frac() - 0.5)
        points = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
        return TensorSplit(Batch(points.float()))
