"""Network of gated linear layers below a decoder."""

import math
from collections.abc import Sequence
from typing import Annotated, final

from annotated_types import Gt, MinLen
from torch import Tensor, nn

from genmod.interfaces.network import Network
from genmod.options.schema import Doc
from genmod.plugins.networks._gated import gated_mlp

__all__ = ["GatedMlpNetwork"]


@final
class GatedMlpNetwork(Network):
    """Gated linear layers and a linear one, to parameters of any shape: the mirror of encoder ``gated-mlp``.

    ``z (B, *in_shape) → parameters (B, *out_shape)``

    Reference:
        VAE with a VampPrior (Tomczak and Welling, 2018), arXiv:1705.07120

    Example:
        >>> import torch
        >>> GatedMlpNetwork((40,), (1, 28, 28))(torch.zeros(2, 40)).shape
        torch.Size([2, 1, 28, 28])
    """

    def __init__(
        self,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        *,
        hidden: Annotated[
            Annotated[Sequence[Annotated[int, Gt(0)]], MinLen(1)], Doc("width of each gated layer")
        ] = (300, 300),
    ) -> None:
        super().__init__(in_shape, out_shape)
        widths = (math.prod(in_shape), *hidden)
        self.layers = nn.Sequential(gated_mlp(widths), nn.Linear(widths[-1], math.prod(out_shape)))

    def forward(self, z: Tensor) -> Tensor:
        parameters: Tensor = self.layers(z.flatten(1))
        return parameters.unflatten(1, self.out_shape)
