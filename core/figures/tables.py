"""Columns of a table in the user's units, as the data have them and as a model makes them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genmod.data.column import Column
from genmod.data.dataset import Batch, DataInfo
from genmod.errors import UndefinedError
from genmod.figures.views import evaluating, rows_of
from genmod.interfaces.model import GenerativeModel
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.pieces import examples_at_once

__all__ = ["MOST_ROWS", "Variable", "correlations", "made_rows", "strongest", "variables_in"]

MOST_ROWS = 2000
"""Rows that are compared."""


@dataclass(frozen=True)
class Variable:
    """A column of a table in the user's units, as the data have it and as a model makes it.

    Args:
        name: of the column.
        real: values of the data, ``(N,)`` double, NaN where missing; places of categories.
        made: those of the model, ``(M,)``.
        values: names of categories; empty of numbers.
        ordered: whether greater and smaller have a meaning: of numbers, of two categories, and of ordered ones.
        whole: whether the values are counts.
        log: whether it is drawn on a logarithmic axis, as what is positive and skewed.
        column: what is known of it; None of tables without names.
    """

    name: str
    real: NDArray[np.float64]
    made: NDArray[np.float64]
    values: tuple[str, ...] = ()
    ordered: bool = True
    whole: bool = False
    log: bool = False
    column: Column | None = None

    @property
    def missing(self) -> tuple[float, float]:
        """Shares of missing values."""
        return float(np.isnan(self.real).mean()), float(np.isnan(self.made).mean())

    def range(self) -> tuple[float, float]:
        """What is drawn: 99 % of the data, with some room."""
        known = self.real[np.isfinite(self.real)]
        if not len(known):
            known = np.zeros(1)
        low, high = np.quantile(known, [0.005, 0.995]).tolist()
        if self.whole:
            return max(0.0, math.floor(low)) - 0.5, max(math.ceil(high), math.floor(low) + 1) + 0.5
        if not low < high:
            return low - 1, high + 1
        if self.log:
            room = (high / low) ** 0.08
            return low / room, high * room
        return low - 0.08 * (high - low), high + 0.08 * (high - low)


def variables_in(real: Tensor, made: Tensor, data: DataInfo, most: int = 12) -> tuple[list[Variable], int]:
    """The columns of a table, and how many there are; of more than ``most``, those that vary most for their size.

    Args:
        real: rows as a model is given them, ``(N, columns)``.
        made: rows of a model, ``(M, columns)``.
        data: names and units.
        most: how many columns.

    Raises:
        UndefinedError: the data are no table.
    """
    if len(data.shape) != 1:
        raise UndefinedError("there are no columns: the data are no table")
    count = data.shape[0]
    chosen: Sequence[int] = range(count)
    if count > most:
        spread = real.double().nan_to_num(0.0)
        # Of counts, whose variance grows with their mean.
        spread = spread.log1p() if data.counts else spread
        chosen = sorted(spread.var(0).argsort(descending=True)[:most].tolist())
    own, theirs = (data.original(rows).double().cpu().numpy() for rows in (real, made))
    known: Sequence[Column | None] = data.modelled or [None] * count
    return [_variable(i, own[:, i], theirs[:, i], data, known[i]) for i in chosen], count


def _variable(
    place: int, real: NDArray[np.float64], made: NDArray[np.float64], data: DataInfo, column: Column | None
) -> Variable:
    name = column.name if column is not None else data.variables[place] if data.variables else f"x{place}"
    if column is not None and column.coded:
        return Variable(
            name, real, made, tuple(map(str, column.values)), ordered=column.kind != "category", column=column
        )
    whole = data.counts or (column is not None and column.kind == "count")
    finite = real[np.isfinite(real)]
    log = False
    if len(finite) and not whole and finite.min() > 0 and (column is None or column.kind != "date"):
        low, middle, high = np.quantile(finite, [0.01, 0.5, 0.99])
        log = (column is not None and column.kind == "positive") or high - middle > 4 * (middle - low)
    if column is not None and column.step and not whole:
        made = column.rounded(made)
    return Variable(name, real, made, whole=whole, log=bool(log), column=column)


def made_rows(model: GenerativeModel, batch: Batch, *, seed: int = 0) -> Tensor:
    """As many draws of a model as there are rows, given what these were labelled with, ``(N, columns)``.

    Raises:
        UndefinedError: the model has neither prior nor sampler.
    """
    count = len(batch)
    if not isinstance(model, LatentVariableModel):
        with evaluating(model, seed):  # type: ignore[arg-type]
            drawn: Tensor = model.sample(count, noise=True)
        return drawn
    context = model.context(batch)
    with evaluating(model, seed):
        z = model.latents(count, context)
        step, found = examples_at_once(model), []
        for start in range(0, count, step):
            part = slice(start, start + step)
            found.append(model.given(rows_of(context, part)).decode(z[part]).sample())
    return torch.cat(found)


def strongest(variables: Sequence[Variable], most: int = 4) -> list[Variable]:
    """The columns with the strongest correlations in the data, in their order; those of ordered values alone."""
    own = [v for v in variables if v.ordered and len(v.values) != 2] or [v for v in variables if v.ordered]
    if len(own) <= most:
        return own
    strength = np.abs(correlations([v.real for v in own]))
    np.fill_diagonal(strength, 0)
    best = sorted(np.argsort(-np.sort(strength, 1)[:, -2:].sum(1), kind="stable")[:most].tolist())
    return [own[i] for i in best]


def correlations(columns: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Spearman's rank correlations of the rows where both values are known; NaN where one of them is constant."""
    count = len(columns)
    found = np.eye(count)
    for i in range(count):
        for j in range(i):
            known = np.isfinite(columns[i]) & np.isfinite(columns[j])
            a, b = (_ranks(columns[k][known]) for k in (i, j))
            spread = a.std() * b.std() if known.sum() > 2 else 0.0
            found[i, j] = found[j, i] = (
                ((a - a.mean()) * (b - b.mean())).mean() / spread if spread else np.nan
            )
    return found


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places of the values in order; equal ones share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks
