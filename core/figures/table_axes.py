"""Drawings of the columns of a table: one alone, two as dots, and the correlations of all."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from genmod.errors import UndefinedError
from genmod.figures.draw import bare
from genmod.figures.names import drawable
from genmod.figures.palette import INK, QUIET, RUNS
from genmod.figures.tables import Variable, correlations

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MADE", "REAL", "draw_correlations", "draw_pair", "draw_variable"]

REAL, MADE = RUNS[0], RUNS[1]

_BINS = 24
_CATEGORIES = 8
_DOTS = 300


# One column


def draw_variable(axes: "Axes", variable: Variable, *, alone: bool = True) -> None:
    """A histogram of the data, filled, and that of the model, a line; shares of all values.

    Args:
        axes: to draw in.
        variable: the column.
        alone: with its name and numbers, rather than among pairs.
    """
    note = _categories(axes, variable) if variable.values else _histogram(axes, variable)
    lost = variable.missing[0]
    if lost:
        note = f"{lost:.0%} missing" + (f"; {note}" if note else "")
    axes.set_ylim(bottom=0)
    bare(axes, drawable(variable.name) if alone else "", note if alone else "")
    if not alone and not variable.values:
        _name_numbers(axes, variable, "x", few=True)
    axes.tick_params(labelsize=7.5)


def _categories(axes: "Axes", variable: Variable) -> str:
    count = len(variable.values)
    shares = []
    for cells in (variable.real, variable.made):
        known = cells[np.isfinite(cells)].astype(int).clip(0, count - 1)
        shares.append(np.bincount(known, minlength=count) / max(1, len(known)))
    # Ordered ones keep their order.
    order = np.arange(count) if count <= _CATEGORIES else np.argsort(-shares[0], kind="stable")
    first = order[: _CATEGORIES - 1] if count > _CATEGORIES else order
    names = [variable.values[i] for i in first]
    drawn = [share[first].tolist() for share in shares]
    if count > _CATEGORIES:
        names.append(f"{count - len(first):,} others")
        drawn = [[*part, 1 - sum(part)] for part in drawn]
    places = np.arange(len(names))
    axes.bar(places - 0.2, drawn[0], 0.4, color=REAL, alpha=0.55)
    axes.bar(places + 0.2, drawn[1], 0.4, facecolor="none", edgecolor=MADE, linewidth=1.5)
    short = [name if len(name) <= 11 else f"{name[:10]}…" for name in names]
    tilted = sum(map(len, short)) > 26
    axes.set_xticks(
        places.tolist(),
        [*map(drawable, short)],
        rotation=40 if tilted else 0,
        ha="right" if tilted else "center",
    )
    return ""


def _histogram(axes: "Axes", variable: Variable) -> str:
    low, high = variable.range()
    if variable.whole:
        step = max(1, math.ceil((high - low) / _BINS))
        edges = np.arange(low, high + step, step)
    elif variable.log:
        edges = np.geomspace(low, high, _BINS + 1)
        axes.set_xscale("log")
    else:
        edges = np.linspace(low, high, _BINS + 1)
    shares = []
    for cells in (variable.real, variable.made):
        known = cells[np.isfinite(cells)]
        shares.append(np.histogram(known, edges)[0] / max(1, len(known)))
    axes.stairs(shares[0], edges, fill=True, color=REAL, alpha=0.4)
    axes.stairs(shares[1], edges, color=MADE, linewidth=1.6)
    axes.set_xlim(float(edges[0]), float(edges[-1]))
    _name_numbers(axes, variable, "x")
    outside = 1 - float(shares[1].sum())
    usual = 1 - float(shares[0].sum())
    return f"{outside:.0%} of draws outside" if outside > usual + 0.01 else ""


def _name_numbers(axes: "Axes", variable: Variable, which: str, *, few: bool = False) -> None:
    """Few, plain numbers on an axis, and fewer in a small one; dates as such, years where that is enough."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    column = variable.column
    dated = column is not None and column.kind == "date"
    long = variable.range()[1] - variable.range()[0] > 700 * (
        1 if column is not None and column.dtype == "Date" else 86_400
    )
    if variable.log:
        low, high = variable.range()
        every = [
            m * 10.0**e
            for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            for m in (1, 2, 5)
        ]
        inside = [v for v in every if low <= v <= high]
        axis.set_major_locator(FixedLocator(inside[:: max(1, -(-len(inside) // (2 if few else 4)))]))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(2 if dated or few else 4, integer=variable.whole))

    def text(value: float, place: Any = None) -> str:
        if dated and column is not None:
            return column.shown(value)[: 4 if few and long else 10]
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"

    axis.set_major_formatter(FuncFormatter(text))


# Pairs and correlations


def draw_pair(
    axes: "Axes", across: Variable, up: Variable, *, made: bool, names: tuple[bool, bool] = (True, True)
) -> None:
    """Two columns as dots: those of the data, or of the model, in the range of the data.

    Args:
        axes: to draw in.
        across: to the right.
        up: upwards.
        made: of the model.
        names: whether the axes have names, the lower and the left one.
    """
    x, y = ((v.made if made else v.real) for v in (across, up))
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known][:_DOTS], y[known][:_DOTS]
    rng = np.random.default_rng(0)
    spread = [
        cells + rng.uniform(-0.28, 0.28, len(cells)) if v.whole or v.values else cells
        for v, cells in ((across, x), (up, y))
    ]
    axes.scatter(spread[0], spread[1], s=4, color=MADE if made else REAL, alpha=0.7, linewidths=0)
    for which, v in (("x", across), ("y", up)):
        if v.log:
            (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        _name_numbers(axes, v, which, few=True)
        (axes.set_xlim if which == "x" else axes.set_ylim)(
            *((-0.5, len(v.values) - 0.5) if v.values else v.range())
        )
    bare(axes)
    axes.tick_params(labelsize=7, labelbottom=names[0], labelleft=names[1])
    axes.set_xlabel(drawable(across.name) if names[0] else "", fontsize=8, color=INK)
    axes.set_ylabel(drawable(up.name) if names[1] else "", fontsize=8, color=INK)


def draw_correlations(left: "Axes", right: "Axes", variables: Sequence[Variable]) -> str:
    """Rank correlations of the data at the left, of the model at the right; where they differ most, in words.

    Raises:
        UndefinedError: fewer than two columns have an order.
    """
    own = [v for v in variables if v.ordered]
    if len(own) < 2:
        raise UndefinedError("there are no correlations: fewer than two columns have an order")
    both = [correlations([v.real for v in own]), correlations([v.made for v in own])]
    for axes, found, title in ((left, both[0], "Rank correlations: data"), (right, both[1], "generated")):
        axes.imshow(found, cmap="RdBu_r", vmin=-1, vmax=1)
        places = list(range(len(own)))
        short = [drawable(v.name if len(v.name) <= 12 else f"{v.name[:11]}…") for v in own]
        axes.set_xticks(places, short, rotation=60, ha="right", fontsize=7.5)
        axes.set_yticks(places, short if axes is left else [""] * len(own), fontsize=7.5)
        if len(own) <= 10:
            for i in places:
                for j in places:
                    if i != j and np.isfinite(found[i, j]):
                        pale = abs(found[i, j]) < 0.55
                        axes.text(
                            j, i, f"{found[i, j]:.1f}".replace("-0.0", "0.0"), ha="center", va="center", fontsize=6.5,
                            color="#1a1a1d" if pale else "#fefefe",
                        )  # fmt: skip
        axes.tick_params(length=0, labelcolor=QUIET)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_title(title, loc="left", fontsize=12, color=INK, fontweight="bold")
    apart = np.abs(np.nan_to_num(both[0] - both[1]))
    i, j = sorted(map(int, np.unravel_index(int(apart.argmax()), apart.shape)))
    return (
        f"They differ most for {own[i].name} and {own[j].name}: {both[0][i, j]:.2f} in the data, "
        f"{both[1][i, j]:.2f} generated."
    )
