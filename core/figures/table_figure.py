"""One figure of a table: columns, pairs and correlations of the data beside those that a model made."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from genmod.data.dataset import DataInfo
from genmod.errors import UndefinedError
from genmod.figures.names import drawable
from genmod.figures.palette import INK, QUIET
from genmod.figures.saving import save_figure
from genmod.figures.table_axes import MADE, REAL, draw_correlations, draw_pair, draw_variable
from genmod.figures.tables import Variable, strongest, variables_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["TableFigure", "draw_legend", "draw_pairs", "table_figure"]

_ACROSS = 4


@dataclass(frozen=True)
class TableFigure:
    """A figure that is written as a picture is.

    Args:
        figure: drawn by :func:`table_figure`.
    """

    figure: "Figure"

    def save(self, path: Path) -> None:
        """Write it in one step, as ``.png``, ``.svg`` or ``.pdf``."""
        save_figure(self.figure, path)


def table_figure(real: Tensor, made: Tensor, data: DataInfo, *, title: str = "") -> "Figure":
    """Histograms of each column, pair plots and correlations: rows of the data beside rows of a model.

    Args:
        real: rows as a model is given them, ``(N, columns)``.
        made: rows of a model, ``(M, columns)``.
        data: names and units of the columns.
        title: above it.

    Raises:
        UndefinedError: the data are no table.

    Example:
        >>> import torch
        >>> data = DataInfo((3,), float("-inf"), float("inf"))
        >>> len(table_figure(torch.randn(50, 3), torch.randn(50, 3), data).axes)
        14
    """
    from genmod.figures.notebook import ShownFigure

    variables, count = variables_in(real, made, data)
    pairs = strongest(variables)
    rows = -(-len(variables) // _ACROSS)
    heights = [2.1 * rows, *([6.0] if len(pairs) > 1 else [])]
    figure = ShownFigure(figsize=(12.0, sum(heights) + 0.9), dpi=110, layout="constrained", facecolor="white")
    of = f"\nthe {len(variables)} of {count:,} columns that vary most" if count > len(variables) else ""
    figure.suptitle(f"{drawable(title)}{of}".strip(), fontsize=13, color=INK, ha="left", x=0.01)
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    panels = parts[0].subplots(rows, _ACROSS, squeeze=False).flatten()
    for axes, variable in zip(panels, variables, strict=False):
        draw_variable(axes, variable)
    for axes in panels[len(variables) :]:
        axes.remove()
    draw_legend(figure, "outside upper right")
    if len(pairs) > 1:
        left, right = parts[1].subfigures(1, 2, width_ratios=[1.0, 1.1])
        draw_pairs(left.subplots(len(pairs), len(pairs), squeeze=False).tolist(), pairs)
        two = right.subplots(1, 2)
        try:
            note = draw_correlations(two[0], two[1], variables)
        except UndefinedError:
            for axes in two:
                axes.remove()
        else:
            right.supxlabel(drawable(note), fontsize=8.5, color=QUIET)
    return figure


def draw_pairs(panels: Sequence[Sequence[Any]], variables: Sequence[Variable]) -> None:
    """Each pair of columns, in as many rows of axes: the data below the diagonal, the model above it, and both on it."""
    count = len(variables)
    for i, up in enumerate(variables):
        for j, across in enumerate(variables):
            axes, names = panels[i][j], (i == count - 1, j == 0)
            if i == j:
                draw_variable(axes, up, alone=False)
                axes.set_yticks([])
                axes.tick_params(labelsize=7, labelbottom=names[0])
                axes.set_xlabel(drawable(up.name) if names[0] else "", fontsize=8, color=INK)
                axes.set_ylabel(drawable(up.name) if names[1] else "", fontsize=8, color=INK)
            else:
                draw_pair(axes, across, up, made=j > i, names=names)
    # Over all panels, and so wider than the first one, of which it takes the height alone.
    panels[0][0].set_title(" ", fontsize=12)
    title = panels[0][0].annotate(
        "Pairs: data below, generated above", (0, 1), (0, 5), xycoords="axes fraction",
        textcoords="offset points", fontsize=12, color=INK, fontweight="bold", annotation_clip=False,
    )  # fmt: skip
    title.set_in_layout(False)


def draw_legend(figure: "Figure | Axes", place: Any, size: float = 10) -> None:
    """Which is which."""
    from matplotlib.patches import Patch

    keys = [Patch(color=REAL, alpha=0.45), Patch(facecolor="none", edgecolor=MADE, linewidth=1.6)]
    names = ["data", "generated"]
    figure.legend(keys, names, loc=place, ncols=2 if size > 8 else 1, frameon=False, fontsize=size)
