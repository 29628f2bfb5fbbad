"""Whether data suit a model: the one check for training, evaluation and figures."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

import torch
from torch import Tensor

from genmod.data.arrays import ends_of
from genmod.data.dataset import Batch, DataInfo, Dataset, Factor, Split, SplitName, TensorSplit, default_root
from genmod.data.frames import check_coded, column_differences
from genmod.errors import DataError

__all__ = ["Data", "check_values", "suited"]

Data = TypeVar("Data", bound=Dataset | Split)
_SHOWN = 10
_SLACK = 1e-6
"""Rounding error of values beyond their bounds, as a part of their range."""


def suited(data: Data, info: DataInfo, condition: Collection[str] = ()) -> Data:
    """Data with the numbers of classes and the units of a model; data of another kind are refused.

    Classes, factors and their values are matched by name: the model's come first, in its order, then the others, which
    are refused if it is conditioned on them. Standardised columns are converted to the model's statistics.

    Args:
        data: a dataset, or one split of it.
        info: what the model was built for.
        condition: ``label`` or the factors that it is conditioned on.

    Returns:
        Data of the same kind, whose values are checked as they are read.

    Raises:
        DataError: they differ in shape, range, levels, counts or missing values, or lack the classes that the model is
            conditioned on; all of that in one error.

    Example:
        >>> split = TensorSplit(Batch(torch.tensor([[5.0]]), torch.tensor([0])), DataInfo((1,), 0, 9, classes=("b",)))
        >>> suited(split, DataInfo((1,), 0, 9, classes=("a", "b"))).batch.labels
        tensor([1])
    """
    if isinstance(data, _SuitedData | _SuitedSplit) and (data.wanted, data.condition) == (
        info,
        tuple(condition),
    ):
        return data
    if isinstance(data, Dataset):
        return _SuitedData(data, info, tuple(condition))  # type: ignore[return-value]
    return _split(data, _Match.of(data.info or info, info, condition), info, tuple(condition))  # type: ignore[return-value]


def check_values(x: Tensor, info: DataInfo) -> None:
    """Refuse stored examples ``x (B, *shape)`` that do not fit a data description.

    Raises:
        DataError: another shape, values out of range, missing, not finite, or not whole where they are counts.

    Example:
        >>> check_values(torch.tensor([[0, 255]], dtype=torch.uint8), DataInfo((2,), levels=256))
    """
    if tuple(x.shape[1:]) != info.shape:
        raise DataError(
            f"the model was built for examples of shape {info.shape}, these have {tuple(x.shape[1:])}",
            hint=f"give a batch, (B, {', '.join(map(str, info.shape))})",
        )
    if not x.numel() or (x.dtype == torch.uint8 and info.levels == 256):
        return
    if not x.is_floating_point():
        if info.levels is None and not info.counts:
            raise DataError(
                f"the model was built for {_values(info)}, these are whole numbers, {x.dtype}",
                hint="give the values themselves, as floats: x.float()",
            )
        low, high = 0.0, math.inf if info.levels is None else info.levels - 1.0
    else:
        finite = x.isfinite() | (x.isnan() if info.missing else False)
        if not finite.all():
            raise DataError(
                f"{int((~finite).sum())} values are NaN or infinite{_where(~finite, info)}",
                hint="leave these examples out, or build a model for missing values: -s dataset.missing=true",
            )
        if info.counts and not (x.isnan() | (x == x.round())).all():
            raise DataError("the model was built for counts, and some of these values are not whole")
        slack = _SLACK * (info.high - info.low) if math.isfinite(info.high - info.low) else 0.0
        low, high = info.low - slack, info.high + slack
        check_coded(x, info)
    least, most = ends_of(x)
    if least < low or most > high:
        raise DataError(
            f"the model was built for {_values(info)}; these are stored as {x.dtype} from {least:g} to {most:g}",
            hint=_remedy(info),
        )


def _where(wrong: Tensor, info: DataInfo) -> str:
    """In which columns of a table values are wrong, ``wrong (N, columns)``; nothing of other data."""
    if len(info.shape) != 1:
        return ""
    places = wrong.any(0).nonzero().flatten().tolist()
    names = [repr(info.modelled[i].name) if info.columns else str(i) for i in places]
    return f", in column {_list(names)}" + ("" if info.columns else ", counted from 0")


@dataclass(frozen=True)
class _Match:
    """The conversion of examples to the terms of a model.

    Args:
        info: their description then, with names that the model does not know after its own.
        labels: the new number of each class; empty where none changes.
        columns: the factor of the data in each place.
        values: the new number of each value of these factors.
        shift, scale: of ``(x - shift) / scale``, by column or channel; empty where values do not change.
    """

    info: DataInfo
    labels: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()
    values: tuple[tuple[int, ...], ...] = ()
    shift: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    @classmethod
    def of(cls, given: DataInfo, wanted: DataInfo, condition: Collection[str]) -> "_Match":
        problems, remedy = _differences(given, wanted), _remedy(wanted)
        known = {factor.name: factor for factor in wanted.factors}
        there = {factor.name: place for place, factor in enumerate(given.factors)}
        by_factor = [name for name in condition if name in known]
        # Places of factors matter if the model is conditioned on one.
        lacking = [name for name in known if name not in there] if by_factor else []
        if lacking:
            problems.append(f"the data have no factor {', '.join(lacking)}, which the model knows")
        if "label" in condition and "label" not in known:
            problems += _unknown("label", given.classes, wanted.classes)
        for name in by_factor:
            if name in there:
                problems += _unknown(name, given.factors[there[name]].names, known[name].names)
        if problems:
            raise DataError("these data do not suit the model: " + "; ".join(problems), hint=remedy)
        order = [*(name for name in known if name in there), *(name for name in there if name not in known)]
        factors = [_merged(given.factors[there[name]], known.get(name)) for name in order]
        classes, labels = _places(given.classes, wanted.classes)
        info = replace(wanted, classes=classes, factors=tuple(factor for factor, _ in factors))
        match = cls(
            info, labels, tuple(there[name] for name in order), tuple(places for _, places in factors)
        )
        if (given.shift, given.scale) == (wanted.shift, wanted.scale):
            return match
        nothing, one = (0.0,) * wanted.shape[0], (1.0,) * wanted.shape[0]
        pairs = zip(
            given.shift or nothing,
            given.scale or one,
            wanted.shift or nothing,
            wanted.scale or one,
            strict=True,
        )
        affine = [((b - a) / s, t / s) for a, s, b, t in pairs]
        return replace(match, shift=tuple(a for a, _ in affine), scale=tuple(s for _, s in affine))

    @property
    def _same_factors(self) -> bool:
        ordered = (*self.values, self.columns)
        return all(places == tuple(range(len(places))) for places in ordered)

    def __call__(self, batch: Batch) -> Batch:
        x, labels, factors = batch.x, batch.labels, batch.factors
        if self.scale:
            shift, scale = self.info.beside(self.shift), self.info.beside(self.scale)
            x = ((x.double() - shift) / scale).to(
                x.dtype if x.is_floating_point() else torch.get_default_dtype()
            )
        if labels is not None and self.labels != tuple(range(len(self.labels))):
            labels = _renumbered(labels, self.labels)
        if factors is not None and self.columns and not self._same_factors:
            columns = zip(self.columns, self.values, strict=True)
            factors = torch.stack([_renumbered(factors[:, place], places) for place, places in columns], 1)
        return Batch(x, labels, factors)


class _SuitedData(Dataset):
    """A dataset in a model's terms."""

    def __init__(self, dataset: Dataset, wanted: DataInfo, condition: tuple[str, ...]) -> None:
        # A dataset without files may have no folder.
        super().__init__(getattr(dataset, "root", default_root()))
        self._dataset, self.wanted, self.condition = dataset, wanted, condition
        self.opened_as = dataset.opened_as
        match = _Match.of(dataset.info, wanted, condition)
        self._info = match.info
        # Each split is read and checked once.
        self._split = cache(lambda name: _split(dataset.split(name), match, wanted, condition))

    @property
    def info(self) -> DataInfo:
        return self._info

    def split(self, name: SplitName) -> Split:
        return self._split(name)

    def everything(self) -> Split | None:
        found = self._dataset.everything()
        return None if found is None else suited(found, self.wanted, self.condition)

    def places(self, name: SplitName) -> Tensor | None:
        return self._dataset.places(name)


