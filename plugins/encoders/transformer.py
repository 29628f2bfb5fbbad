"""Transformer encoder over patches of images."""

from typing import final

from torch import Tensor, nn
from torch.nn.functional import pad

from genmod import ComponentSpec, Encoder
from genmod.nn import image_shape
from genmod.plugins.networks._patches import (
    Depth,
    Heads,
    PatchSide,
    Width,
    WithinBlocks,
    blocks,
    grid_of,
    positions,
)

__all__ = ["TransformerEncoder"]


@final
class TransformerEncoder(Encoder):
    """Attention between the patches of an image, with learned positions, and the mean of them at the end.

    ``x (B, channels, height, width) → features (B, width)``. Images of any size from 8×8 work; where patches extend
    beyond the right or lower edge, the image is padded with zeros.

    Reference:
        An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale (Dosovitskiy et al., 2020),
        arXiv:2010.11929

    Raises:
        UsageError: the data are no images of at least 8×8, or smaller than a patch; the width is no multiple of
            the heads.

    Example:
        >>> import torch
        >>> TransformerEncoder((3, 33, 20))(torch.zeros(2, 3, 33, 20)).shape
        torch.Size([2, 128])
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        *,
        patch: PatchSide = None,
        width: Width = 128,
        depth: Depth = 4,
        heads: Heads = 4,
        activation: WithinBlocks = "gelu",
    ) -> None:
        super().__init__(data_shape)
        inputs, self.height, self.width = image_shape(data_shape, "encoder transformer")
        side, down, across = grid_of(self.height, self.width, patch, "encoder transformer")
        self.options = {
            "patch": side,
            "width": width,
            "depth": depth,
            "heads": heads,
            "activation": activation,
        }
        self.beyond = (0, across * side - self.width, 0, down * side - self.height)
        self.embed = nn.Conv2d(inputs, width, side, stride=side)
        self.positions = positions(down * across, width)
        self.blocks = blocks(width, depth, heads, activation)
        self.feature_shape = (width,)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.embed(pad(x.flatten(1, -3), self.beyond))
        features: Tensor = self.blocks(patches.flatten(2).transpose(1, 2) + self.positions).mean(1)
        return features

    def mirror(self) -> ComponentSpec:
        return ComponentSpec("transformer", dict(self.options))
