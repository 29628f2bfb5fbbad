"""Bars of how much each latent dimension says, and each group of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from genmod.figures.draw import bare
from genmod.figures.palette import CLASSES, INK, QUIET
from genmod.model.latent_variable import LatentVariableModel
from genmod.nn import Maps

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Variables", "activity_bars", "group_bars", "variables_of"]

_MOST_BARS = 40
_COLOURED = 6
"""Groups that have a colour each; of more, nobody would find one in a legend."""


@dataclass(frozen=True)
class Variables:
    """The variables of latents: their names, and the groups that they are drawn in.

    Args:
        names: of each variable, such as ``z3`` of a vector and ``z3,0,1`` of a map.
        groups: number of variables in each group, the first one drawn first; a single one where there are no groups.
        shapes: of each group, in words.
    """

    names: tuple[str, ...]
    groups: tuple[int, ...]
    shapes: tuple[str, ...]

    @property
    def group_of(self) -> list[int]:
        """The number of the group of each variable."""
        return [number for number, size in enumerate(self.groups) for _ in range(size)]


def variables_of(model: LatentVariableModel) -> Variables:
    """Names and groups of the latents of a model.

    Example:
        >>> import genmod
        >>> found = variables_of(genmod.build("ladder-vae"))
        >>> found.names[:2], found.groups
        (('z0', 'z1'), (4, 8, 20))
    """
    names = tuple(f"z{unit.label}" for unit in model.space.units)
    sizes = model.prior.group_sizes
    shape = model.latent_shape
    parts = Maps.in_shape(shape).parts if isinstance(shape, Maps) else ()
    if len(sizes) < 2 or sum(sizes) != len(names):
        return Variables(names, (len(names),), (_shape(shape),))
    whole = [math.prod(part) for part in parts] == list(sizes)
    shapes = [_shape(part) for part in parts] if whole else [f"{size:,}" for size in sizes]
    return Variables(names, tuple(sizes), tuple(shapes))


def activity_bars(axes: "Axes", amounts: Tensor, measure: str, variables: Variables) -> None:
    """The activity of each variable, ``(V,)``, by name, the largest first; coloured by group where there are a few."""
    shown = amounts.argsort(descending=True)[:_MOST_BARS].tolist()
    active = int((amounts > 0.01).sum())
    places, groups = list(range(len(shown))), variables.group_of
    coloured = 1 < len(variables.groups) <= _COLOURED
    axes.bar(
        places, amounts[shown].tolist(), edgecolor=INK, linewidth=0.5, width=0.8,
        color=[CLASSES[groups[d] if coloured else 0] for d in shown],
    )  # fmt: skip
    if coloured:
        from matplotlib.patches import Patch

        ends = [sum(variables.groups[:i]) for i in range(len(variables.groups) + 1)]
        names = [
            f"group {i}: {variables.names[ends[i]]} to {variables.names[ends[i + 1] - 1]}"
            for i in range(len(variables.groups))
        ]
        keys = [Patch(facecolor=CLASSES[i], edgecolor=INK, linewidth=0.5) for i in range(len(names))]
        axes.legend(keys, names, frameon=False, fontsize=8, labelcolor=INK, loc="upper right")
    upright = len(shown) > 12 or max(len(variables.names[d]) for d in shown) > 3
    axes.set_xticks(places, [variables.names[d] for d in shown], rotation=90 if upright else 0)
    axes.set_ylabel(measure, color=QUIET, fontsize=9)
    total = f"{float(amounts.sum()):.2f} nats in all" if "KL" in measure else "no divergence by dimension"
    more = f"; the {len(shown)} largest of {len(amounts):,}" if len(shown) < len(amounts) else ""
    bare(axes, "What each dimension says", f"{total}; {active:,} of {len(amounts):,} above 0.01{more}")
    if len(shown) > 24:
        axes.tick_params(axis="x", labelsize=6.5)
    # Few bars stay narrow.
    axes.set_xlim(-0.7, max(len(shown), 6) - 0.3)


def group_bars(axes: "Axes", amounts: Tensor, measure: str, variables: Variables) -> None:
    """The activity of each group of variables, ``(V,)``, in the order in which they are drawn."""
    totals = [float(part.sum()) for part in amounts.split(list(variables.groups))]
    places = list(range(len(totals)))
    coloured = len(totals) <= _COLOURED
    axes.bar(
        places, totals, edgecolor=INK, linewidth=0.5, width=0.8, color=[CLASSES[i if coloured else 0] for i in places]
    )  # fmt: skip
    every = max(1, -(-len(totals) // 24))
    names = [
        f"{i}\n{shape}" if len(totals) <= _COLOURED else f"{i}: {shape}"
        for i, shape in enumerate(variables.shapes)
    ]
    axes.set_xticks(places[::every], names[::every], rotation=90 if len(totals) > _COLOURED else 0)
    axes.set_xlabel("group, and its shape", color=QUIET, fontsize=9)
    axes.set_ylabel(measure.replace("mean KL", "KL"), color=QUIET, fontsize=9)
    bare(axes, "What each group says", "summed over its dimensions; group 0 is drawn first")
    axes.set_xlim(-0.7, max(len(totals), 6) - 0.3)


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
