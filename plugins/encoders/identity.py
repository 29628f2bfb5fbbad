"""Encoder that leaves the data as they are."""

import math
from typing import final

from torch import Tensor

from genmod.interfaces.encoder import Encoder
from genmod.spec import ComponentSpec

__all__ = ["IdentityEncoder"]


@final
class IdentityEncoder(Encoder):
    """The data, flattened: with a posterior whose parameters are linear in the features, a linear encoder.

    ``x (B, *data_shape) → features (B, size)``, ``size`` the number of values in an example

    Reference:
        Probabilistic Principal Component Analysis (Tipping and Bishop, 1999), doi:10.1111/1467-9868.00196, which
        a linear VAE fits

    Example:
        >>> import torch
        >>> IdentityEncoder((1, 8, 8))(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 64])
    """

    def __init__(self, data_shape: tuple[int, ...]) -> None:
        super().__init__(data_shape)
        self.feature_shape = (math.prod(data_shape),)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def mirror(self) -> ComponentSpec:
        return ComponentSpec("linear")
