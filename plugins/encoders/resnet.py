"""Residual convolutional encoder."""

from typing import Annotated, final

from annotated_types import Gt
from torch import Tensor, nn

from genmod import Activation, ComponentSpec, Doc, Encoder
from genmod.nn import Norm, default_channels, halvings, image_shape, mlp, norm_layer
from genmod.nn import activation as activation_layer
from genmod.plugins.networks._residual import ResidualBlock
from genmod.plugins.networks._stages import DownChannels, Width

__all__ = ["ResnetEncoder"]


@final
class ResnetEncoder(Encoder):
    """Pre-activation residual blocks, the first of each stage halving the image, then a linear layer.

    ``x (B, channels, height, width) → features (B, hidden)``, or the flattened last feature map where
    ``hidden`` is 0. Images of any size from 8×8 work, odd and oblong ones too.

    Reference:
        Identity Mappings in Deep Residual Networks (He et al., 2016), arXiv:1603.05027

    Raises:
        UsageError: the data are no images of at least 8×8, or too small for so many stages.

    Example:
        >>> import torch
        >>> ResnetEncoder((3, 33, 20))(torch.zeros(2, 3, 33, 20)).shape
        torch.Size([2, 256])
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        *,
        channels: DownChannels = None,
        blocks: Annotated[int, Gt(0), Doc("residual blocks in each stage")] = 1,
        hidden: Width = 256,
        norm: Annotated[Norm, Doc("normalisation before each convolution")] = "group",
        squeeze_excite: Annotated[bool, Doc("scale the channels of each block by their means")] = False,
        activation: Annotated[Activation, Doc("function before each convolution")] = "silu",
    ) -> None:
        super().__init__(data_shape)
        inputs, height, width = image_shape(data_shape, "encoder resnet")
        self.channels = tuple(channels) if channels is not None else default_channels(height, width)
        self.blocks, self.hidden, self.norm = blocks, hidden, norm
        self.squeeze_excite, self.activation = squeeze_excite, activation
        last = halvings(height, width, len(self.channels))[-1]
        layers: list[nn.Module] = [nn.Conv2d(inputs, self.channels[0], 3, padding=1)]
        for a, b in zip((self.channels[0], *self.channels), self.channels, strict=False):
            layers += [
                ResidualBlock(b if i else a, b, norm, activation, squeeze_excite=squeeze_excite, halve=i == 0)
                for i in range(blocks)
            ]
        end = self.channels[-1]
        self.stages = nn.Sequential(*layers, norm_layer(norm, end), activation_layer(activation))
        flat = end * last[0] * last[1]
        self.head = mlp([flat, *[hidden] * (hidden > 0)], activation, end_with_activation=True)
        self.feature_shape = (hidden or flat,)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.stages(x.flatten(1, -3))
        features: Tensor = self.head(maps.flatten(1))
        return features

    def mirror(self) -> ComponentSpec:
        return ComponentSpec(
            "resnet",
            {
                "channels": list(self.channels[::-1]),
                "blocks": self.blocks,
                "hidden": self.hidden,
                "norm": self.norm,
                "squeeze_excite": self.squeeze_excite,
                "activation": self.activation,
            },
        )
