"""Traversals of single dimensions of the latent space, in steps that fit their support."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from genmod.distributions.codes import Codebook
from genmod.distributions.support import Space
from genmod.errors import UsageError
from genmod.figures.picture import Picture
from genmod.figures.views import decode_means, rows_of
from genmod.figures.walks import latent_scale
from genmod.model.latent_variable import LatentVariableModel

__all__ = ["active_traversal", "traversal", "variables"]

_MOST_CODES = 16


def traversal(
    model: LatentVariableModel,
    z: Tensor,
    dimensions: Sequence[int],
    values: Tensor,
    *,
    scale: tuple[Tensor, Tensor] | None = None,
    context: Tensor | None = None,
) -> Picture:
    """Decodings of one latent with one dimension at a time set to a row of values.

    Args:
        model: any model.
        z: where all other dimensions stay, ``latent_shape``.
        dimensions: to change, a row each: positions in the flattened latent, or numbers of the variables where each
            is a vector of classes.
        values: of the dimension, ``(V,)``, in standard deviations from the centre of ``scale``. Where the prior is
            normal, ``v`` is its quantile at ``Φ(v)``. On a sphere, the largest is a quarter turn; classes and codes are shown
            one by one instead, and bits are off and on. In a bounded space, points outside are moved inside.
        scale: centre and standard deviation of the latent space, by default those of :func:`latent_scale`.
        context: what a conditional model is given, ``(1, size)``.

    Returns:
        Images ``(rows, V, *data.shape)``, latents ``(rows, V, *latent_shape)``; extra ``dimensions (rows,)``
        and ``values (rows, V)``, what the dimension was set to.

    Raises:
        UsageError: a dimension that the latent does not have, or a latent of another shape.
        UndefinedError: no scale is given or known.

    Example:
        >>> import genmod
        >>> model = genmod.build(encoder="mlp", latent=3)
        >>> traversal(model, torch.zeros(3), [2, 0], torch.linspace(-3, 3, 7)).images.shape
        torch.Size([2, 7, 1, 8, 8])
    """
    size, space = variables(model), model.space
    wrong = [d for d in dimensions if not 0 <= d < size]
    if wrong or not dimensions:
        raise UsageError(
            f"the latents have no dimension {', '.join(map(str, wrong))}"
            if wrong
            else "no dimension was given",
            hint=f"dimensions are numbered from 0 to {size - 1}",
        )
    if tuple(z.shape) != model.latent_shape:
        raise UsageError(
            f"a traversal starts at one latent of shape {model.latent_shape}, not {tuple(z.shape)}"
        )
    rows = torch.tensor(list(dimensions), device=z.device)
    labels = tuple(f"{value:+.3g}" if value else "0" for value in values.tolist())
    if space.codebook is not None:
        points, settings = _code_by_code(z, space.codebook, dimensions)
        title, labels = "Traversals, code by code", tuple(map(str, settings[0].long().tolist()))
    elif space.kind in ("choice", "simplex"):
        points, settings = _class_by_class(z, rows)
        title, labels = "Traversals, class by class", tuple(map(str, range(points.shape[1])))
    elif space.kind == "bits":
        settings = torch.tensor([0.0, 1.0]).to(z).expand(len(rows), 2)
        points = _with(z, rows, settings)
        title, labels = "Traversals, off and on", ("0", "1")
    elif space.kind == "sphere":
        points, settings = _over_the_sphere(z, rows, values)
        title = "Traversals over the sphere, coordinates"
        labels = tuple(f"{value:+.2f}" if abs(value) > 1e-6 else "0" for value in settings[0].tolist())
    else:
        centre, width = (part.flatten().to(z) for part in scale or latent_scale(model, context=context))
        points, settings = _piece_by_piece(z, space, dimensions, values.to(z), centre, width)
        points = _kept_inside(space, z, points)
        title = "Traversals, in standard deviations"
        if any(piece.classes for piece in space.pieces):
            title += "; of classes, from the first to the last"
    return Picture(
        decode_means(model, points, context=context),
        model.data,
        latents=points,
        extra={"dimensions": rows, "values": settings},
        title=title,
        row_labels=tuple(f"z{d}" for d in dimensions),
        column_labels=labels,
        walk=True,
    )


def active_traversal(
    model: LatentVariableModel,
    latents: Tensor,
    amounts: Tensor,
    rows: int,
    steps: int,
    *,
    context: Tensor | None = None,
) -> Picture:
    """:func:`traversal` of the first code along its most active dimensions, 3 standard deviations to either side.

    Args:
        model: any model.
        latents: codes, ``(N, *latent_shape)``.
        amounts: activity of each variable, ``(V,)``, as :func:`genmod.figures.activity` gives it.
        rows: number of dimensions.
        steps: points in a row.
        context: what a conditional model is given of the examples, ``(N, size)``.
    """
    given = rows_of(context, slice(0, 1))
    chosen = amounts.argsort(descending=True)[:rows].tolist()
    scale = latent_scale(model, latents, context=given)
    return traversal(model, latents[0], chosen, torch.linspace(-3, 3, steps), scale=scale, context=given)


def variables(model: LatentVariableModel) -> int:
    """How many variables of a latent can be changed alone: its numbers, or its vectors of classes.

    Example:
        >>> import genmod
        >>> variables(genmod.build("categorical-vae"))
        20
    """
    return len(model.space.units)


def _with(z: Tensor, rows: Tensor, settings: Tensor) -> Tensor:
    """``z`` with one number set: ``latent_shape, (R,), (R, V) → (R, V, *latent_shape)``."""
    points = z.flatten().repeat(*settings.shape, 1)
    points.scatter_(2, rows[:, None, None].expand(-1, settings.shape[1], 1), settings[..., None])
    return points.reshape(*settings.shape, *z.shape)


def _code_by_code(z: Tensor, codebook: Codebook, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Each code set to each of its values in turn, or to some of them, evenly spread, where they are many."""
    every = torch.linspace(0, codebook.classes - 1, min(codebook.classes, _MOST_CODES)).round().long()
    own = codebook.codes(z[None])[0]
    codes = own.flatten().repeat(len(rows), len(every), 1)
    for place, row in enumerate(rows):
        codes[place, :, row] = every.to(codes)
    points = codebook.embed(codes.reshape(len(rows), len(every), *own.shape))
    return points.to(z), every.to(z).expand(len(rows), -1)


