"""Fixed pseudo-random orders and splits, independent of the generators of libraries."""

import hashlib
import unicodedata
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genmod.data.dataset import SplitName
from genmod.errors import DataError

__all__ = ["dealt", "mixed", "mixed_text", "shuffled", "split_of", "tenths"]


def mixed(keys: NDArray[Any]) -> NDArray[np.uint64]:
    """A 64-bit hash of each integer, any shape → the same shape.

    The generator of "Fast Splittable Pseudorandom Number Generators" (Steele, Lea, Flood, 2014).

    Example:
        >>> [hex(h) for h in mixed(np.arange(2)).tolist()]
        ['0xe220a8397b1dcdaf', '0x6e789e6aa1b965f4']
    """
    h = (keys.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


def mixed_text(text: str) -> int:
    """A 64-bit hash of a text, the same however its accents are encoded.

    Example:
        >>> mixed_text("caf\\u00e9.png") == mixed_text("cafe\\u0301.png")
        True
    """
    encoded = unicodedata.normalize("NFC", text).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(encoded).digest()[:8], "little")


def shuffled(n: int) -> NDArray[np.int64]:
    """The numbers below ``n`` in a fixed pseudo-random order, ``(n,)``.

    Example:
        >>> shuffled(5).tolist()
        [2, 4, 1, 0, 3]
    """
    return np.argsort(mixed(np.arange(n)), kind="stable")


def dealt(hashes: Sequence[int] | NDArray[np.uint64], held_out: Sequence[SplitName]) -> list[SplitName]:
    """The split of each example: a tenth, at least one of three or more, for each that is held out, the rest for training.

    In the order of the hashes the first are for validation and the last for testing, so that an example that is added moves
    at most one other over each border.

    Args:
        hashes: of the examples, 64 bits each.
        held_out: ``validation`` and ``test``, or one of them.

    Example:
        >>> dealt([5, 1, 9, 7], ["validation", "test"])
        ['train', 'validation', 'test', 'train']
    """
    order: list[int] = np.argsort(np.asarray(hashes, np.uint64), kind="stable").tolist()
    share = max(1, (len(order) + 5) // 10) if len(order) > len(held_out) else 0
    chosen: list[SplitName] = ["train"] * len(order)
    for split, places in (("validation", order[:share]), ("test", order[len(order) - share :])):
        for place in places if split in held_out else ():
            chosen[place] = split  # type: ignore[call-overload]
    return chosen


def split_of(h: int) -> SplitName:
    """Eight tenths of all hashes are for training, one for validation, one for testing.

    Example:
        >>> [split_of(h) for h in (7, 8, 9)]
        ['train', 'validation', 'test']
    """
    return "train" if h % 10 < 8 else "validation" if h % 10 == 8 else "test"


def tenths(
    n: int, held_out: Collection[SplitName] = ("validation", "test")
) -> dict[SplitName, NDArray[np.int64]]:
    """The places of ``n`` examples by split: a fixed pseudo-random tenth for each that is held out, the rest for training.

    Args:
        n: number of examples.
        held_out: ``validation`` and ``test``, or one of them, or none.

    Raises:
        DataError: there are fewer than three examples.

    Example:
        >>> {split: places.tolist() for split, places in tenths(5).items()}
        {'train': [0, 1, 3], 'validation': [2], 'test': [4]}
    """
    if n < 3:
        raise DataError(f"there are {n} training examples; 3 or more are needed")
    order, tenth = shuffled(n), max(1, n // 10)
    every: dict[SplitName, NDArray[np.int64]] = {
        "validation": order[:tenth],
        "test": order[tenth : 2 * tenth],
    }
    chosen = {split: places for split, places in every.items() if split in held_out}
    kept = np.ones(n, dtype=bool)
    for places in chosen.values():
        kept[places] = False
    return {"train": np.flatnonzero(kept), **chosen}
