"""Axes of figures. No torch."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["log_scale"]


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