class _SuitedSplit(Split):
    """A split that is read batch by batch, in a model's terms."""

    def __init__(self, split: Split, match: _Match, wanted: DataInfo, condition: tuple[str, ...]) -> None:
        self._inner, self._match, self.info = split, match, match.info
        self.names, self.exact, self.varies = split.names, split.exact, split.varies
        self.wanted, self.condition = wanted, condition

    def __len__(self) -> int:
        return len(self._inner)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        return self._checked(self._inner.__getitems__(indices))

    def varied(self, indices: Sequence[int], *, seed: int, step: int) -> Batch:
        return self._checked(self._inner.varied(indices, seed=seed, step=step))

    def in_memory(self) -> Batch | None:
        held = self._inner.in_memory()
        return None if held is None else self._checked(held)

    def _checked(self, batch: Batch) -> Batch:
        batch = self._match(batch)
        check_values(batch.x, self.wanted)
        return batch


def _split(split: Split, match: _Match, wanted: DataInfo, condition: tuple[str, ...]) -> Split:
    if type(split) is not TensorSplit:
        return _SuitedSplit(split, match, wanted, condition)
    batch = match(split.batch)
    check_values(batch.x, wanted)
    if split.info is None and wanted.classes and batch.labels is not None and len(batch.labels):
        most = int(batch.labels.max())
        if most >= len(wanted.classes):
            raise DataError(
                f"labels go up to {most}, and the model knows the classes {_list(wanted.classes)}",
                hint="give the dataset, which has names for its labels, in place of the split alone",
            )
    return TensorSplit(batch, match.info, split.names)


