"""The drawings of a page: curves, codes, activity of dimensions; by matplotlib, as SVG in the colours of the page."""

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import TYPE_CHECKING

from torch import Tensor

from genmod.data.dataset import Batch, DataInfo
from genmod.figures.bars import Variables, activity_bars, group_bars
from genmod.figures.curves import Curve, draw
from genmod.figures.draw import bare, groups_of, name_axes, scatter
from genmod.figures.palette import CLASSES, INK, LINE, QUIET, RUNS
from genmod.figures.plane import on_plane
from genmod.figures.spectra import Spectra, draw_spectra
from genmod.figures.table_axes import draw_correlations, draw_variable
from genmod.figures.table_figure import draw_pairs
from genmod.figures.tables import strongest, variables_in
from genmod.model.latent_variable import LatentVariableModel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "Chart",
    "codes_chart",
    "curves_chart",
    "dimensions_chart",
    "groups_chart",
    "spectra_chart",
    "table_charts",
]

_SIZE = (4.8, 3.0)
"""Inches of a drawing."""

_OF_THE_PAGE = {
    **{colour: f"var(--s{i})" for i, colour in enumerate(RUNS)},
    **{colour: f"var(--c{i})" for i, colour in enumerate(CLASSES)},
    INK: "var(--ink)",
    "#000000": "var(--ink)",
    QUIET: "var(--muted)",
    LINE: "var(--line)",
    "#ffffff": "var(--paper)",
}


@dataclass(frozen=True)
class Chart:
    """A drawing.

    Args:
        svg: markup of an ``svg`` element; every text in it is escaped.
        note: description of the drawing, and how it was made.
    """

    svg: str
    note: str


def curves_chart(found: Sequence[Curve], runs: Sequence[str]) -> Chart:
    """The curves of one metric; the legend of all of them is the page's.

    Args:
        found: of all runs.
        runs: names of all runs of the page, in order, of which each has a colour.
    """
    with _styled():
        figure = draw(found, runs=runs)
        figure.set_size_inches(*_SIZE)
        for legend in list(figure.legends):
            legend.remove()
    last = {(c.metric, c.run, c.split): c.values[-1] for c in found}
    ends = "; ".join(f"{' of '.join(dict.fromkeys(key))} ends at {value:.4g}" for key, value in last.items())
    return Chart(_svg(figure, f"curves over steps: {ends}", f"curves {found[0].metric}"), "")


def codes_chart(model: LatentVariableModel, data: DataInfo, latents: Tensor, batch: Batch, key: str) -> Chart:
    """Codes on a plane, coloured by class or by the first factor.

    Args:
        model: has the latent space.
        data: has the names of classes and factors.
        latents: ``(N, *latent_shape)``.
        batch: the examples.
        key: name of the drawing, unique on the page.

    Raises:
        UndefinedError: a code is not finite.
    """
    plane = on_plane([latents], space=model.space.kind)
    groups = groups_of(batch, data)
    size = latents[0].numel()
    how = f", {plane.method}," if plane.method else ""
    note = (
        f"Codes of {size} numbers{how} of {len(latents):,} examples"
        if size > 1
        else f"Codes of {len(latents):,} examples"
    )
    note += f", coloured by {groups.what}." if groups.what else "."

    def drawer(axes: "Axes") -> None:
        scatter(axes, plane.points[0], groups)
        name_axes(axes, *plane.axes)
        if size > 1:
            # One scale for both axes, so that distances can be compared.
            axes.set_aspect("equal", adjustable="datalim")
        bare(axes)

    return Chart(_drawn(drawer, (4.8, 4.6), note, key), note)


def dimensions_chart(amounts: Tensor, measure: str, variables: Variables, key: str) -> Chart:
    """The activity of each variable of the latents, the largest first.

    Args:
        amounts: of each, ``(V,)``.
        measure: what they are.
        variables: their names.
        key: name of the drawing, unique on the page.
    """
    largest = ", ".join(
        f"{variables.names[d]} {amounts[d]:.3g}" for d in amounts.argsort(descending=True)[:5].tolist()
    )
    alt = f"{measure} of {len(amounts)} latent dimensions; the largest: {largest}"

    def drawer(axes: "Axes") -> None:
        activity_bars(axes, amounts, measure, variables)

    note = f"{measure[0].upper()}{measure[1:]} of each latent dimension, the largest first."
    return Chart(_drawn(drawer, _SIZE, alt, key), note)


