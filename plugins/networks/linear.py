"""Linear network below a decoder."""

import math
from typing import final

from torch import Tensor, nn

from genmod import Network

__all__ = ["LinearNetwork"]


@final
class LinearNetwork(Network):
    """One linear map, with an offset, to parameters of any shape.

    ``z (B, *in_shape) → W z + b  (B, *out_shape)``

    Reference:
        Probabilistic Principal Component Analysis (Tipping and Bishop, 1999), doi:10.1111/1467-9868.00196, which
        is this network with a Gaussian likelihood

    Example:
        >>> import torch
        >>> LinearNetwork((2,), (1, 8, 8))(torch.zeros(3, 2)).shape
        torch.Size([3, 1, 8, 8])
    """

    def __init__(self, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> None:
        super().__init__(in_shape, out_shape)
        self.layer = nn.Linear(math.prod(in_shape), math.prod(out_shape))

    def forward(self, z: Tensor) -> Tensor:
        parameters: Tensor = self.layer(z.flatten(1))
        return parameters.unflatten(1, self.out_shape)
