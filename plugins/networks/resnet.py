"""Residual convolutional network below a decoder."""

import math
from typing import Annotated, final

from annotated_types import Gt
from torch import Tensor, nn

from genmod import Activation, Doc, Network
from genmod.nn import Norm, default_channels, halvings, image_shape, mlp, norm_layer
from genmod.nn import activation as activation_layer
from genmod.plugins.networks._residual import ResidualBlock
from genmod.plugins.networks._stages import UpChannels, Width

__all__ = ["ResnetNetwork"]


@final
class ResnetNetwork(Network):
    """Linear layers, then residual blocks, the first of each stage doubling the image: the mirror of encoder ``resnet``.

    ``z (B, *in_shape) → parameters (B, *out_shape)``; images are enlarged by repeating pixels, to sizes that are no
    multiples of a power of two exactly.

    Reference:
        Identity Mappings in Deep Residual Networks (He et al., 2016), arXiv:1603.05027

    Raises:
        UsageError: the parameters are no image of at least 8×8, or too small for so many stages.

    Example:
        >>> import torch
        >>> ResnetNetwork((16,), (3, 33, 20))(torch.zeros(2, 16)).shape
        torch.Size([2, 3, 33, 20])
    """

    def __init__(
        self,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        *,
        channels: UpChannels = None,
        blocks: Annotated[int, Gt(0), Doc("residual blocks in each stage")] = 1,
        hidden: Width = 256,
        norm: Annotated[Norm, Doc("normalisation before each convolution")] = "group",
        squeeze_excite: Annotated[bool, Doc("scale the channels of each block by their means")] = False,
        activation: Annotated[Activation, Doc("function before each convolution")] = "silu",
    ) -> None:
        super().__init__(in_shape, out_shape)
        outputs, height, width = image_shape(out_shape, "network resnet")
        stages = tuple(channels) if channels is not None else default_channels(height, width)[::-1]
        sizes = halvings(height, width, len(stages))[::-1]
        self.start = (stages[0], *sizes[0])
        widths = [math.prod(in_shape), *[hidden] * (hidden > 0)]
        self.head = nn.Sequential(
            mlp(widths, activation, end_with_activation=True), nn.Linear(widths[-1], math.prod(self.start))
        )
        layers: list[nn.Module] = []
        for a, b, size in zip(stages, (*stages[1:], stages[-1]), sizes[1:], strict=True):
            layers += [
                ResidualBlock(
                    b if i else a,
                    b,
                    norm,
                    activation,
                    squeeze_excite=squeeze_excite,
                    size=None if i else size,
                )
                for i in range(blocks)
            ]
        end = stages[-1]
        self.stages = nn.Sequential(
            *layers,
            norm_layer(norm, end),
            activation_layer(activation),
            nn.Conv2d(end, outputs, 3, padding=1),
        )

    def forward(self, z: Tensor) -> Tensor:
        maps = self.head(z.flatten(1)).unflatten(1, self.start)
        parameters: Tensor = self.stages(maps)
        return parameters.reshape(-1, *self.out_shape)
