"""Networks: from latents to the parameters of a likelihood."""

import math
from abc import ABC, abstractmethod

from torch import Tensor

from genmod.interfaces.part import Part
from genmod.system.explained import explained

__all__ = ["Network"]


@explained
class Network(Part, ABC):
    """Maps latents to the parameters of a likelihood.

    ``z (B, *in_shape) → parameters (B, *out_shape)``, unbounded real numbers: what bounds a mean or a scale is the
    decoder, so a network ends without sigmoid or tanh.

    The laws are those of :class:`genmod.Encoder`; besides, every latent counts, and for some weights a parameter is any
    real number, unless :attr:`output_range` says otherwise.

    Args:
        in_shape: shape of one latent.
        out_shape: shape of one example's parameters; its last two dimensions are height and width when the
            data are images.
    """

    output_range: tuple[float, float] = (-math.inf, math.inf)
    """The interval of its parameters for all weights; all real numbers unless a class says otherwise."""

    def __init__(self, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.in_shape = in_shape
        self.out_shape = out_shape

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """``z (B, *in_shape)`` → parameters ``(B, *out_shape)``."""
