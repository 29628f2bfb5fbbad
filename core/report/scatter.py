"""Where the codes of examples lie, on a plane."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from genmod.data.dataset import Batch, DataInfo
from genmod.errors import UndefinedError
from genmod.figures.plane import principal_axes
from genmod.report.charts import nice_ticks

__all__ = ["Scatter", "scatter"]

_SIDE = 420
_EDGE = 40
_MOST_COLOURS = 10


@dataclass(frozen=True)
class Scatter:
    """A drawing of points.

    Args:
        points: left, top and number of the colour of each.
        classes: what the colours mean.
        x: what the lower axis is.
        y: what the left axis is.
        x_ticks: places and texts on the lower axis.
        y_ticks: places and texts on the left axis.
        alt: what is to be seen, in words.
        note: how it was made.
    """

    points: tuple[tuple[float, float, int], ...]
    classes: tuple[str, ...]
    x: str
    y: str
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    alt: str
    note: str
    side: int = _SIDE
    edge: int = _EDGE


def scatter(latents: Tensor, batch: Batch, data: DataInfo) -> Scatter:
    """Codes in the plane of their first two principal components, or as they are where there are two numbers.

    Args:
        latents: ``(N, *latent_shape)``.
        batch: the examples.
        data: names of their classes, or of their first factor.

    Raises:
        UndefinedError: a code is not finite.
    """
    flat = latents.flatten(1).double()
    if not flat.isfinite().all():
        raise UndefinedError("codes of this model are infinite or not a number")
    plane, names = _plane(flat)
    groups, classes, what = _groups(batch, data, len(flat))
    spread = (plane.amax(0) - plane.amin(0)).max().item() or 1.0
    middle = (plane.amax(0) + plane.amin(0)) / 2
    # One scale for both axes: distances are what the drawing is about.
    unit = (_SIDE - 2 * _EDGE) / (1.04 * spread)
    place = (plane - middle) * unit * torch.tensor([1.0, -1.0]) + _SIDE / 2
    points = tuple((round(x, 1), round(y, 1), g) for (x, y), g in zip(place.tolist(), groups, strict=True))
    ticks = []
    for axis, sign in ((0, 1.0), (1, -1.0)):
        centre = middle[axis].item()
        half = (_SIDE - 2 * _EDGE) / 2 / unit
        ticks.append(
            tuple(
                (_SIDE / 2 + sign * (t - centre) * unit, f"{t:g}")
                for t in nice_ticks(centre - half, centre + half, 5)
            )
        )
    kind = (
        "Codes"
        if flat.shape[1] <= 2
        else f"Codes of {flat.shape[1]} numbers, projected on two principal components,"
    )
    note = f"{kind} of {len(flat):,} examples" + (f", coloured by {what}." if what else ".")
    return Scatter(points, classes, names[0], names[1], ticks[0], ticks[1], alt=note, note=note)


def _plane(flat: Tensor) -> tuple[Tensor, tuple[str, str]]:
    """``(N, D) → (N, 2)``, and what the two are."""
    if flat.shape[1] == 1:
        return torch.cat([flat, torch.zeros_like(flat)], 1), ("z0", "")
    if flat.shape[1] == 2:
        return flat, ("z0", "z1")
    axes, shares = principal_axes(flat)
    first, second = (f"{100 * share:.0f} % of the variance" for share in shares.tolist())
    return (flat - flat.mean(0)) @ axes.T, (f"first component, {first}", f"second, {second}")


def _groups(batch: Batch, data: DataInfo, n: int) -> tuple[list[int], tuple[str, ...], str]:
    """The number of the colour of each example, what the colours mean, and what that is."""
    if batch.labels is not None:
        numbers, names, what = batch.labels.tolist(), data.classes, "class"
    elif batch.factors is not None and data.factors:
        first = data.factors[0]
        numbers, what = batch.factors[:, 0].tolist(), first.name
        names = first.values or tuple(map(str, range(first.size)))
    else:
        return [0] * n, (), ""
    kinds = max([len(names), *(number + 1 for number in numbers)])
    if kinds <= _MOST_COLOURS:
        return numbers, _filled(names, kinds), what
    # More classes than colours: neighbours in their order share one.
    bins = [number * _MOST_COLOURS // kinds for number in numbers]
    names = _filled(names, kinds)
    ends = [[k for k in range(kinds) if k * _MOST_COLOURS // kinds == b] for b in range(_MOST_COLOURS)]
    return bins, tuple(names[k[0]] if len(k) == 1 else f"{names[k[0]]} … {names[k[-1]]}" for k in ends), what


def _filled(names: Sequence[str], count: int) -> tuple[str, ...]:
    return tuple(names[i] if i < len(names) else str(i) for i in range(count))
