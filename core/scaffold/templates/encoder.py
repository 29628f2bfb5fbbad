"""An encoder of one hidden layer."""

import math
from typing import Annotated, final

from annotated_types import Gt
from torch import Tensor, nn

from genmod import ComponentSpec, Doc, Encoder

__all__ = ["TemplateEncoder"]


@final
class TemplateEncoder(Encoder):
    """One linear layer and a ReLU, for data of any shape.

    ``features = max(0, W x + b)``, ``x (B, *data_shape) → features (B, width)``
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        *,
        width: Annotated[int, Gt(0), Doc("number of features")] = 128,
    ) -> None:
        super().__init__(data_shape)
        self.feature_shape = (width,)
        self.layer = nn.Linear(math.prod(data_shape), width)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(1)).relu()

    def mirror(self) -> ComponentSpec:
        return ComponentSpec("mlp", {"hidden": list(self.feature_shape)})
