"""Transformer network below a decoder, which generates images patch by patch."""

import math
from typing import final

from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle

from genmod import Network
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

__all__ = ["TransformerNetwork"]


@final
class TransformerNetwork(Network):
    """Attention between positions that all take the latents, and a patch from each: the mirror of encoder ``transformer``.

    ``z (B, *in_shape) → parameters (B, *out_shape)``; where patches extend beyond the right or lower edge, they are cut
    off.

    Reference:
        Masked Autoencoders Are Scalable Vision Learners (He et al., 2021), arXiv:2111.06377, for a transformer that
        decodes patches

    Raises:
        UsageError: the parameters are no image of at least 8×8, or smaller than a patch; the width is no multiple
            of the heads.

    Example:
        >>> import torch
        >>> TransformerNetwork((16,), (3, 33, 20))(torch.zeros(2, 16)).shape
        torch.Size([2, 3, 33, 20])
    """

    def __init__(
        self,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        *,
        patch: PatchSide = None,
        width: Width = 128,
        depth: Depth = 4,
        heads: Heads = 4,
        activation: WithinBlocks = "gelu",
    ) -> None:
        super().__init__(in_shape, out_shape)
        outputs, self.height, self.width = image_shape(out_shape, "network transformer")
        self.side, self.down, self.across = grid_of(self.height, self.width, patch, "network transformer")
        self.head = nn.Linear(math.prod(in_shape), width)
        self.positions = positions(self.down * self.across, width)
        self.blocks = blocks(width, depth, heads, activation)
        self.patches = nn.Linear(width, outputs * self.side**2)

    def forward(self, z: Tensor) -> Tensor:
        tokens = self.blocks(self.head(z.flatten(1)).unsqueeze(1) + self.positions)
        maps = self.patches(tokens).transpose(1, 2).unflatten(2, (self.down, self.across))
        parameters = pixel_shuffle(maps, self.side)[..., : self.height, : self.width]
        return parameters.reshape(-1, *self.out_shape)
