"""Arrays in a NumPy file."""

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, final

import numpy as np
import torch
from annotated_types import Ge
from numpy.typing import NDArray

from genmod.dataset import Batch, DataInfo, Dataset, SplitName, TensorSplit
from genmod.errors import DataError
from genmod.options import Doc
from genmod.plugins.datasets.array_files import (
    arranged,
    array_names,
    read_arrays,
    stored_counts,
    stored_values,
)
from genmod.plugins.datasets.files import locate
from genmod.plugins.datasets.order import shuffled

__all__ = ["Npz"]

_Array = NDArray[Any]
_Arrays = dict[str, _Array]

_SUFFIXES: dict[SplitName, tuple[str, ...]] = {
    "train": ("_train",),
    "validation": ("_validation", "_val"),
    "test": ("_test",),
}
_KNOWN = [f"{letter}{suffix}" for letter in "xy" for suffix in ("", *sum(_SUFFIXES.values(), ()))]
_MAX_CLASSES = 10_000


@final
class Npz(Dataset):
    """Images or a table from an ``.npz`` file, or from an ``.npy`` file.

    Arrays: either ``x``, of which fixed pseudo-random tenths are for validation and testing, or ``x_train``
    with ``x_validation`` (or ``x_val``) and ``x_test``; a missing split is such a tenth of ``x_train``.
    In the same way ``y`` or ``y_train`` …: labels, whole numbers or texts, ``(N,)``. Others are not read.

    Shapes: tables ``(N, columns)``, images ``(N, height, width)``, ``(N, channels, height, width)`` or
    ``(N, height, width, channels)``.

    Values: ``uint8`` are 256 levels in [0, 1], or 2 where none is above 1; ``bool`` are 2 levels; floats are
    continuous, in [0, 1] where all of them are there, else unbounded; with ``counts``, whole numbers from 0 on, of
    any type, are kept as they are. Everything is held in memory.

    Raises:
        DataError: the file is missing, damaged or too large; arrays are missing, do not fit each other, are
            of another type, or have values that are NaN, infinite or, of counts, not whole.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(Path(folder, "mine.npz"), x=np.zeros((50, 28, 28, 3), dtype=np.uint8), y=np.arange(50) % 5)
        ...     data = Npz(Path(folder), path=Path("mine.npz"))
        ...     data.info.shape, data.info.classes, len(data.split("train"))
        ((3, 28, 28), ('0', '1', '2', '3', '4'), 40)
    """

    def __init__(
        self,
        root: Path,
        *,
        path: Annotated[Path, Doc("the file, seen from the current or else the data folder")],
        layout: Annotated[
            Literal["auto", "chw", "hwc"],
            Doc("where the channels of images are; auto finds 1, 3 or 4 of them"),
        ] = "auto",
        standardize: Annotated[
            bool,
            Doc(
                "shift and scale each column of a table to mean 0 and standard deviation 1 in the training "
                "split; likelihoods are then of the standardised values"
            ),
        ] = False,
        counts: Annotated[
            bool, Doc("values are counts, whole numbers from 0 on, kept as they are; for count likelihoods")
        ] = False,
        max_bytes: Annotated[int, Doc("how much the arrays may take in memory"), Ge(1)] = 2**32,
    ) -> None:
        super().__init__(root)
        self.path = path
        self.layout = layout
        self.standardize = standardize
        self.counts = counts
        self.max_bytes = max_bytes

    @property
    def info(self) -> DataInfo:
        return self._loaded[0]

    def split(self, name: SplitName) -> TensorSplit:
        return TensorSplit(self._loaded[1][name])

    @cached_property
    def _loaded(self) -> tuple[DataInfo, dict[SplitName, Batch]]:
        path = locate(self.path, self.root)
        arrays = read_arrays(path, _KNOWN, self.max_bytes)
        given = _given(arrays)
        if not given:
            found = ", ".join(array_names(path)) or "nothing"
            raise DataError(
                f"{path} has {found}; either x or x_train is needed",
                hint="save it again: numpy.savez(PATH, x=x)",
            )
        try:
            labels = _labels(arrays, given.values())
            classes = _classes(labels)
            parts = {
                split: _batch(
                    suffix, arrays[f"x{suffix}"], labels.get(suffix), classes, self.layout, self.counts
                )
                for split, suffix in given.items()
            }
            _check_alike(parts)
            parts = _complete(parts)
            if self.standardize:
                parts = _standardized(parts)
        except DataError as error:
            raise DataError(f"{path}: {error.message}", hint=error.hint) from error
        return _described(parts, classes, self.standardize, self.counts), parts


