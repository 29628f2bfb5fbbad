"""The pictures of a dataset as they are decoded, kept in one file, so that a second start reads them instead."""

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from PIL import features
from torch.utils.data import get_worker_info

from genmod import DataWarning
from genmod.data import mixed_text
from genmod.plugins.datasets._cache import settled
from genmod.plugins.datasets._listing import Listing
from genmod.system import RowFile, kept_folder, room_for

__all__ = ["Decoded"]

_LEAST = 64
"""Fewer pictures are decoded anew each time."""
_READING = 1
"""Counts the changes of genmod by which the same file would become other pixels."""


@final
class Decoded:
    """A row of pixels for each picture, which is there once any process has decoded it.

    A picture that has changed since, as its stamps say, is decoded anew. One that has changed in the last seconds is not kept,
    for it may change again without another time. Whatever goes wrong, pictures are decoded as if nothing were kept.

    Args:
        place: folder or archive of the dataset.
        listings: all of its pictures.
        made_by: what the pixels depend on besides the pictures, plain data.
        row_bytes: bytes of the pixels of a picture.
    """

    def __init__(
        self, place: Path, listings: Sequence[Listing], made_by: Mapping[str, Any], row_bytes: int
    ) -> None:
        self._place, self._listings, self._row_bytes = place, listings, row_bytes
        libraries = {name: features.version(name) for name in ("pil", "libjpeg_turbo", "jpg", "webp")}
        self._about = {
            "place": str(place.absolute())[-1000:],
            **made_by,
            "libraries": libraries,
            "reading": _READING,
        }
        self._given_up = sum(map(len, listings)) < _LEAST

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_file"}

    @property
    def usable(self) -> bool:
        """Whether pictures are kept."""
        return not self._given_up and self._file is not None

    def take(self, row: int, pixels: NDArray[np.uint8]) -> bool:
        """Read a picture, if it is there; of the dataset's pictures the one in place ``row``."""
        return not self._given_up and self._file is not None and self._file.take(row, pixels)

    def put(self, row: int, pixels: NDArray[np.uint8]) -> None:
        """Keep a picture, where that is possible."""
        if self._given_up or self._file is None or not self._settled[row]:
            return
        try:
            self._file.put(row, pixels)
        except OSError as error:
            self._give_up(error)

    @cached_property
    def _file(self) -> RowFile | None:
        folder = kept_folder()
        if folder is None:
            return None
        digest = hashlib.sha256(json.dumps(self._about, sort_keys=True).encode()).hexdigest()
        try:
            folder.mkdir(0o700, parents=True, exist_ok=True)
            path = folder / f"pictures-{digest[:32]}.rows"
            return RowFile.open(
                path, self._about, self._keys(), self._row_bytes, lambda size: room_for(size, path)
            )
        except OSError as error:
            self._give_up(error)
            return None

    @cached_property
    def _settled(self) -> NDArray[np.bool_]:
        parts = [settled(listing.stamped[0][:, 1], listing.stamped[1]) for listing in self._listings]
        return np.concatenate(parts)

    def _keys(self) -> NDArray[np.int64]:
        """Which picture it is, and the stamps of its file."""
        parts = []
        for listing in self._listings:
            inside = listing.place.relative_to(self._place).as_posix()
            names = (listing.hashes ^ np.uint64(mixed_text(inside))).view(np.int64)
            parts.append(np.concatenate([names[:, None], listing.stamped[0]], 1))
        return np.concatenate(parts)

    def _give_up(self, error: OSError) -> None:
        """Go on without; said once, by one of several processes that read for one run."""
        worker = get_worker_info()
        if not self._given_up and (worker is None or worker.id == 0):
            warnings.warn(
                f"decoded pictures of {self._place} are not kept for the next start: {error.strerror or error}; "
                "--no-cache is silent about it",
                DataWarning,
                stacklevel=2,
            )
        self._given_up = True
