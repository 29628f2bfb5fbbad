"""Images as rows of patches and blocks of attention between them, for encoder and network ``transformer``."""

import math
from typing import Annotated, final

import torch
from annotated_types import Gt
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from genmod import Activation, Doc, UsageError
from genmod.nn import activation as activation_layer

__all__ = ["Block", "Depth", "Heads", "PatchSide", "Width", "WithinBlocks", "blocks", "grid_of", "positions"]

PatchSide = Annotated[
    Annotated[int, Gt(0)] | None,
    Doc("side of a patch in pixels; by default an eighth of the shorter side, and at least 2"),
]
Width = Annotated[int, Gt(0), Doc("numbers for each patch")]
Depth = Annotated[int, Gt(0), Doc("blocks of attention")]
Heads = Annotated[int, Gt(0), Doc("heads of each attention, among which the width is divided")]
WithinBlocks = Annotated[Activation, Doc("function within each block")]

_EXPANSION = 4


def grid_of(height: int, width: int, patch: int | None, who: str) -> tuple[int, int, int]:
    """Side of a patch, and how many of them cover an image downwards and across; the last ones may extend beyond it.

    Args:
        height: of the image.
        width: of the image.
        patch: side of a patch; by default an eighth of the shorter side, and at least 2.
        who: what is built, for the message.

    Raises:
        UsageError: the patch is larger than the image.

    Example:
        >>> grid_of(28, 28, None, "encoder transformer"), grid_of(33, 20, 8, "encoder transformer")
        ((4, 7, 7), (8, 5, 3))
    """
    patch = patch or max(2, math.ceil(min(height, width) / 8))
    if patch > max(height, width):
        raise UsageError(
            f"{who} cannot cut images of {height}×{width} into patches of {patch}×{patch}",
            hint=f"give a patch of at most {min(height, width)}, or leave it out",
        )
    return patch, math.ceil(height / patch), math.ceil(width / patch)


def positions(tokens: int, width: int) -> nn.Parameter:
    """A trained embedding of each position, ``(tokens, width)``, small at the start."""
    return nn.Parameter(0.02 * torch.randn(tokens, width))


@final
class Block(nn.Module):
    """Attention between the tokens and a layer for each of them, both added to their input.

    ``tokens (B, N, width) → the same``

    Reference:
        An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale (Dosovitskiy et al., 2020),
        arXiv:2010.11929

    Example:
        >>> Block(8, 2, "gelu")(torch.zeros(3, 5, 8)).shape
        torch.Size([3, 5, 8])
    """

    def __init__(self, width: int, heads: int, activation: Activation) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(width)
        # Without an offset: of keys it would shift all scores of a query alike, which changes no attention.
        self.attend = nn.Linear(width, 3 * width, bias=False)
        self.attended = nn.Linear(width, width)
        self.layer = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, _EXPANSION * width),
            activation_layer(activation),
            nn.Linear(_EXPANSION * width, width),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        each = self.attend(self.before_attention(tokens)).unflatten(-1, (3, self.heads, -1))
        query, key, value = each.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.attended(mixed.transpose(1, 2).flatten(2))
        added: Tensor = self.layer(tokens)
        return tokens + added


def blocks(width: int, depth: int, heads: int, activation: Activation) -> nn.Sequential:
    """Blocks one after the other, and a last normalisation.

    Raises:
        UsageError: the width cannot be divided among the heads.

    Example:
        >>> len(blocks(8, 2, 4, "gelu"))
        3
    """
    if width % heads:
        raise UsageError(
            f"a width of {width} cannot be divided among {heads} heads of attention",
            hint=f"give a width that is a multiple of {heads}, such as {heads * max(1, round(width / heads))}",
        )
    return nn.Sequential(*(Block(width, heads, activation) for _ in range(depth)), nn.LayerNorm(width))
