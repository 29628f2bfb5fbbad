"""The kind of each column of a table, found from its cells, and its statistics in training."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genmod.data.cells import Cells
from genmod.data.column import Column, Kind
from genmod.errors import DataError

__all__ = ["column_of", "measured", "normals_of"]

_FEW = 20
"""Texts of which so many differ are categories, however few rows there are."""
_MOST_CATEGORIES = 10_000
_FEW_WHOLE = 10
_APART = 0.1
"""Total variation between counts and their negative-binomial distribution, from which on they are categories."""
_SKEWED = 1.0
_FAR = 1e4
"""Of the median: numbers that reach so far are one crowd and some outliers before a logarithm, whatever it makes of them."""
_EXACT = 2.0**53
_COUNTS = 2.0**24
"""Counts are held in single precision as they are."""
_POINTS, _MODES, _ROUNDS = 200, 5, 30
_CASES = 1000.0
"""More rows than these do not bring more normals."""


def column_of(cells: Cells, kind: Kind | None = None) -> Column:
    """The description of a column, without statistics.

    Args:
        cells: all of its cells.
        kind: that the user has chosen; found otherwise.

    Raises:
        DataError: the cells are not of the chosen kind, or not finite.
    """
    values = cells.values[cells.seen]
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.flatnonzero(cells.seen & ~np.isfinite(np.where(cells.seen, cells.values, 0)))[0])
        raise DataError(
            f"column {cells.name!r} has {cells.values[row]} in row {row + 1}; numbers are finite, or missing",
            hint="replace it, or leave it empty",
        )
    different = np.unique(values)
    found = kind or _found(cells, values, different)
    column = Column(cells.name, "identifier", cells.dtype, missing=not cells.seen.all())
    if found == "identifier":
        return column
    if found == "constant":
        if len(different) > 1:
            raise _refused(cells, found, f"has {len(different):,} different values")
        return replace(column, kind=found, values=_plain(different, cells))
    if not len(different):
        raise _refused(cells, found, "has no values")
    if found in ("binary", "category", "ordered"):
        declared = cells.categories
        names = (
            tuple(map(str, declared))
            if declared and set(different) <= set(declared)
            else _plain(different, cells)
        )
        if (found == "binary" and len(names) != 2) or len(names) < 2:
            raise _refused(cells, found, f"has {len(names):,} different values")
        return replace(column, kind=found, values=names)
    if values.dtype == object or (found == "date") != cells.time:
        raise _refused(cells, found, f"holds values of the type {cells.dtype}")
    numbers = values.astype(np.float64)
    whole = bool((numbers == np.rint(numbers)).all())
    if found == "count" and not (whole and numbers.min() >= 0 and numbers.max() < _COUNTS):
        raise _refused(cells, found, "has values that are no whole numbers from 0 to 16,777,215")
    if found == "whole" and not whole:
        raise _refused(cells, found, "has fractions")
    if found == "positive" and numbers.min() < 0:
        raise _refused(cells, found, "has values below 0")
    return replace(column, kind=found, step=_step(numbers, cells))


def _step(numbers: NDArray[np.float64], cells: Cells) -> float:
    """The largest usual step of which all values are multiples."""
    if cells.time:
        steps = (1.0,) if cells.dtype == "Date" else (86_400.0, 3600.0, 60.0, 1.0, 1e-3)
    else:
        steps = (1.0, 0.1, 0.01, 1e-3, 1e-4)
    for step in steps:
        places = numbers / step
        if (np.abs(places - np.rint(places)) <= 1e-9 * np.abs(places).clip(1)).all():
            return step
    return 0.0


def _refused(cells: Cells, kind: str, why: str) -> DataError:
    return DataError(
        f"column {cells.name!r} cannot be {kind}: it {why}",
        hint=f"choose another kind: -s dataset.kinds={cells.name}:KIND; leave it out to have it found",
    )


def _plain(different: NDArray[Any], cells: Cells) -> tuple[Any, ...]:
    """Python values; whole numbers as such."""
    whole = different.dtype.kind == "f" and bool((different == np.rint(different)).all())
    if whole and not cells.time and cells.dtype.startswith(("Int", "UInt")):
        different = different.astype(np.int64)
    return tuple(different.tolist())


def _found(cells: Cells, values: NDArray[Any], different: NDArray[Any]) -> Kind:
    n, count = len(values), len(different)
    if count <= 1:
        return "constant"
    if cells.time:
        return "date"
    if cells.categories is not None or values.dtype == bool:
        several: Kind = "ordered" if cells.ordered else "category"
        names = count if cells.categories is None else len(cells.categories)
        return "binary" if names == 2 else several if names <= _MOST_CATEGORIES else "identifier"
    if values.dtype == object:
        if count > min(max(_FEW, n / 2), _MOST_CATEGORIES):
            return "identifier"
        return "binary" if count == 2 else "category"
    if count == 2:
        return "binary"
    numbers = values.astype(np.float64)
    exact = values.dtype.kind != "f" or np.abs(numbers).max() < _EXACT
    if exact and (numbers == np.rint(numbers)).all():
        return _found_whole(numbers, different.astype(np.float64), n)
    return "positive" if _skewed(numbers) else "real"


def _found_whole(numbers: NDArray[np.float64], different: NDArray[np.float64], n: int) -> Kind:
    count, span = len(different), different[-1] - different[0]
    if count == n > _FEW and (span == n - 1 or np.abs(different).max() >= _EXACT):
        return "identifier"
    if np.abs(different).max() >= _EXACT:
        return "category" if count <= min(n / 2, _MOST_CATEGORIES) else "identifier"
    counts = different[0] == 0 and span < _COUNTS and numbers.var() >= numbers.mean() / 2
    if count <= _FEW_WHOLE and n >= 5 * count:
        return "count" if counts and _count_like(numbers) else "ordered"
    return "count" if counts else "whole"


def _count_like(numbers: NDArray[np.float64]) -> bool:
    """Whether numbers from 0 on are distributed about as a negative-binomial distribution of their mean and variance."""
    from scipy.stats import nbinom, poisson

    mean, variance = float(numbers.mean()), float(numbers.var())
    places = np.arange(int(numbers.max()) + 1)
    shares = np.bincount(numbers.astype(np.int64)) / len(numbers)
    size = mean**2 / (variance - mean) if variance > mean else np.inf
    law = nbinom(size, size / (size + mean)) if np.isfinite(size) else poisson(mean)
    expected = law.pmf(places)
    return bool((np.abs(shares - expected).sum() + 1 - expected.sum()) / 2 < _APART)


def _skewed(numbers: NDArray[np.float64]) -> bool:
    """Whether a logarithm makes positive numbers more symmetric."""
    if numbers.min() < 0:
        return False
    skewness = _skewness(numbers)
    far = numbers.max() > _FAR * np.median(numbers)
    return skewness > _SKEWED and (far or abs(_skewness(np.log(numbers + _offset(numbers)))) < skewness / 2)


def _skewness(numbers: NDArray[np.float64]) -> float:
    size = np.abs(numbers).max() or 1.0
    apart = numbers / size - (numbers / size).mean()
    deviation = np.sqrt(np.square(apart).mean())
    return float((apart**3).mean() / deviation**3) if deviation > 0 else 0.0


def _offset(numbers: NDArray[np.float64]) -> float:
    """What is added before the logarithm: nothing where no value is 0, else the lower quartile of those that are not."""
    above = numbers[numbers > 0]
    return 0.0 if len(above) in (0, len(numbers)) else float(np.quantile(above, 0.25))


def measured(column: Column, numbers: NDArray[np.float64]) -> tuple[Column, float, float]:
    """A column with its statistics, and its shift and scale.

    Args:
        column: that is modelled.
        numbers: of the training rows, in the units of :class:`Column`, ``(N,)``, NaN where missing.

    Raises:
        DataError: no value is there in training, or they are too far apart for floating-point numbers.
    """
    seen = numbers[~np.isnan(numbers)]
    if column.coded:
        return column, 0.0, 1.0
    if not len(seen):
        raise DataError(
            f"column {column.name!r} has no value in the training rows",
            hint=f"leave it out: drop={column.name}",
        )
    column = replace(
        column,
        low=float(seen.min()),
        high=float(seen.max()),
        offset=_offset(seen) if column.kind == "positive" else 0.0,
    )
    if column.kind == "count":
        return column, 0.0, 1.0
    if column.kind == "positive" and not (seen + column.offset > 0).all():
        raise DataError(f"column {column.name!r} is 0 in all training rows, and cannot be positive")
    mapped = column.mapped(seen)
    size = float(np.abs(mapped).max()) or 1.0
    shift = float((mapped / size).mean() * size)
    deviation = float(np.sqrt(np.square(mapped / size - shift / size).mean()) * size)
    # A deviation that is all rounding error belongs to a column that does not vary in training.
    scale = deviation if deviation > 1e-12 * size else 1.0
    if not np.isfinite([shift, scale]).all() or not np.isfinite((mapped - shift) / scale).all():
        raise DataError(
            f"the values of column {column.name!r} lie too far apart: {column.low:g} to {column.high:g}",
            hint="leave it out with drop, or divide it by a large number first",
        )
    least = max(column.step / 2 / scale if column.kind != "positive" else 0.0, 0.02)
    return replace(column, modes=normals_of((mapped - shift) / scale, least)), shift, scale


def normals_of(values: NDArray[np.float64], least: float = 0.02) -> int:
    """How many normals describe standardised values, ``(N,)``: by the BIC of mixtures that are fitted to their quantiles.

    Args:
        values: of mean 0 and deviation 1.
        least: the smallest deviation of a normal.

    Example:
        >>> left, right = np.random.default_rng(0).normal(size=(2, 500)) * 0.3
        >>> normals_of(np.concatenate([left - 1, right + 1]))
        2
    """
    points = np.quantile(values, (np.arange(_POINTS) + 0.5) / _POINTS)
    best, score, cases = 1, -np.inf, min(float(len(values)), _CASES)
    for k in range(1, _MODES + 1):
        found = cases * _fitted(points, k, least) - (3 * k - 1) / 2 * np.log(cases)
        if found > score:
            best, score = k, found
        elif k > best + 1:
            break
    return best


def _fitted(points: NDArray[np.float64], k: int, least: float) -> float:
    """The mean log-density of points under the best mixture of ``k`` normals, by expectation and maximisation."""
    means = np.quantile(points, (np.arange(k) + 0.5) / k)
    scales, shares = np.full(k, max(points.std() / k, least, 1e-6)), np.full(k, 1.0 / k)
    total = np.zeros(len(points))
    for _ in range(_ROUNDS):
        apart = (points[:, None] - means) / scales
        logs = np.log(shares) - np.log(scales) - 0.5 * np.square(apart) - 0.5 * np.log(2 * np.pi)
        top = logs.max(1, keepdims=True)
        weights = np.exp(logs - top)
        total = np.log(weights.sum(1)) + top[:, 0]
        weights /= weights.sum(1, keepdims=True)
        mass = weights.sum(0) + 1e-9
        means = weights.T @ points / mass
        scales = np.sqrt((weights * np.square(points[:, None] - means)).sum(0) / mass).clip(max(least, 1e-6))
        shares = mass / mass.sum()
    return float(total.mean())
