"""Examples that are given in Python, as a dataset holds them: tensors, arrays and items of any kind."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genmod.data.arrays import arranged, described, finite_values, stored_counts, stored_values
from genmod.data.dataset import Batch, DataInfo
from genmod.data.labels import classes_of, labels_alike
from genmod.errors import DataError, DataWarning

__all__ = ["Held", "collated", "describe", "held"]

_LABELS = ("labels", "label", "y")
_CHANNELS = (1, 3, 4)
_FILL = "leave these examples out, or fill the values in; cells of a DataFrame may be missing"
_NUMBERS = (
    "give numbers as floats: x.float(); pixels of 0 to 255 as x.to(torch.uint8), of two values as x.bool()"
)
_PRECISION = "subtract a constant from the column, or give a DataFrame, whose columns are standardised"
_Array = NDArray[Any]


@dataclass(frozen=True)
class Held:
    """Examples with the labels that they came with.

    Args:
        x: as a dataset stores them, ``(N, *shape)``.
        labels: whole numbers or texts, ``(N,)``, or None.
    """

    x: Tensor
    labels: _Array | None = None

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, info: DataInfo) -> Batch:
        """The examples with the numbers of their classes.

        Raises:
            DataError: a label is none of the classes.
        """
        if self.labels is None or not info.classes:
            return Batch(self.x)
        place = {name: i for i, name in enumerate(info.classes)}
        values, where = np.unique(self.labels, return_inverse=True)
        names = [str(value) for value in values.tolist()]
        unknown = [name for name in names if name not in place]
        if unknown and values.dtype.kind == "i" and values.min() >= 0 and values.max() < len(place):
            # Names of classes are not in the data, so that these are their numbers.
            return Batch(self.x, torch.from_numpy(self.labels))
        if unknown:
            raise DataError(
                f"there are labels {', '.join(unknown[:5])}; the classes are {', '.join(info.classes[:10])}",
                hint="give data whose labels are all known when they are opened, such as TensorDataset(x, labels)",
            )
        numbers = np.array([place[name] for name in names], dtype=np.int64)
        return Batch(self.x, torch.from_numpy(numbers[where.ravel()]))


def held(given: Any, known: DataInfo | None, *, tell: bool = True) -> Held:
    """A batch of examples: ``x``, ``(x, labels)``, or a mapping with ``x`` and perhaps ``labels``.

    Args:
        given: the batch.
        known: what the model was built for, or None.
        tell: warn of what is left out.

    Raises:
        DataError: values of another type, or that are NaN, infinite, or negative whole numbers.
    """
    if isinstance(given, Batch):
        given = (given.x, given.labels)
    x, labels, more = _taken_apart(given)
    stored = _stored(x, known)
    found = None if labels is None else _label_array(labels, len(stored))
    if tell and (more or (labels is not None and found is None)):
        left = [*([_kind(labels)] if labels is not None and found is None else []), *more]
        warnings.warn(
            f"beside x there is {', '.join(left)}, which is no label of each example, and is left out",
            DataWarning,
            stacklevel=2,
        )
    return Held(stored, found)


def collated(items: Sequence[Any], known: DataInfo | None, *, tell: bool = True) -> Held:
    """Single examples as a batch, see :func:`held`.

    Raises:
        DataError: their shapes or types differ, or as :func:`held`.
    """
    apart = [_taken_apart(item) for item in items]
    xs = [x if isinstance(x, Tensor) else np.asarray(x) for x, _, _ in apart]
    kinds = dict.fromkeys(f"{tuple(x.shape)} of {x.dtype}" for x in xs)
    if len(kinds) > 1:
        raise DataError(
            f"examples differ: {', '.join(list(kinds)[:3])}", hint="bring them to one shape and type"
        )
    x = torch.stack(xs) if isinstance(xs[0], Tensor) else np.stack(xs)  # type: ignore[arg-type]
    labels = [label for _, label, _ in apart]
    if any(label is None for label in labels):
        return held((x,), known, tell=tell)
    try:
        together = np.asarray([label.item() if isinstance(label, Tensor) else label for label in labels])
    except (RuntimeError, ValueError):
        together = np.asarray([None])
    return held((x, together, *apart[0][2]), known, tell=tell)


def describe(parts: Sequence[Held], known: DataInfo | None, names: Sequence[str] = ()) -> DataInfo:
    """What a model must know about examples.

    Args:
        parts: examples of each split.
        known: what the model was built for; its description holds, in the data's own units.
        names: of the classes, where the data have them.
    """
    if known is not None and known.columns:
        names = ", ".join(column.name for column in known.columns[:10])
        raise DataError(
            f"the model was built for a table with the columns {names}; these are numbers without names",
            hint="give a DataFrame with these columns",
        )
    labels = labels_alike({f"labels {i}": p.labels for i, p in enumerate(parts) if p.labels is not None})
    classes = tuple(names) or tuple(map(str, classes_of(labels).tolist()))
    kinds = dict.fromkeys(f"{tuple(part.x.shape[1:])} of {part.x.dtype}" for part in parts)
    if len(kinds) > 1:
        raise DataError(f"examples differ from split to split: {', '.join(kinds)}")
    x = parts[0].x
    if known is None:
        info = described(
            [part.x for part in parts], levels=x.dtype == torch.uint8, counts=x.dtype == torch.int32
        )
        return replace(info, classes=classes)
    numbers = classes and not set(classes) <= set(known.classes) and all(name.isdecimal() for name in classes)
    if numbers and max(map(int, classes)) < len(known.classes):
        classes = known.classes
    return replace(known, shape=tuple(x.shape[1:]), classes=classes, factors=(), shift=(), scale=())


def _taken_apart(given: Any) -> tuple[Any, Any, list[str]]:
    """The examples, their labels or None, and what else there is."""
    if isinstance(given, Mapping):
        if "x" not in given:
            raise DataError(
                f"examples have {', '.join(map(str, given)) or 'nothing'}, and no x",
                hint='give mappings such as {"x": picture, "labels": 3}',
            )
        label = next((name for name in _LABELS if given.get(name) is not None), None)
        return (
            given["x"],
            None if label is None else given[label],
            [str(k) for k in given if k not in ("x", *_LABELS)],
        )
    if isinstance(given, tuple | list) and given and not all(map(np.isscalar, given)):
        first, *rest = given
        return first, rest[0] if rest else None, [_kind(each) for each in rest[1:]]
    return given, None, []


def _kind(thing: Any) -> str:
    shape, dtype = getattr(thing, "shape", None), getattr(thing, "dtype", None)
    return type(thing).__name__ if shape is None else f"{dtype} {tuple(shape)}"


def _label_array(labels: Any, n: int) -> _Array | None:
    """Labels as ``(n,)`` whole numbers or texts; None where they are something else."""
    array = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if array.dtype.kind not in "biuU" or array.size != n:
        return None
    return labels_alike({"labels": array})["labels"]


def _stored(given: Any, known: DataInfo | None) -> Tensor:
    """Examples as a dataset stores them, ``(N, *shape)``."""
    array = _numpy(given)
    if array.ndim < 2 or 0 in array.shape:
        raise DataError(
            f"x has the shape {array.shape}; allowed are tables (N, columns), pictures (N, channels, height, width), and "
            "other examples (N, …)",
            hint="give x[None] for one example, x[:, None] for examples of one value",
        )
    array = _laid_out(array, known, like_torch=isinstance(given, Tensor))
    if array.dtype.kind in "iu" and array.dtype != np.uint8:
        if known is not None and not known.counts:
            return _tensor(array.astype(np.int64))
        return _tensor(_or(_NUMBERS, stored_counts, "x", array))
    if array.dtype.kind != "f":
        return _tensor(stored_values("x", array))
    seen = ~np.isnan(array) if known is not None and known.missing else None
    values = array if seen is None else np.where(seen, array, 0)
    if known is not None and known.scale:
        values = _or(_FILL, finite_values, "x", values, np.float64)
    else:
        _or(_FILL, finite_values, "x", values, np.float32)
        values = _or(_PRECISION, stored_values, "x", values, whole=known is None)
    return _tensor(values if seen is None else np.where(seen, values, values.dtype.type(np.nan)))


def _numpy(given: Any) -> _Array:
    if isinstance(given, Tensor):
        if given.layout != torch.strided or given.is_quantized or given.is_complex():
            raise DataError(
                f"x is {str(given.layout).removeprefix('torch.')} of {given.dtype}; dense real numbers are needed",
                hint="x.to_dense() makes a sparse tensor dense",
            )
        given = given.detach().cpu()
        return (given.float() if given.dtype in (torch.bfloat16, torch.float16) else given).numpy()
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise DataError(
            f"x is no array of numbers: {error}", hint="bring all examples to one shape"
        ) from None
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"x has values of type {array.dtype}, from {type(given).__name__}; numbers are needed",
            hint="give a DataFrame where columns are texts, dates or of several types",
        )
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _laid_out(array: _Array, known: DataInfo | None, *, like_torch: bool) -> _Array:
    """Pictures with their channels first."""
    shape = array.shape[1:]
    if known is not None:
        if shape != known.shape and (1, *shape) == known.shape:
            return array[:, None]
        if shape != known.shape and len(shape) == 3 and (shape[2], *shape[:2]) == known.shape:
            return array.transpose(0, 3, 1, 2)
        return array
    if array.ndim == 3:
        return array[:, None]
    if array.ndim != 4:
        return array
    if not like_torch:
        return arranged("x", array, "auto") if (shape[0] in _CHANNELS) != (shape[2] in _CHANNELS) else array
    if shape[0] not in _CHANNELS and shape[2] in _CHANNELS:
        warnings.warn(
            f"examples of shape {shape} are taken for {shape[0]} channels of {shape[1]}×{shape[2]}; "
            "give x.movedim(-1, 1) where the channels come last",
            DataWarning,
            stacklevel=2,
        )
    return array


def _or(hint: str, function: Callable[..., _Array], *given: Any, **more: Any) -> _Array:
    """What a function makes of examples, with a hint for Python in its errors."""
    try:
        return function(*given, **more)
    except DataError as error:
        raise DataError(error.message, hint=hint) from None


def _tensor(array: _Array) -> Tensor:
    # A tensor that shares the memory of a read-only array could write to it.
    return torch.from_numpy(array if array.flags.writeable else array.copy())
