"""Models side by side: their codes, and decodings between codes and at random points."""

from collections.abc import Mapping
from textwrap import fill
from typing import TYPE_CHECKING

import torch

from genmod.data.dataset import Split
from genmod.errors import UndefinedError, UsageError
from genmod.figures.draw import bare, draw_path, groups_of, scatter, show_tiles
from genmod.figures.gaps import emptiest_path, roaming, yardstick
from genmod.figures.names import drawable
from genmod.figures.palette import INK, LINE, MARK
from genmod.figures.plane import on_plane
from genmod.figures.scene import encoded_and_compared, told
from genmod.figures.tiles import enlargement
from genmod.figures.views import (
    cycled,
    decode_means,
    encode_centres,
    observed,
    rows_of,
)
from genmod.model.latent_variable import LatentVariableModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

__all__ = ["side_by_side"]

_STEPS = 10
_DOWN = 5
_LETTERS = 80
"""Of a note in a line as wide as a column."""


def side_by_side(
    models: Mapping[str, LatentVariableModel],
    splits: Mapping[str, Split],
    *,
    references: Mapping[str, Split] | None = None,
    number: int = 2000,
    seed: int = 0,
) -> "Figure":
    """Draw models as columns, to compare what lies between their codes.

    For each: the codes of examples, coloured by class, with the line between two codes that is farthest from all
    others and with random points; the decodings on that line and of the points, framed where they are like no example;
    and the gaps as a number, the share of such points, see :class:`genmod.figures.Gap`.

    Args:
        models: by name.
        splits: of each model's data, by the same names, 16 or more examples.
        references: other examples, by the same names, to compare decodings with; by default half of each split.
        number: examples to encode, at most.
        seed: of the examples, the points and the lines.

    Returns:
        A matplotlib figure that belongs to no backend; ``.savefig("gaps.png")`` writes it.

    Raises:
        UsageError: no models, a model without a split, or too few examples.

    Example:
        >>> import genmod
        >>> from genmod.model.assembly import open_dataset
        >>> model = genmod.build("autoencoder", encoder="mlp", latent=2)
        >>> figure = side_by_side({"ae": model}, {"ae": open_dataset(model.spec).split("test")})
        >>> len(figure.subfigs)
        1
    """
    from genmod.figures.notebook import ShownFigure

    if not models or set(models) - set(splits) or min(len(splits[name]) for name in models) < 16:
        raise UsageError("a comparison takes models, and a split of 16 or more examples for each of them")
    figure = ShownFigure(figsize=(6.0 * len(models), 10.2), dpi=110, layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)  # type: ignore[union-attr,call-arg]
    parts = figure.subfigures(1, len(models), squeeze=False)[0]
    for part, (name, model) in zip(parts, models.items(), strict=True):
        _column(part, name, model, splits[name], (references or {}).get(name), number, seed)
    return figure


def _column(
    part: "SubFigure",
    name: str,
    model: LatentVariableModel,
    split: Split,
    reference: Split | None,
    number: int,
    seed: int,
) -> None:
    split = model.suited(split)
    batch, compared = encoded_and_compared(model, split, reference, number, seed=seed)
    context = model.context(batch)
    z = encode_centres(model, observed(model, batch.x, seed=seed), context=context, seed=seed)
    everywhere, origin = roaming(model, z, context=context, seed=seed)
    made = decode_means(model, everywhere, context=cycled(context, len(everywhere)))
    measure = None
    far = torch.zeros(len(everywhere))
    try:
        measure = yardstick(model, z, compared.x, context=context)
        far = measure.far(made)
        gap = measure.gap(far, origin)
        text = f"framed: gaps, like no example; {gap.percentage} of {gap.draws:,} such points"
    except UndefinedError as error:
        text = f"gaps are not measured: {error.message}"
    some = torch.arange(_DOWN * _STEPS) % len(everywhere)
    points, lost = everywhere[some.to(everywhere.device)], far[some] > 1
    way = emptiest_path(model, z, steps=_STEPS, seed=seed)
    crosses = bool(model.space.contains(way).all())
    plane = on_plane([z, points, way if crosses else way[:0]], space=model.space.kind, seed=seed)
    codes, circles, path = plane.points
    drawn = len(circles) > 0

    part.suptitle(drawable(name), fontsize=16, fontweight="bold", color=INK, ha="left", x=0.02)
    upper, middle, lower = part.subplots(3, 1, height_ratios=[4.6, 1.0, 3.2])
    scatter(upper, codes, groups_of(batch, split.info or model.data), legend=False)
    if len(path):
        draw_path(upper, path)
    if drawn:
        edges = [MARK if each else INK for each in lost.tolist()]
        x, y = circles.T.tolist()
        upper.scatter(x, y, s=42, facecolors="none", edgecolors="white", linewidths=2.6, zorder=7)
        upper.scatter(x, y, s=42, facecolors="none", edgecolors=edges, linewidths=1.1, zorder=8)
    notes = [plane.method] * bool(plane.method) + [f"circles: {origin}"] * drawn
    bare(upper, "Codes of examples", fill("; ".join(notes), _LETTERS))
    upper.set_xticks([])
    upper.set_yticks([])
    upper.margins(0.04)
    for side in ("top", "right"):
        upper.spines[side].set_visible(True)
        upper.spines[side].set_color(LINE)

    if crosses:
        images = decode_means(model, way, context=rows_of(context, slice(1)))
        shape = (1, _STEPS)
        marked = None if measure is None else (measure.far(images) > 1).reshape(shape)
        show_tiles(middle, images.unflatten(0, shape), model.data, marked=marked)
        how = enlargement(model.data)
        where = f"between two codes, far from all others{told(model, context)}"
        bare(middle, "Along the line", fill(f"{where}{'; ' * bool(how)}{how}", _LETTERS))
    else:
        middle.set_axis_off()
        bare(middle, "No line between codes", "it would leave the latent space")
    shape = (_DOWN, _STEPS)
    show_tiles(lower, made[some].unflatten(0, shape), model.data, marked=lost.reshape(shape))
    bare(lower, "What the circles decode to" if drawn else f"What {origin} decode to", fill(text, _LETTERS))
