"""What was found out about many files, kept for the next start: arrays in the user's cache folder, never beside the data.

``GENMOD_CACHE=DIR`` keeps them elsewhere, ``GENMOD_CACHE=0`` nowhere. A file that is damaged, or that says something else than
what is expected, counts as none.
"""

import hashlib
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genmod import GenmodError
from genmod.system import is_mine, kept_folder, read_any_tensors, write_tensors

__all__ = ["LEAST", "cache_file", "is_settled", "joined", "kept", "parted", "read_kept", "settled"]

LEAST = 1000
"""Fewer files are looked at anew each time, which takes less than a second."""

_MAX_BYTES = 2**31
_TICK = 2_000_000_000
"""Nanoseconds within which a second change of a file may bear the time of the first, on the coarsest file systems."""


def cache_file(what: str, place: Path, count: int = LEAST) -> Path | None:
    """The file with what is known of ``count`` files in a place; None where nothing is kept.

    Args:
        what: kind of knowledge, a short name.
        place: the folder or file that it is about.
        count: number of files.
    """
    folder = kept_folder()
    if count < LEAST or folder is None:
        return None
    name = hashlib.sha256(os.fsencode(place.absolute())).hexdigest()[:32]
    return folder / f"{what}-{name}.safetensors"


def is_settled(times: NDArray[np.int64], since: int) -> bool:
    """Whether a further change of any would have another time, as :func:`settled` says of each."""
    return bool(settled(times, since).all())


def settled(times: NDArray[np.int64], since: int) -> NDArray[np.bool_]:
    """Whether a further change would have another time, for each of some times.

    Args:
        times: of last changes, in nanoseconds.
        since: before they were asked for; what changes while much is read may bear a time that has been seen already.
    """
    return (times < since - _TICK) | (times > time.time_ns() + _TICK)


def read_kept(path: Path | None, expected: Mapping[str, tuple[type, int]]) -> dict[str, NDArray[Any]] | None:
    """Arrays of these types and numbers of dimensions, all of one length but those of bytes; None where there are none."""
    try:
        if path is None or not path.is_file() or path.stat().st_size > _MAX_BYTES:
            return None
        if not is_mine(path.stat()):
            return None
        found = {name: tensor.numpy() for name, tensor in read_any_tensors(path).items()}
    except (GenmodError, OSError, TypeError, ValueError):
        return None
    kinds = {name: (array.dtype.type, array.ndim) for name, array in found.items()}
    return found if kinds == dict(expected) else None


def kept(path: Path | None, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays for the next start, where that is possible."""
    if path is None:
        return
    with suppress(GenmodError, OSError):
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        if path.exists() and not is_mine(path.stat()):
            return
        write_tensors(path, {name: torch.from_numpy(array) for name, array in arrays.items()})


def joined(texts: list[str]) -> NDArray[np.uint8]:
    """Texts without zero bytes, such as names of files, as the bytes of one."""
    return np.frombuffer("\0".join(texts).encode("utf-8", "surrogateescape"), np.uint8).copy()


def parted(text: NDArray[np.uint8]) -> list[str]:
    """The reverse of :func:`joined`; one empty text for none."""
    return text.tobytes().decode("utf-8", "surrogateescape").split("\0")
