"""Encoder of gated linear layers."""

import math
from collections.abc import Sequence
from typing import Annotated, final

from annotated_types import Gt, MinLen
from torch import Tensor

from genmod.interfaces.encoder import Encoder
from genmod.options.schema import Doc
from genmod.plugins.networks._gated import gated_mlp
from genmod.spec import ComponentSpec

__all__ = ["GatedMlpEncoder"]


@final
class GatedMlpEncoder(Encoder):
    """Gated linear layers, for data of any shape: each output is scaled by a sigmoid of its own.

    ``x (B, *data_shape) → features (B, hidden[-1])``, each layer ``h → (A h + a) σ(B h + b)``

    Reference:
        VAE with a VampPrior (Tomczak and Welling, 2018), arXiv:1705.07120

    Example:
        >>> import torch
        >>> GatedMlpEncoder((1, 28, 28))(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 300])
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        *,
        hidden: Annotated[
            Annotated[Sequence[Annotated[int, Gt(0)]], MinLen(1)], Doc("width of each layer")
        ] = (300, 300),
    ) -> None:
        super().__init__(data_shape)
        self.hidden = tuple(hidden)
        self.feature_shape = (self.hidden[-1],)
        self.layers = gated_mlp((math.prod(data_shape), *self.hidden))

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.layers(x.flatten(1))
        return features

    def mirror(self) -> ComponentSpec:
        return ComponentSpec("gated-mlp", {"hidden": list(self.hidden[::-1])})
