"""Features: numbers that examples are compared by, where values of pixels say too little."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from genmod.data.dataset import DataInfo

__all__ = ["Features"]


class Features(nn.Module, ABC):
    """What distances between examples are taken in.

    ``x (N, *data.shape)``, values as the data have them → ``(N, D)`` float

    The laws: the features of an example do not depend on the others of its batch, and are the same each time; all that
    was fitted or loaded is in parameters and buffers, whose checksum goes with every score; the same data and seed give
    the same fit, bit for bit, whatever was fitted before, and leave the data and the global random states alone.

    Scores are named after the features and their version, ``fid[pca-32]``: scores by different features cannot be
    compared.

    Args:
        data: shape and range of the examples.

    Raises:
        UsageError: they have no features of this kind; the hint says which have.
    """

    wants_fit: ClassVar[bool] = False
    """Whether :meth:`fit` has to be given training examples."""

    wants_labels: ClassVar[bool] = False
    """Whether it has to be given their classes too."""

    version: str = ""
    """What scores depend on beside the name: a number that changes with the weights, a size, a part of a checksum."""

    def __init__(self, data: DataInfo) -> None:
        super().__init__()
        self.data = data

    def fit(self, x: Tensor, labels: Tensor | None, *, seed: int = 0) -> None:
        """Fit to training examples, in place of what was fitted before.

        Args:
            x: values of examples, ``(N, *data.shape)`` float32.
            labels: their classes, ``(N,)`` int64, where they have some.
            seed: of everything that is drawn.

        Raises:
            UsageError: these are too few, or have no classes.
        """
        return

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The features of examples, ``(N, *data.shape) → (N, D)``."""
