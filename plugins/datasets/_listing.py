"""Pictures in one place: their names in a fixed order, and where the bytes of each are."""

import os
import time
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genmod.plugins.datasets._sources import Source

__all__ = ["Listing", "stamp_of"]


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
        """What changes where a picture does, of each, ``(n, 3)``: see :func:`stamp_of`."""

    @cached_property
    def stamped(self) -> tuple[NDArray[np.int64], int]:
        """The stamps, asked for once, and the time before they were, in nanoseconds."""
        begun = time.time_ns()
        return self.stamps(), begun


def stamp_of(status: os.stat_result) -> tuple[int, int, int]:
    """Size in bytes, and the times of the last change of content and of anything.

    The last one no program can set: it differs where another file of the same size and the same time takes a file's place,
    as those that an archive has without times.
    """
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