def groups_chart(amounts: Tensor, measure: str, variables: Variables, key: str) -> Chart:
    """The activity of each group of latents, in the order in which they are drawn; as :func:`dimensions_chart`."""
    totals = [float(part.sum()) for part in amounts.split(list(variables.groups))]
    alt = f"{measure} of {len(totals)} groups: " + ", ".join(f"{total:.3g}" for total in totals)
    note = f"{measure[0].upper()}{measure[1:]}, summed over each of {len(totals)} groups of latents."
    return Chart(_drawn(lambda axes: group_bars(axes, amounts, measure, variables), _SIZE, alt, key), note)


def spectra_chart(found: Spectra, n: int, key: str) -> Chart:
    """The spectra of pictures and of the errors of their reconstructions.

    Args:
        found: the spectra.
        n: number of pictures.
        key: name of the drawing, unique on the page.
    """
    lost = (found.errors / found.pictures).tolist()
    alt = f"spectra of pictures and of errors: {lost[0]:.2g} of the lowest frequencies is lost, {lost[-1]:.2g} of the highest"
    note = f"Power of {n:,} pictures and of the errors of their reconstructions, by cosine transforms, mean over directions."
    return Chart(_drawn(lambda axes: draw_spectra(axes, found), _SIZE, alt, key), note)


def table_charts(real: Tensor, made: Tensor, data: DataInfo, key: str) -> tuple[list[Chart], list[Chart]]:
    """Columns of a table, the data beside what the model made, one small drawing each; and their pairs and correlations.

    Args:
        real: rows as a model is given them, ``(N, columns)``.
        made: rows of the model, ``(M, columns)``.
        data: names and units.
        key: name of the drawings, unique on the page.

    Raises:
        UndefinedError: the data are no table.
    """
    from matplotlib.figure import Figure

    variables = variables_in(real, made, data)[0]
    each = []
    for i, variable in enumerate(variables):
        drawer = partial(draw_variable, variable=variable)
        alt = f"{variable.name}, data and generated"
        each.append(Chart(_drawn(drawer, (3.0, 2.1), alt, f"{key} {i}"), ""))
    whole, chosen = [], strongest(variables)
    if len(chosen) > 1:
        with _styled():
            figure = Figure(figsize=(4.8, 4.6), layout="constrained")
            draw_pairs(figure.subplots(len(chosen), len(chosen), squeeze=False).tolist(), chosen)
            note = "Pairs of columns: the data below the diagonal, generated rows above it, both on it."
            whole.append(Chart(_svg(figure, f"pairs of {len(chosen)} columns", f"{key} pairs"), note))
    if sum(v.ordered for v in variables) > 1:
        with _styled():
            figure = Figure(figsize=(7.2, 4.0), layout="constrained")
            left, right = figure.subplots(1, 2)
            note = draw_correlations(left, right, variables)
            alt = f"rank correlations. {note}"
            whole.append(Chart(_svg(figure, alt, f"{key} correlations"), f"Rank correlations. {note}"))
    return each, whole


def _drawn(drawer: "Callable[[Axes], None]", size: tuple[float, float], alt: str, key: str) -> str:
    from matplotlib.figure import Figure

    with _styled():
        figure = Figure(figsize=size, layout="constrained")
        drawer(figure.subplots())
        return _svg(figure, alt, key)


def _styled() -> AbstractContextManager[None]:
    """Style in which names of classes and runs are never formulas, and text stays text."""
    from matplotlib import rc_context

    return rc_context({"text.parse_math": False, "svg.fonttype": "none", "svg.hashsalt": "genmod"})


def _svg(figure: "Figure", alt: str, key: str) -> str:
    """A figure as an element of a page, with the colours of the page and ids that no other drawing has."""
    stream = io.StringIO()
    with _styled():
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    text = re.sub(r"<!--.*?-->", "", stream.getvalue().partition("<svg")[2], flags=re.DOTALL)
    text = re.sub(r' (?:xmlns|xmlns:xlink|version|width|height)="[^"]*"', "", text.partition(">")[0]) + (
        ">" + text.partition(">")[2]
    )
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", text)
    prefix = hashlib.sha256(key.encode(errors="backslashreplace")).hexdigest()[:8]
    text = re.sub(r'(url\(#|href="#| id=")', rf"\g<1>{prefix}-", text)
    for colour, name in _OF_THE_PAGE.items():
        text = text.replace(colour, name)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", text)
    return f'<svg role="img" aria-label="{escape(alt)}"{text}'
