"""A network of one hidden layer."""

import math
from typing import Annotated, final

from annotated_types import Gt
from torch import Tensor, nn

from genmod import Doc, Network

__all__ = ["TemplateNetwork"]


@final
class TemplateNetwork(Network):
    """Two linear layers with a ReLU between them.

    ``parameters = V max(0, W z + b) + c``, ``z (B, *in_shape) → parameters (B, *out_shape)``
    """

    def __init__(
        self,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        *,
        width: Annotated[int, Gt(0), Doc("size of the hidden layer")] = 128,
    ) -> None:
        super().__init__(in_shape, out_shape)
        self.layers = nn.Sequential(
            nn.Linear(math.prod(in_shape), width), nn.ReLU(), nn.Linear(width, math.prod(out_shape))
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z.flatten(1)).unflatten(1, self.out_shape)
