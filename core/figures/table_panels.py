"""Panels of the figure of the latents for tables: columns, pairs and correlations of the data beside the generated."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from genmod.errors import UndefinedError
from genmod.figures.scene import Scene
from genmod.figures.table_axes import draw_correlations, draw_variable
from genmod.figures.table_figure import draw_legend, draw_pairs
from genmod.figures.tables import Variable, made_rows, strongest, variables_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TABLE_MAKERS"]

_ACROSS = 4


def _variables(scene: Scene) -> list[Variable]:
    data, batch = scene.model.data, scene.batch
    if len(data.shape) != 1 or batch is None:
        raise UndefinedError("there are no columns: the data are no table")
    made = made_rows(scene.model, batch, seed=scene.seed)
    scene.arrays["made"] = data.original(made)
    return variables_in(data.values(batch.x).float(), made, data)[0]


def _parts(axes: "Axes", rows: int, columns: int) -> list[list[Any]]:
    """The place of an axes, divided."""
    figure, place = axes.figure, axes.get_subplotspec()
    assert place is not None
    axes.remove()
    inner = place.subgridspec(rows, columns)
    return [[figure.add_subplot(inner[i, j]) for j in range(columns)] for i in range(rows)]


def _marginals(scene: Scene) -> Callable[["Axes"], None]:
    variables = _variables(scene)

    def drawer(axes: "Axes") -> None:
        panels = [each for row in _parts(axes, -(-len(variables) // _ACROSS), _ACROSS) for each in row]
        for each, variable in zip(panels, variables, strict=False):
            draw_variable(each, variable)
        for each in panels[len(variables) :]:
            each.remove()
        draw_legend(panels[0], "best", 7.5)

    return drawer


def _pairs(scene: Scene) -> Callable[["Axes"], None]:
    chosen = strongest(_variables(scene))
    if len(chosen) < 2:
        raise UndefinedError("there are no pairs: fewer than two columns have an order")
    return lambda axes: draw_pairs(_parts(axes, len(chosen), len(chosen)), chosen)


def _correlations(scene: Scene) -> Callable[["Axes"], None]:
    variables = _variables(scene)
    if sum(variable.ordered for variable in variables) < 2:
        raise UndefinedError("there are no correlations: fewer than two columns have an order")

    def drawer(axes: "Axes") -> None:
        (two,) = _parts(axes, 1, 2)
        two[0].set_xlabel(draw_correlations(two[0], two[1], variables), fontsize=8, loc="left")

    return drawer


TABLE_MAKERS: dict[str, Callable[[Scene], Callable[["Axes"], None]]] = {
    "marginals": _marginals,
    "pairs": _pairs,
    "correlations": _correlations,
}
