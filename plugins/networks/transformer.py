"""Transformer network below a decoder, which makes images patch by patch."""

import math
from typing import Annotated, final

from annotated_types import Gt
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle

from genmod.interfaces.network import Network
from genmod.nn.convolution import image_shape
from genmod.options.schema import Activation, Doc
from genmod.plugins.networks._patches import blocks, grid_of, positions

__all__ = ["TransformerNetwork"]


@final
class TransformerNetwork(Network):
    """Attention between places that are all given the latents, and a patch from each: the mirror of encoder ``transformer``.

    ``z (B, *in_shape) → parameters (B, *out_shape)``; of patches that stand over the right or lower edge, what is
    beyond it is cut off.

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
        patch: Annotated[
            Annotated[int, Gt(0)] | None,
            Doc("side of a patch in pixels; by default an eighth of the shorter side, and at least 2"),
        ] = None,
        width: Annotated[int, Gt(0), Doc("numbers for each patch")] = 128,
        depth: Annotated[int, Gt(0), Doc("blocks of attention")] = 4,
        heads: Annotated[int, Gt(0), Doc("heads of each attention, among which the width is divided")] = 4,
        activation: Annotated[Activation, Doc("function within each block")] = "gelu",
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
