"""Models side by side: their codes, and decodings between codes and at random points."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from genmod.data.dataset import Split
from genmod.errors import UndefinedError, UsageError
from genmod.figures.draw import bare, draw_path, groups_of, scatter, show_tiles
from genmod.figures.gaps import distance_to, emptiest_path, gap, ratio_of_means
from genmod.figures.names import drawable
from genmod.figures.palette import INK, QUIET
from genmod.figures.plane import on_plane
from genmod.figures.temperature import origin_of_latents
from genmod.figures.views import (
    choose_examples,
    cycled,
    decode_means,
    encode_centres,
    observed,
    prior_draws,
    random_decodings,
    rows_of,
)
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.pieces import held

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

__all__ = ["side_by_side"]

_STEPS = 10
_DOWN = 5


def side_by_side(
    models: Mapping[str, LatentVariableModel],
    splits: Mapping[str, Split],
    *,
    number: int = 1000,
    seed: int = 0,
) -> "Figure":
    """Draw models as columns, to compare what lies between their codes.

    For each: the codes of examples, coloured by class, with the line between two codes that is farthest from all
    others and with random points; the decodings on that line and of the points; the gaps as a number, by
    :func:`genmod.figures.gap`, and the same ratio for the points. The points are draws from the prior; for a
    model without one, they are uniform in the box around the codes, or, in more than two dimensions, normal with
    the mean and the standard deviations of the codes.

    Half of each split is encoded, and the other half is what decodings are compared to.

    Args:
        models: by name.
        splits: of each model's data, by the same names, 16 or more examples.
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
    from matplotlib.figure import Figure

    if not models or set(models) - set(splits) or min(len(splits[name]) for name in models) < 16:
        raise UsageError("a comparison takes models, and a split of 16 or more examples for each of them")
    figure = Figure(figsize=(6.0 * len(models), 10.2), dpi=110, layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)  # type: ignore[union-attr,call-arg]
    parts = figure.subfigures(1, len(models), squeeze=False)[0]
    for part, (name, model) in zip(parts, models.items(), strict=True):
        _column(part, name, model, splits[name], number, seed)
    return figure


def _column(
    part: "SubFigure", name: str, model: LatentVariableModel, split: Split, number: int, seed: int
) -> None:
    split, half = model.suited(split), min(held(number, model.data), len(split) // 2)
    both = choose_examples(split, half + min(held(5000, model.data), len(split) - half), seed=seed)
    batch, reference = both[slice(0, half)], both[slice(half, None)]
    context = model.context(batch)
    z = encode_centres(model, observed(model, batch.x, seed=seed), context=context, seed=seed)
    points, origin = _points(model, z, context, seed)
    way = emptiest_path(model, z, steps=_STEPS, seed=seed)
    crosses = bool(model.space.contains(way).all())
    plane = on_plane([z, points, way if crosses else way[:0]], space=model.space.kind, seed=seed)
    codes, circles, path = plane.points

    part.suptitle(drawable(name), fontsize=16, fontweight="bold", color=INK, ha="left", x=0.02)
    upper, middle, lower = part.subplots(3, 1, height_ratios=[4.6, 1.0, 3.2])
    scatter(upper, codes, groups_of(batch, split.info or model.data))
    draw_path(upper, path)
    upper.scatter(*circles.T.tolist(), s=42, facecolors="none", edgecolors="white", linewidths=2.6, zorder=7)
    upper.scatter(*circles.T.tolist(), s=42, facecolors="none", edgecolors=INK, linewidths=1.1, zorder=8)
    bare(upper, "Codes of examples", f"{plane.method + '; ' if plane.method else ''}circles: {origin}")
    upper.set_xticks([])
    upper.set_yticks([])
    upper.margins(0.04)
    for side in ("top", "right"):
        upper.spines[side].set_visible(True)
        upper.spines[side].set_color("#c8c8cc")

    at_codes = math.nan
    try:
        found = gap(model, z, reference.x, context=context, seed=seed)
        at_codes, text = found.at_codes, f"gaps: {found}"
    except UndefinedError as error:
        text = error.message
    if crosses:
        images = decode_means(model, way, context=rows_of(context, slice(1)))
        far = distance_to(model.data.values(reference.x).float().flatten(1).cpu(), images) / at_codes
        columns = [] if math.isnan(at_codes) else [f"{d:.2f}" for d in far.tolist()]
        show_tiles(middle, images[None], model.data, columns=columns, below=True)
        bare(middle, "Along the line", text)
    else:
        middle.set_axis_off()
        bare(middle, "No line between codes", text)
    made = decode_means(model, points, context=cycled(context, len(points))).reshape(
        _DOWN, -1, *model.data.shape
    )
    show_tiles(lower, made, model.data)
    note = ""
    if not math.isnan(at_codes):
        values = model.data.values(reference.x).float().flatten(1).cpu()
        at = distance_to(values, decode_means(model, z, context=context))
        ratio, width = ratio_of_means(distance_to(values, made.flatten(0, 1)), at)
        note = f"{ratio:.2f} ± {width:.2f} times as far from the nearest example as reconstructions are"
    bare(lower, "What the circles decode to", note)
    middle.tick_params(labelcolor=QUIET)


def _points(model: LatentVariableModel, z: Tensor, context: Tensor | None, seed: int) -> tuple[Tensor, str]:
    """Random points of the latent space, and what they are."""
    n = _DOWN * _STEPS
    given = cycled(context, n)
    try:
        draws = prior_draws(model, n, context=given, seed=seed)
        return draws, f"draws from the {origin_of_latents(model, 'prior')}"
    except UndefinedError:
        box = z[0].numel() <= 2
        made = random_decodings(model, z, n, context=given, seed=seed, box=box).latents
        assert made is not None
        return made, "anywhere in the box around them" if box else "normal with their mean and spread"
