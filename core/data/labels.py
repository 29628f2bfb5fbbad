"""Labels of examples: whole numbers or texts, as the numbers of their classes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genmod.errors import DataError

__all__ = ["class_numbers", "classes_of", "labels_alike"]

_MAX_CLASSES = 10_000
_Array = NDArray[Any]


def labels_alike(labels: Mapping[str, _Array]) -> dict[str, _Array]:
    """Labels by the name of their array, all whole numbers or all texts, each ``(N,)``.

    Raises:
        DataError: they are of other types, or of both.

    Example:
        >>> labels_alike({"y": np.array([[True], [False]])})
        {'y': array([1, 0])}
    """
    flat = {name: y.ravel() for name, y in labels.items()}
    if all(y.dtype.kind in "biu" for y in flat.values()):
        return {name: y.astype(np.int64) for name, y in flat.items()}
    if all(y.dtype.kind == "U" for y in flat.values()):
        return flat
    found = ", ".join(f"{name} of {y.dtype}" for name, y in flat.items())
    raise DataError(f"there are labels {found}; allowed are whole numbers, or texts, in all of them")


def classes_of(labels: Mapping[str, _Array]) -> _Array:
    """The different labels, sorted; empty where there are none.

    Raises:
        DataError: there are more than 10,000.
    """
    classes = np.unique(np.concatenate(list(labels.values()))) if labels else np.empty(0)
    if len(classes) > _MAX_CLASSES:
        raise DataError(f"there are {len(classes):,} different labels; at most {_MAX_CLASSES:,} are allowed")
    return classes


def class_numbers(name: str, given: _Array | None, classes: _Array, n: int) -> torch.Tensor | None:
    """Labels of ``n`` examples as the numbers of their classes, ``(n,)`` int64; None where there are none.

    Raises:
        DataError: there are more or fewer labels than examples.
    """
    if given is None:
        return None
    if len(given) != n:
        raise DataError(f"{name} has {len(given)} labels; x has {n} examples")
    return torch.from_numpy(np.searchsorted(classes, given))
