"""What the headers of many pictures say, read once and kept."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from genmod import DataError
from genmod.plugins.datasets._cache import cache_file, is_settled, kept, read_kept
from genmod.plugins.datasets._listing import Listing
from genmod.plugins.datasets._pictures import brightest, header_of

__all__ = ["Facts", "in_threads", "raise_all"]

_CHUNK = 64
_LONG = 20_000
"""Pictures from which on their headers take long enough for a progress bar."""
_SHOWN = 10
_TYPES = {"keys": (np.int64, 1), "stamps": (np.int64, 2), "headers": (np.int64, 2), "whites": (np.float64, 1)}

_T = TypeVar("_T")
_R = TypeVar("_R")


class Facts:
    """Sizes and depths of the pictures in one place, and the largest values of the deep ones.

    Args:
        listing: the pictures.

    Raises:
        DataError: some cannot be read; the message names the first ones.
    """

    def __init__(self, listing: Listing) -> None:
        n = len(listing)
        self._listing, self._file = listing, cache_file("facts", listing.place, n)
        self._stamps, self._begun = listing.stamped
        self._keys = listing.hashes.view(np.int64)
        self._headers = np.full((n, 3), -1, np.int64)
        self._whites = np.full(n, np.nan)
        self._take_over(read_kept(self._file, _TYPES))
        missing = np.flatnonzero(self._headers[:, 0] < 0)
        errors = self._fill(missing, self._headers, header_of, "headers of pictures")
        raise_all(errors)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Height and width of each as shown, ``(n, 2)``."""
        return self._headers[:, :2]

    @property
    def depths(self) -> NDArray[np.int64]:
        """Bits of each value that are kept, 0 of floating-point ones, ``(n,)``."""
        return self._headers[:, 2]

    def whites(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """The largest value of each of some pictures, as :func:`~genmod.plugins.datasets._pictures.brightest` has it."""
        missing = rows[np.isnan(self._whites[rows])]
        raise_all(self._fill(missing, self._whites, brightest, "values of pictures"))
        return self._whites[rows]

    def _take_over(self, known: dict[str, Any] | None) -> None:
        """What was kept of pictures that have not changed since."""
        if known is None or not len(known["keys"]):
            return
        keys, stamps, headers, whites = (known[name] for name in _TYPES)
        shapes = (stamps.shape, headers.shape, whites.shape)
        if shapes != ((len(keys), 3), (len(keys), 3), (len(keys),)):
            return
        at = np.arange(len(keys))
        if not np.array_equal(keys, self._keys):
            order = np.argsort(keys)
            at = order[np.searchsorted(keys, self._keys, sorter=order).clip(max=len(keys) - 1)]
        sane = (headers[at, :2] > 0).all(1) & np.isin(headers[at, 2], (0, 8, 16, 32)) & ~(whites[at] < 0)
        same = (keys[at] == self._keys) & (stamps[at] == self._stamps).all(1) & sane
        self._headers[same], self._whites[same] = headers[at[same]], whites[at[same]]

    def _fill(
        self, rows: NDArray[np.int64], found: NDArray[Any], read: Callable[..., Any], what: str
    ) -> list[DataError]:
        """Read something of each picture that lacks it, and keep it."""

        def read_some(some: NDArray[np.int64]) -> list[DataError]:
            errors = []
            for row in some.tolist():
                try:
                    found[row] = read(self._listing.source(row))
                except DataError as error:
                    errors.append(error)
            return errors

        chunks = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
        name = f"{what} in {self._listing.place}" if len(rows) >= _LONG else ""
        errors = [error for part in in_threads(read_some, chunks, name) for error in part]
        if len(rows) and is_settled(self._stamps[:, 1], self._begun):
            values = (self._keys, self._stamps, self._headers, self._whites)
            kept(self._file, dict(zip(_TYPES, values, strict=True)))
        return errors


def in_threads(function: Callable[[_T], _R], items: Sequence[_T], what: str = "") -> list[_R]:
    """A function of each item, in several threads, with a progress bar on stderr where there is a text for it."""
    with ThreadPoolExecutor(min(8, cpu_count() or 1)) as pool:
        found = pool.map(function, items)
        if not what:
            return list(found)
        from rich.console import Console
        from rich.progress import track

        return list(track(found, what, total=len(items), console=Console(stderr=True)))


def raise_all(errors: Sequence[DataError]) -> None:
    """One error for several pictures, which names the first ten.

    Raises:
        DataError: there are any.
    """
    if errors:
        shown = [error.message for error in errors[:_SHOWN]]
        more = [f"and {len(errors) - _SHOWN} more"] if len(errors) > _SHOWN else []
        raise DataError("\n".join(shown + more), hint=errors[0].hint) from errors[0]
