"""Convolutional encoder that keeps a map."""

from typing import Annotated, final

from annotated_types import Ge, Gt
from torch import Tensor, nn

from genmod import Activation, ComponentSpec, Doc, Encoder
from genmod.nn import Norm, halvings, image_shape, norm_layer
from genmod.nn import activation as activation_layer
from genmod.plugins.networks._residual import ResidualBlock

__all__ = ["ConvMapEncoder"]


@final
class ConvMapEncoder(Encoder):
    """Residual blocks that halve the image a few times and keep what is left of it, for latents with places.

    ``x (B, channels, height, width) → features (B, width, height', width')``

    Posteriors that keep maps (``normal-map``, ``vq``, ``fsq``, …) have one vector of latents for each pixel of it. Images of
    any size from 2×2 work, odd and oblong ones too.

    Reference:
        Neural Discrete Representation Learning (van den Oord et al., 2017), arXiv:1711.00937, for the layout

    Raises:
        UsageError: the data are no images of at least 2×2, or too small for so many halvings.

    Example:
        >>> import torch
        >>> ConvMapEncoder((3, 32, 24))(torch.zeros(2, 3, 32, 24)).shape
        torch.Size([2, 64, 8, 6])
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        *,
        width: Annotated[int, Gt(0), Doc("channels of each block")] = 64,
        halve: Annotated[int, Ge(0), Doc("how often the image is halved")] = 2,
        blocks: Annotated[int, Ge(0), Doc("residual blocks after that")] = 2,
        norm: Annotated[Norm, Doc("normalisation before each convolution")] = "group",
        activation: Annotated[Activation, Doc("function before each convolution")] = "silu",
    ) -> None:
        super().__init__(data_shape)
        inputs, height, across = image_shape(data_shape, "encoder conv-map", least=2)
        self.options = {
            "width": width,
            "halve": halve,
            "blocks": blocks,
            "norm": norm,
            "activation": activation,
        }
        left = halvings(height, across, halve)[-1]
        layers: list[nn.Module] = [nn.Conv2d(inputs, width, 3, padding=1)]
        layers += [ResidualBlock(width, width, norm, activation, halve=True) for _ in range(halve)]
        layers += [ResidualBlock(width, width, norm, activation) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers, norm_layer(norm, width), activation_layer(activation))
        self.feature_shape = (width, *left)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.layers(x.flatten(1, -3))
        return features

    def mirror(self) -> ComponentSpec:
        return ComponentSpec("conv-map", self.options)
