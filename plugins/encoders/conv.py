"""Convolutional encoder."""

from typing import Annotated, final

from torch import Tensor, nn

from genmod import Activation, ComponentSpec, Doc, Encoder
from genmod.nn import Norm, default_channels, halvings, image_shape, mlp, norm_layer
from genmod.nn import activation as activation_layer
from genmod.plugins.networks._stages import DownChannels, Width

__all__ = ["ConvEncoder"]


@final
class ConvEncoder(Encoder):
    """Strided convolutions, each halving the image, then a linear layer.

    ``x (B, channels, height, width) → features (B, hidden)``, or the flattened last feature map where
    ``hidden`` is 0. Images of any size from 8×8 work, odd and oblong ones too.

    Reference:
        Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks
        (Radford et al., 2015), arXiv:1511.06434

    Raises:
        UsageError: the data are no images of at least 8×8, or too small for so many stages.

    Example:
        >>> import torch
        >>> ConvEncoder((3, 33, 20))(torch.zeros(2, 3, 33, 20)).shape
        torch.Size([2, 256])
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        *,
        channels: DownChannels = None,
        hidden: Width = 256,
        norm: Annotated[Norm, Doc("normalisation after each convolution")] = "none",
        activation: Annotated[Activation, Doc("function after each layer")] = "silu",
    ) -> None:
        super().__init__(data_shape)
        inputs, height, width = image_shape(data_shape, "encoder conv")
        self.channels = tuple(channels) if channels is not None else default_channels(height, width)
        self.hidden, self.norm, self.activation = hidden, norm, activation
        sizes = halvings(height, width, len(self.channels))
        stages: list[nn.Module] = []
        for a, b in zip((inputs, *self.channels), self.channels, strict=False):
            # A kernel of 4 with stride 2 covers every pixel equally often, so its mirror draws no checkerboard.
            stages += [
                nn.Conv2d(a, b, 4, stride=2, padding=1, bias=norm == "none"),
                norm_layer(norm, b),
                activation_layer(activation),
            ]
        self.stages = nn.Sequential(*stages)
        flat = self.channels[-1] * sizes[-1][0] * sizes[-1][1]
        self.head = mlp([flat, *[hidden] * (hidden > 0)], activation, end_with_activation=True)
        self.feature_shape = (hidden or flat,)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.stages(x.flatten(1, -3))
        features: Tensor = self.head(maps.flatten(1))
        return features

    def mirror(self) -> ComponentSpec:
        return ComponentSpec(
            "conv",
            {
                "channels": list(self.channels[::-1]),
                "hidden": self.hidden,
                "norm": self.norm,
                "activation": self.activation,
            },
        )