def _differences(given: DataInfo, wanted: DataInfo) -> list[str]:
    """Why the values of some data do not fit a model."""
    found = column_differences(given, wanted)
    if found:
        return found
    if given.shape != wanted.shape:
        found.append(f"the model was built for examples of shape {wanted.shape}, these have {given.shape}")
    kinds = [(each.levels, each.counts) for each in (given, wanted)]
    standardised = bool(wanted.scale) and not given.scale
    inside = standardised or (wanted.low <= given.low and given.high <= wanted.high)
    same = (given.low, given.high) == (wanted.low, wanted.high) if wanted.levels else inside
    if kinds[0] != kinds[1] or not same:
        found.append(f"the model was built for {_values(wanted)}, these are {_values(given)}")
    # Of what was given in Python it is not known whether it is codes.
    if given.coded_by and wanted.coded_by and given.coded_by != wanted.coded_by:
        found.append(
            f"the model was built for codes of the weights {wanted.coded_by[:12]}, these are codes of {given.coded_by[:12]}"
        )
    if given.missing and not wanted.missing:
        found.append("values may be missing in these data, and the model was built for complete ones")
    return found


def _values(info: DataInfo) -> str:
    if info.counts:
        return "counts"
    kind = "continuous values" if info.levels is None else f"{info.levels} levels"
    return kind if math.isinf(info.high - info.low) else f"{kind} from {info.low:g} to {info.high:g}"


def _remedy(wanted: DataInfo) -> str:
    """What to type."""
    bring = f"bring the data to {_values(wanted)}"
    if wanted.levels == 2:
        bring = "save pictures in black and white as bool, such as x > 127"
    elif wanted.levels == 256:
        bring = "save 256 levels as x.astype('uint8'), 0 to 255"
    elif wanted.counts:
        bring = "open the data as counts: -s dataset.counts=true"
    return f"{bring}; or build a model for these data: genmod build --data NAME -s dataset.path=PATH"


def _unknown(name: str, given: Sequence[str], known: Sequence[str]) -> list[str]:
    """Why a model that is conditioned on a property cannot be given that of some data."""
    if not given:
        return [f"the model is conditioned on {name}, which the data do not have"]
    new = [value for value in given if value not in known]
    return [f"the model does not know {name} {_list(new)}; it knows {_list(known)}"] if new else []


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _merged(given: Factor, known: Factor | None) -> tuple[Factor, tuple[int, ...]]:
    """A factor with the model's values first, and the new number of each of the data's values."""
    if known is None:
        return given, tuple(range(given.size))
    names, places = _places(given.names, known.names)
    return Factor(given.name, len(names), names if given.values or known.values else ()), places


def _places(given: Sequence[str], known: Sequence[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The known names, then the others, and the place of each given name among them."""
    names = (*known, *(name for name in given if name not in known)) if given else tuple(known)
    place = {name: i for i, name in enumerate(names)}
    return names, tuple(place[name] for name in given)


def _renumbered(numbers: Tensor, places: Sequence[int]) -> Tensor:
    return torch.tensor(places, dtype=torch.int64)[numbers.long()] if places else numbers
