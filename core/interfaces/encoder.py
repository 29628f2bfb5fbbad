"""Encoders: networks from data to features."""

from abc import ABC, abstractmethod

from torch import Tensor

from genmod.interfaces.part import Part
from genmod.spec import ComponentSpec
from genmod.system.explained import explained

__all__ = ["Encoder"]


@explained
class Encoder(Part, ABC):
    """Maps examples to features, which a posterior maps to its distribution.

    ``x (B, *data_shape) → features (B, *feature_shape)``

    The laws: a data shape that the constructor accepts works; in evaluation mode the features of an example do not
    depend on the others in its batch; every parameter receives a gradient.

    Args:
        data_shape: shape of one example, ``(channels, height, width)`` or ``(columns,)``.
    """

    feature_shape: tuple[int, ...]
    """Shape of one example's features; set by the constructor."""

    def __init__(self, data_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.data_shape = data_shape

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """``x (B, *data_shape)`` float → features ``(B, *feature_shape)``."""

    def mirror(self) -> ComponentSpec | None:
        """The network with the layers of this encoder in reverse, used if the user names no network.

        None if there is none; users then have to name one with ``--network``.
        """
        return None
