"""Convolutional network from a map."""

import math
from typing import Annotated, final

from annotated_types import Ge, Gt
from torch import Tensor, nn

from genmod import Activation, Doc, Network
from genmod.nn import Norm, halvings, image_shape, norm_layer
from genmod.nn import activation as activation_layer
from genmod.plugins.networks._residual import ResidualBlock

__all__ = ["ConvMapNetwork"]


@final
class ConvMapNetwork(Network):
    """Residual blocks that double a map of latents a few times: the mirror of encoder ``conv-map``.

    ``z (B, *in_shape) → parameters (B, *out_shape)``; sizes that are no multiples of a power of two are met exactly. Latents
    that are no map ``(D, height', width')`` of that size become one by a linear layer.

    Reference:
        Neural Discrete Representation Learning (van den Oord et al., 2017), arXiv:1711.00937, for the layout

    Raises:
        UsageError: the parameters are no image of at least 2×2, or too small for so many doublings.

    Example:
        >>> import torch
        >>> ConvMapNetwork((5, 8, 6), (3, 32, 25))(torch.zeros(2, 5, 8, 6)).shape
        torch.Size([2, 3, 32, 25])
    """

    def __init__(
        self,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        *,
        width: Annotated[int, Gt(0), Doc("channels of each block")] = 64,
        halve: Annotated[int, Ge(0), Doc("how often the map is doubled")] = 2,
        blocks: Annotated[int, Ge(0), Doc("residual blocks before that")] = 2,
        norm: Annotated[Norm, Doc("normalisation before each convolution")] = "group",
        activation: Annotated[Activation, Doc("function before each convolution")] = "silu",
    ) -> None:
        super().__init__(in_shape, out_shape)
        outputs, height, across = image_shape(out_shape, "network conv-map", least=2)
        sizes = halvings(height, across, halve)
        on_map = len(in_shape) == 3 and tuple(in_shape[1:]) == sizes[-1]
        self.start: nn.Module = nn.Identity()
        if not on_map:
            self.start = nn.Sequential(
                nn.Flatten(),
                nn.Linear(math.prod(in_shape), width * math.prod(sizes[-1])),
                nn.Unflatten(1, (width, *sizes[-1])),
            )
        layers: list[nn.Module] = [nn.Conv2d(in_shape[0] if on_map else width, width, 3, padding=1)]
        layers += [ResidualBlock(width, width, norm, activation) for _ in range(blocks)]
        layers += [ResidualBlock(width, width, norm, activation, size=size) for size in reversed(sizes[:-1])]
        last = nn.Conv2d(width, outputs, 3, padding=1)
        self.layers = nn.Sequential(*layers, norm_layer(norm, width), activation_layer(activation), last)

    def forward(self, z: Tensor) -> Tensor:
        parameters: Tensor = self.layers(self.start(z))
        return parameters.reshape(-1, *self.out_shape)
