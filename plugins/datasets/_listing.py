"""Pictures in one place: their names in a fixed order, and where the bytes of each are."""

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genmod.plugins.datasets._sources import Source

__all__ = ["Listing"]


class Listing(ABC):
    """Pictures in one place, a folder or an archive.

    Args:
        place: the folder or archive.
        names: of the pictures in it, in their order.
        labels: class of each; empty texts where one has none.
        hashes: of what decides about the split of each, ``(n,)`` ``uint64``.
    """

    def __init__(self, place: Path, names: list[str], labels: list[str], hashes: NDArray[np.uint64]) -> None:
        self.place, self.names, self.labels, self.hashes = place, names, labels, hashes

    def __len__(self) -> int:
        return len(self.names)

    @abstractmethod
    def source(self, row: int) -> Source:
        """Where the bytes of a picture are."""

    @abstractmethod
    def stamps(self) -> NDArray[np.int64]:
        """What changes where a picture does: its size in bytes and the time of its last change, ``(n, 2)``."""
