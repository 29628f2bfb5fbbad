"""Axes of figures. No torch."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from genmod.figures.palette import QUIET

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["log_scale", "most_of"]


def log_scale(axes: "Axes", values: Sequence[float]) -> None:
    """Positive values on a logarithmic axis with plain numbers.

    matplotlib's own labels are formulas, of which the source is shown where texts of users are not read as such; and
    only powers of ten have one, which may all lie outside.

    Args:
        axes: to draw in.
        values: all that is drawn.
    """
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    decades = math.log10(max(values) / min(values))
    marks = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0) if decades < 1.5 else (1.0, 3.0) if decades < 4 else (1.0,)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=marks))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def most_of(panel: "Axes", curves: Sequence[Sequence[float]]) -> None:
    """Show most values of a panel, and say which extreme ones lie outside."""
    low, high = _range(curves)
    panel.set_ylim(low, high)
    values = [value for curve in curves for value in curve if math.isfinite(value)]
    outside = [(max(values), high, 0.97, "top", "↑ up to"), (min(values), low, 0.03, "bottom", "↓ down to")]
    for extreme, edge, place, anchor, words in outside:
        if (extreme > edge) if anchor == "top" else (extreme < edge):
            panel.text(
                0.98, place, f"{words} {extreme:.4g}", transform=panel.transAxes, ha="right", va=anchor,
                color=QUIET, fontsize=8,
            )  # fmt: skip


def _range(curves: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Lowest and highest value to show. Beyond it may lie, if they are far from the rest, the first twentieth of each curve,
    at least one point of five, and a fiftieth at each end.
    """
    late = [value for curve in curves for value in curve[-(-len(curve) // 20) if len(curve) >= 5 else 0 :]]
    ordered = sorted(value for value in late if math.isfinite(value))
    whole = [value for curve in curves for value in curve if math.isfinite(value)]
    if not ordered:
        return (min(whole), max(whole)) if whole else (0.0, 1.0)
    low, high = min(whole), max(whole)
    inner_low, inner_high = ordered[len(ordered) // 50], ordered[-1 - len(ordered) // 50]
    middle = (inner_high - inner_low) or abs(inner_high) or 1.0
    low = inner_low if inner_low - low > middle / 2 else low
    high = inner_high if high - inner_high > middle / 2 else high
    pad = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
    return low - pad, high + pad
