"""The values themselves as features."""

from typing import final

from torch import Tensor

from genmod import Features

__all__ = ["PixelFeatures"]


@final
class PixelFeatures(Features):
    """The values of an example, one after the other.

    ``x (N, *data.shape) → (N, D)``, ``D`` the number of values in an example

    They notice noise best, and a missing kind of examples worst.

    Example:
        >>> import torch
        >>> from genmod import DataInfo
        >>> PixelFeatures(DataInfo((1, 8, 8)))(torch.zeros(3, 1, 8, 8)).shape
        torch.Size([3, 64])
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)