def _class_by_class(z: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Each variable set to each of its classes in turn."""
    classes = z.shape[-1]
    points = z.reshape(-1, classes).repeat(len(rows), classes, 1, 1)
    every = torch.arange(classes, device=z.device)
    for place, row in enumerate(rows.tolist()):
        points[place, every, row] = torch.eye(classes).to(z)
    return points.reshape(len(rows), classes, *z.shape), every.to(z).expand(len(rows), -1)


def _piece_by_piece(
    z: Tensor, space: Space, rows: Sequence[int], values: Tensor, centre: Tensor, width: Tensor
) -> tuple[Tensor, Tensor]:
    """Each variable by the support of its piece: numbers in standard deviations, classes one after the other."""
    owners = [(piece, piece.start + i) for piece in space.pieces for i in range(piece.variables)]
    points, settings = z.flatten().repeat(len(rows), len(values), 1), values.repeat(len(rows), 1)
    for place, row in enumerate(rows):
        piece, first = owners[row]
        if piece.classes:
            settings[place] = torch.linspace(0, piece.size - 1, len(values)).round()
            classes = torch.eye(piece.size).to(z)[settings[place].long()]
            points[place, :, first : first + piece.size] = classes
            continue
        if piece.kind == "bits":
            settings[place] = (values > 0).to(values)
        else:
            settings[place] = centre[first] + width[first] * values
        points[place, :, first] = settings[place]
    return points.reshape(len(rows), len(values), *z.shape), settings


def _over_the_sphere(z: Tensor, rows: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """One coordinate from -1 to 1, evenly in angle, and all others scaled so that the length stays 1."""
    reach = values.abs().max().clamp(min=1e-12)
    settings = (values.to(z) / reach.to(z) * (math.pi / 2)).sin().expand(len(rows), -1)
    flat = z.flatten()
    points = flat.repeat(*settings.shape, 1)
    for place, row in enumerate(rows.tolist()):
        others = flat.clone()
        others[row] = 0
        if float(others.norm()) < 1e-6:
            others[(row + 1) % len(flat)] = 1
        others = others / others.norm()
        points[place] = (1 - settings[place].square()).clamp(min=0).sqrt()[:, None] * others
        points[place, :, row] = settings[place]
    return points.reshape(*settings.shape, *z.shape), settings


def _kept_inside(space: Space, z: Tensor, points: Tensor) -> Tensor:
    """Points with those outside the latent space moved towards ``z`` until they are inside."""
    flat = points.flatten(0, 1)
    outside = ~space.contains(flat)
    # If the start is outside too, as the mean of classes is, nothing can be moved inside.
    if not outside.any() or not space.contains(z[None]).all():
        return points
    places = outside.nonzero()[:, 0].to(z.device)
    start, end = z.expand_as(flat[places]), flat[places]
    low = torch.zeros(len(places), *[1] * z.dim(), device=z.device, dtype=z.dtype)
    high = torch.ones_like(low)
    for _ in range(30):
        middle = (low + high) / 2
        fits = space.contains(torch.lerp(start, end, middle)).to(z.device).reshape(low.shape)
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    # A little short of the edge, where decoders would be given numbers that never occur in training.
    flat = flat.clone()
    flat[places] = torch.lerp(start, end, 0.98 * low)
    return flat.reshape(points.shape)
