"""Arrays in a NumPy file."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, final

import numpy as np
import torch
from annotated_types import Ge
from numpy.typing import NDArray

from genmod import Batch, DataError, DataInfo, Dataset, Doc, Factor, Split, SplitName, TensorSplit
from genmod.data import (
    MatrixDataset,
    arranged,
    class_numbers,
    classes_of,
    described,
    finite_values,
    labels_alike,
    stored_counts,
    stored_values,
    tenths,
    together,
)
from genmod.plugins.datasets._array_files import array_names, read_arrays
from genmod.plugins.datasets._files import locate
from genmod.plugins.datasets._sparse_files import sparse_file
from genmod.plugins.datasets._standardized import standardized, statistics_of

__all__ = ["Npz"]

_Array = NDArray[Any]
_Arrays = dict[str, _Array]

_SUFFIXES: dict[SplitName, tuple[str, ...]] = {
    "train": ("_train",),
    "validation": ("_validation", "_val"),
    "test": ("_test",),
}
_ALL_SUFFIXES = ("", *sum(_SUFFIXES.values(), ()))


@dataclass(frozen=True)
class _Arranged:
    """What a file has.

    Args:
        parts: the splits that it has, training data first.
        levels: whether its values are levels.
        classes: names of the classes.
        factors: further properties.
    """

    parts: dict[SplitName, Batch]
    levels: bool
    classes: tuple[str, ...]
    factors: tuple[Factor, ...]


@final
class Npz(Dataset):
    """Images or a table from an ``.npz`` file, or from an ``.npy`` file.

    Arrays: either ``x``, of which fixed pseudo-random tenths are for validation and testing, or ``x_train``
    with ``x_validation`` (or ``x_val``) and ``x_test``; a missing split is such a tenth of ``x_train``.
    In the same way ``y`` or ``y_train`` …: labels, whole numbers or texts, ``(N,)``; arrays of the same form that
    ``factors`` names; and, with ``missing``, ``mask`` or ``mask_train`` …, of the shape of ``x``, true where a value
    was observed. Others are not read.

    Shapes: tables ``(N, columns)``, images ``(N, height, width)``, ``(N, channels, height, width)`` or
    ``(N, height, width, channels)``.

    Values: ``uint8`` are 256 levels in [0, 1], or 2 where none is above 1; ``bool`` are 2 levels; floats are
    continuous, in [0, 1] where all of them are there, else unbounded; with ``counts``, whole numbers from 0 on, of
    any type, are kept as they are. With ``missing``, NaN is a value that was not observed. Everything is held in memory.

    A sparse matrix that ``scipy.sparse.save_npz`` wrote is read by rows (CSR), and is never dense as a whole.

    Standardising is done in double precision. The mean and the deviation of each column are saved with the model, which
    standardises other files by them; ``genmod.DataInfo.original`` gives values back in their own units. Columns of whole
    numbers from 0 to 255 are taken for classes and left as they are, unless they are named. ``file``, as in models of
    revision 1, standardises each file by its own statistics.

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

    check_cases: ClassVar = {"old_options": [(1, {"path": "x.npz", "standardize": True, "layout": "hwc"})]}

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
            bool | Literal["file"] | Sequence[Annotated[int, Ge(0)]],
            Doc(
                "shift and scale each column of a table, or those of these numbers, to mean 0 and standard "
                "deviation 1 in the training split; likelihoods are then of the standardised values"
            ),
        ] = False,
        counts: Annotated[
            bool, Doc("values are counts, whole numbers from 0 on, kept as they are; for count likelihoods")
        ] = False,
        missing: Annotated[
            bool, Doc("values that are NaN, or false in the array mask, were not observed")
        ] = False,
        factors: Annotated[
            Sequence[str], Doc("names of further arrays of one whole number or text for each example")
        ] = (),
        max_bytes: Annotated[int, Doc("how much the arrays may take in memory"), Ge(1)] = 2**32,
    ) -> None:
        super().__init__(root)
        self.path = path
        self.layout = layout
        self.standardize = standardize if isinstance(standardize, bool | str) else tuple(standardize)
        self.counts, self.missing = counts, missing
        self.factors = tuple(factors)
        self.max_bytes = max_bytes

    @property
    def info(self) -> DataInfo:
        return self._loaded[0] if self._sparse is None else self._sparse.info

    def split(self, name: SplitName) -> Split:
        if self._sparse is not None:
            return self._sparse.split(name)
        return TensorSplit(self._loaded[1][name], self.info)

    def everything(self) -> Split:
        if self._sparse is not None:
            return self._sparse.everything()
        found = self._read(every_factor=False)
        whole = together(list(found.parts.values()))
        with self._naming_the_file():
            shift, scale = self._statistics(found.parts)
            # Another number of columns than the model's is said by whoever compares the two.
            fits = whole.x.dim() == 2 and len(scale) == whole.x.shape[1]
            whole = standardized(whole, shift, scale) if fits else whole
        info, parts = self._described(found, {"train": whole}, shift, scale)
        return TensorSplit(parts["train"], info)

    def places(self, name: SplitName) -> torch.Tensor:
        return self._loaded[2][name] if self._sparse is None else self._sparse.places(name)

    @cached_property
    def _sparse(self) -> MatrixDataset | None:
        """The rows of a sparse matrix, where the file holds one."""
        path = locate(self.path, self.root)
        found = sparse_file(path, self.counts, self.max_bytes)
        if found is not None and (self.standardize or self.missing or self.factors):
            raise DataError(
                f"{path} is a sparse matrix, whose values are neither standardised nor missing, and which has no factors",
                hint="leave out -s dataset.standardize, dataset.missing and dataset.factors; "
                "a file with properties of its rows: --data h5ad",
            )
        return found

    @staticmethod
    def migrate(options: Mapping[str, Any], revision: int) -> Mapping[str, Any]:
        """Models of revision 1 do not know the statistics that they were trained with."""
        return {**options, "standardize": "file"} if options.get("standardize") else options

    @cached_property
    def _loaded(self) -> tuple[DataInfo, dict[SplitName, Batch], dict[SplitName, torch.Tensor]]:
        """The description, the splits, and where their examples are in the file."""
        found = self._read()
        starts = accumulate(map(len, found.parts.values()), initial=0)
        places = {
            split: torch.arange(len(part)) + start
            for (split, part), start in zip(found.parts.items(), starts, strict=False)
        }
        with self._naming_the_file():
            dealt = _dealt(found.parts)
            parts = {**found.parts, **{split: found.parts["train"][rows] for split, rows in dealt.items()}}
            shift, scale = statistics_of(parts["train"].x, self.standardize) if self.standardize else ((), ())
            if scale:
                parts = {split: standardized(part, shift, scale) for split, part in parts.items()}
        return *self._described(found, parts, shift, scale), {**places, **dealt}

    def _statistics(self, parts: Mapping[SplitName, Batch]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """By what a whole file is standardised: as the model's data were, else as its own training split is."""
        if not self.standardize:
            return (), ()
        if self.known is not None and self.known.scale:
            return self.known.shift, self.known.scale
        return statistics_of(parts["train"][_dealt(parts)["train"]].x, self.standardize)

    @contextmanager
    def _naming_the_file(self) -> Iterator[None]:
        """Inside, errors begin with the path."""
        try:
            yield
        except DataError as error:
            raise DataError(f"{locate(self.path, self.root)}: {error.message}", hint=error.hint) from error

    def _read(self, *, every_factor: bool = True) -> "_Arranged":
        """What the file has, as the splits that it has."""
        path = locate(self.path, self.root)
        names = ("x", "y", *(["mask"] if self.missing else []), *self.factors)
        arrays = read_arrays(path, [name + end for name in names for end in _ALL_SUFFIXES], self.max_bytes)
        given = _given(arrays)
        if not given:
            found = ", ".join(array_names(path)) or "nothing"
            raise DataError(
                f"{path} has {found}; either x or x_train is needed",
                hint="save it again: numpy.savez(PATH, x=x)",
            )
        with self._naming_the_file():
            labels = _labels(arrays, "y", given.values())
            classes = classes_of(labels)
            factors = {name: _labels(arrays, name, given.values()) for name in self.factors}
            absent = [name for name, found in factors.items() if len(found) < len(given)]
            if absent and every_factor:
                raise DataError(f"there is no array {', '.join(absent)} for every split that is given")
            factors = {name: found for name, found in factors.items() if name not in absent}
            values = {name: classes_of(found) for name, found in factors.items()}
            parts = {
                split: Batch(
                    self._values(arrays, suffix),
                    labels=class_numbers("y", labels.get(suffix), classes, len(arrays[f"x{suffix}"])),
                    factors=_columns(
                        {name: found[suffix] for name, found in factors.items()},
                        values,
                        len(arrays[f"x{suffix}"]),
                    ),
                )
                for split, suffix in given.items()
            }
            _check_alike(parts)
        return _Arranged(
            parts,
            all(arrays[f"x{suffix}"].dtype.kind in "bu" for suffix in given.values()),
            tuple(map(str, classes.tolist())),
            tuple(
                Factor(name, len(found), tuple(map(str, found.tolist()))) for name, found in values.items()
            ),
        )

    def _described(
        self,
        found: "_Arranged",
        parts: dict[SplitName, Batch],
        shift: tuple[float, ...],
        scale: tuple[float, ...],
    ) -> tuple[DataInfo, dict[SplitName, Batch]]:
        """The description of these examples, and they as it says."""
        info = described(
            [part.x for part in parts.values()],
            levels=found.levels,
            counts=self.counts,
            bounded=not self.standardize,
        )
        if found.levels and self.missing and info.levels is not None:
            # Floats, unlike levels, can be NaN.
            parts = {split: replace(part, x=part.x / (info.levels - 1)) for split, part in parts.items()}
        kept = self.standardize != "file"
        return replace(
            info,
            classes=found.classes,
            factors=found.factors,
            missing=self.missing,
            shift=shift if kept else (),
            scale=scale if kept else (),
        ), parts

    def _values(self, arrays: _Arrays, suffix: str) -> torch.Tensor:
        """The examples of a split as they are stored; floats with NaN where values may be missing."""
        name, x = f"x{suffix}", arranged(f"x{suffix}", arrays[f"x{suffix}"], self.layout)
        mask = arrays.get(f"mask{suffix}")
        seen: _Array = np.ones(x.shape, dtype=bool)
        if mask is not None:
            if mask.shape != arrays[name].shape or mask.dtype.kind not in "bu":
                raise DataError(
                    f"mask{suffix} is {mask.shape} of {mask.dtype}; allowed is {arrays[name].shape} of bool, "
                    f"as {name} has"
                )
            seen = arranged(f"mask{suffix}", mask, self.layout).astype(bool)
        if self.missing and x.dtype.kind == "f":
            seen = seen & ~np.isnan(x)
            x = np.where(seen, x, 0.0)
        if self.counts:
            stored = stored_counts(name, x)
        elif self.standardize and self.standardize != "file" and x.dtype.kind == "f" and x.ndim == 2:
            stored = finite_values(name, x, np.float64)
        else:
            stored = stored_values(name, x, whole=self.known is None and not self.standardize)
        if self.missing:
            stored = np.where(seen, stored, np.nan).astype(
                stored.dtype if stored.dtype.kind == "f" else np.float32
            )
        return torch.from_numpy(stored)


def _given(arrays: _Arrays) -> dict[SplitName, str]:
    """The splits that the file has, and the suffix of each; none where the training data are ambiguous."""
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


def _columns(found: _Arrays, values: _Arrays, n: int) -> torch.Tensor | None:
    """Factors as the numbers of their values, ``(N, number of factors)``."""
    columns = [class_numbers(name, array, values[name], n) for name, array in found.items()]
    return torch.stack([column for column in columns if column is not None], 1) if columns else None


def _labels(arrays: _Arrays, name: str, suffixes: Collection[str]) -> _Arrays:
    """Suffix → labels."""
    found = {f"{name}{end}": arrays[f"{name}{end}"] for end in suffixes if f"{name}{end}" in arrays}
    return {full.removeprefix(name): labels for full, labels in labels_alike(found).items()}


def _check_alike(parts: Mapping[SplitName, Batch]) -> None:
    kinds = {split: f"{tuple(part.x.shape[1:])} of {part.x.dtype}" for split, part in parts.items()}
    if len(set(kinds.values())) > 1:
        raise DataError(
            "examples differ: " + ", ".join(f"{kind} for {split}" for split, kind in kinds.items())
        )


def _dealt(parts: Mapping[SplitName, Batch]) -> dict[SplitName, torch.Tensor]:
    """Rows of the training data: a tenth for each split that the file has not, and what is left for training."""
    places = tenths(len(parts["train"]), [split for split in _SUFFIXES if split not in parts])
    return {split: torch.from_numpy(chosen) for split, chosen in places.items()}
