"""Features: vectors by which generated and real examples are compared."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from genmod.data.dataset import DataInfo
from genmod.system.explained import explained

__all__ = ["Features"]


@explained
class Features(nn.Module, ABC):
    """Maps examples to the feature vectors in which distances between them are computed.

    ``x (N, *data.shape)``, in the units of the data → ``(N, D)`` float

    The laws: the features of an example are deterministic and do not depend on the others in its batch; everything that
    was fitted or loaded is in parameters and buffers, whose checksum is part of every score; the same data and seed give
    the same fit, bit for bit, whatever was fitted before; fitting changes neither the data nor the global random states.

    Scores are named after the features and their version, ``fid[pca-32]``: scores by different features cannot be
    compared.

    Args:
        data: shape and range of the examples.

    Raises:
        UsageError: these features do not exist for such data; the hint names some that do.
    """

    wants_fit: ClassVar[bool] = False
    """Whether :meth:`fit` must be called with training examples."""

    wants_labels: ClassVar[bool] = False
    """Whether :meth:`fit` also needs their classes."""

    version: str = ""
    """Version in the names of scores: a number that changes with the weights, a size, or a part of a checksum."""

    def __init__(self, data: DataInfo) -> None:
        super().__init__()
        self.data = data

    def fit(self, x: Tensor, labels: Tensor | None, *, seed: int = 0) -> None:
        """Fit to training examples; an earlier fit is replaced.

        Args:
            x: values of examples, ``(N, *data.shape)`` float32.
            labels: their classes, ``(N,)`` int64; None if they have none.
            seed: of all random numbers.

        Raises:
            UsageError: there are too few examples, or they have no classes.
        """
        return

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The features of examples, ``(N, *data.shape) → (N, D)``."""

    def layers(self, x: Tensor) -> Mapping[str, Tensor]:
        """What critic ``perceptual`` compares of examples: outputs of layers by name, ``(N, channels, *places)`` each.

        By default the features alone. Where a network looks at pictures, override it with the maps of some layers.
        """
        return {"features": self(x)}
