"""Gated linear layers, for encoder and network ``gated-mlp``."""

from collections.abc import Sequence
from itertools import pairwise
from typing import final

from torch import Tensor, nn

__all__ = ["GatedLinear", "gated_mlp"]


@final
class GatedLinear(nn.Module):
    """A linear layer, each output of it scaled by a number between 0 and 1 from another.

    ``x (B, inputs) → (A x + a) σ(B x + b)  (B, outputs)``

    Reference:
        Language Modeling with Gated Convolutional Networks (Dauphin et al., 2016), arXiv:1612.08083

    Example:
        >>> import torch
        >>> GatedLinear(4, 8)(torch.zeros(2, 4)).shape
        torch.Size([2, 8])
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.value = nn.Linear(inputs, outputs)
        self.gate = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        value: Tensor = self.value(x)
        gate: Tensor = self.gate(x).sigmoid()
        return value * gate


def gated_mlp(sizes: Sequence[int]) -> nn.Sequential:
    """Gated linear layers of the given sizes, ``(B, sizes[0]) → (B, sizes[-1])``.

    Example:
        >>> len(gated_mlp([4, 8, 2]))
        2
    """
    return nn.Sequential(*(GatedLinear(a, b) for a, b in pairwise(sizes)))
