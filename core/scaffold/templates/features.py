"""Values in units of their spread."""

from typing import final

import torch
from torch import Tensor

from genmod import DataInfo, Features

__all__ = ["TemplateFeatures"]


@final
class TemplateFeatures(Features):
    """Every value of an example, by the mean and the spread that it has in the training data.

    ``x (N, *data.shape) → (x - mean) / spread (N, D)``
    """

    wants_fit = True
    mean: Tensor
    spread: Tensor

    def __init__(self, data: DataInfo) -> None:
        super().__init__(data)
        # What is fitted belongs in buffers: their checksum goes with every score.
        self.register_buffer("mean", torch.zeros(data.size))
        self.register_buffer("spread", torch.ones(data.size))

    def fit(self, x: Tensor, labels: Tensor | None, *, seed: int = 0) -> None:
        spread, mean = torch.std_mean(x.flatten(1), 0, correction=0)
        self.mean.copy_(mean)
        self.spread.copy_(torch.where(spread > 0, spread, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        return (x.flatten(1) - self.mean) / self.spread