def _given(arrays: _Arrays) -> dict[SplitName, str]:
    """Which splits there are, and the suffix of each; none where it is unclear what to train on."""
    if ("x" in arrays) == ("x_train" in arrays):
        return {}
    if "x" in arrays:
        return {"train": ""}
    return {
        split: suffix
        for split, suffixes in _SUFFIXES.items()
        for suffix in suffixes
        if f"x{suffix}" in arrays
    }


def _batch(suffix: str, x: _Array, y: _Array | None, classes: _Array, layout: str, counts: bool) -> Batch:
    store = stored_counts if counts else stored_values
    values = torch.from_numpy(store(f"x{suffix}", arranged(f"x{suffix}", x, layout)))
    if y is None:
        return Batch(values)
    if len(y) != len(x):
        raise DataError(f"y{suffix} has {len(y)} labels; x{suffix} has {len(x)} examples")
    return Batch(values, labels=torch.from_numpy(np.searchsorted(classes, y)))


def _labels(arrays: _Arrays, suffixes: Collection[str]) -> _Arrays:
    """Suffix → labels, all whole numbers or all texts."""
    labels = {suffix: arrays[f"y{suffix}"].ravel() for suffix in suffixes if f"y{suffix}" in arrays}
    types = {f"y{suffix}": str(y.dtype) for suffix, y in labels.items()}
    if all(y.dtype.kind in "biu" for y in labels.values()):
        return {suffix: y.astype(np.int64) for suffix, y in labels.items()}
    if all(y.dtype.kind == "U" for y in labels.values()):
        return labels
    found = ", ".join(f"{name} of {kind}" for name, kind in types.items())
    raise DataError(f"there are labels {found}; allowed are whole numbers, or texts, in all of them")


def _classes(labels: _Arrays) -> _Array:
    """The different labels, sorted."""
    classes = np.unique(np.concatenate(list(labels.values()))) if labels else np.empty(0)
    if len(classes) > _MAX_CLASSES:
        raise DataError(f"there are {len(classes):,} different labels; at most {_MAX_CLASSES:,} are allowed")
    return classes


def _check_alike(parts: Mapping[SplitName, Batch]) -> None:
    kinds = {split: f"{tuple(part.x.shape[1:])} of {part.x.dtype}" for split, part in parts.items()}
    if len(set(kinds.values())) > 1:
        raise DataError(
            "examples differ: " + ", ".join(f"{kind} for {split}" for split, kind in kinds.items())
        )


def _complete(parts: Mapping[SplitName, Batch]) -> dict[SplitName, Batch]:
    """Missing splits taken from the training data, each a fixed pseudo-random tenth of it."""
    train = parts["train"]
    tenth = max(1, len(train) // 10)
    if len(train) < 3:
        raise DataError(f"there are {len(train)} training examples; 3 or more are needed")
    order = torch.from_numpy(shuffled(len(train)))
    held_out: dict[SplitName, torch.Tensor] = {"validation": order[:tenth], "test": order[tenth : 2 * tenth]}
    whole = dict(parts)
    kept = torch.ones(len(train), dtype=torch.bool)
    for split, places in held_out.items():
        if split not in parts:
            whole[split] = train[places]
            kept[places] = False
    return {**whole, "train": train[kept]}


def _standardized(parts: Mapping[SplitName, Batch]) -> dict[SplitName, Batch]:
    train = parts["train"].x
    if train.dim() != 2 or not train.is_floating_point():
        raise DataError(
            "only tables of floats, and not counts, can be standardised",
            hint="leave -s dataset.standardize out",
        )
    mean, deviation = train.double().mean(0), train.double().std(0, correction=0)
    scale = deviation.where(deviation > 0, 1.0)
    return {split: replace(part, x=((part.x - mean) / scale).float()) for split, part in parts.items()}


def _described(
    parts: Mapping[SplitName, Batch], classes: _Array, standardized: bool, counts: bool
) -> DataInfo:
    shape, names = tuple(parts["train"].x.shape[1:]), tuple(map(str, classes.tolist()))
    if counts:
        return DataInfo(shape, 0.0, math.inf, classes=names, counts=True)
    low = min(float(part.x.min()) for part in parts.values())
    high = max(float(part.x.max()) for part in parts.values())
    if not parts["train"].x.is_floating_point():
        return DataInfo(shape, levels=256 if high > 1 else 2, classes=names)
    if low >= 0 and high <= 1 and not standardized:
        return DataInfo(shape, classes=names)
    return DataInfo(shape, -math.inf, math.inf, classes=names)
