"""Walks through the latent space: between two points, and along single dimensions."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from genmod.errors import UndefinedError, UsageError
from genmod.model import LatentVariableModel
from genmod.pictures.picture import Picture
from genmod.pictures.space import inside, space_of
from genmod.pictures.views import decode_means, encode_centres, evaluating, observed

__all__ = ["activity", "interpolation", "latent_scale", "slerp", "traversal", "variables"]


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Points between two vectors: the direction turns evenly, the length changes evenly.

    ``z(t) = ((1-t)|a| + t|b|) (u cos tω + v sin tω)``, with ``u = a/|a|``, ``ω`` the angle between ``a`` and
    ``b``, and ``v`` the unit vector at right angles to ``u`` in their plane. For vectors of one length that
    is the classical formula; unlike it, this one stays finite for opposite vectors, which turn through an
    arbitrary but fixed plane. Where a direction is missing, at zero vectors and in one dimension, the line
    is straight.

    Reference:
        Sampling Generative Networks (White, 2016), arXiv:1609.04468

    Args:
        a: starts, ``(*batch, D)``.
        b: ends, ``(*batch, D)``.
        t: positions, ``(T,)``, 0 at the start and 1 at the end.

    Returns:
        ``(*batch, T, D)``, in the type and on the device of ``a``.

    Example:
        >>> slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), torch.tensor([0.0, 0.5, 1.0]))
        tensor([[1.0000, 0.0000],
                [0.7071, 0.7071],
                [0.0000, 1.0000]])
    """
    start, end, part = (tensor.detach().cpu().double() for tensor in (a, b, t))
    if start.shape[-1] == 1:
        return _lerp(start, end, part).to(a)
    long_a, long_b = start.norm(dim=-1, keepdim=True), end.norm(dim=-1, keepdim=True)
    u, w = start / long_a, end / long_b
    # A zero vector takes the direction of the other one.
    u, w = torch.where(long_a > 0, u, w).nan_to_num(0.0), torch.where(long_b > 0, w, u).nan_to_num(0.0)
    cosine = (u * w).sum(-1, keepdim=True)
    across = w - cosine * u
    sine = across.norm(dim=-1, keepdim=True)
    # Two opposite vectors have no plane of their own: turn towards the axis that is farthest from both.
    axis = torch.nn.functional.one_hot(u.abs().argmin(-1), u.shape[-1]).to(u)
    aside = axis - (axis * u).sum(-1, keepdim=True) * u
    has_plane = sine > 1e-9
    v = torch.where(has_plane, across / sine, aside / aside.norm(dim=-1, keepdim=True))
    angle = torch.atan2(torch.where(has_plane, sine, 0.0), cosine) * part
    direction = angle.cos()[..., None] * u[..., None, :] + angle.sin()[..., None] * v[..., None, :]
    turned = _lerp(long_a, long_b, part) * direction
    at = part[:, None]
    # Both ends exactly, where sines and cosines would leave a rounding error.
    return torch.where(at == 0, start[..., None, :], torch.where(at == 1, end[..., None, :], turned)).to(a)


def _lerp(start: Tensor, end: Tensor, part: Tensor) -> Tensor:
    """``(*batch, D)``, ``(T,)`` → ``(*batch, T, D)``, exact at both ends."""
    return start[..., None, :] * (1 - part)[:, None] + end[..., None, :] * part[:, None]


def interpolation(
    model: LatentVariableModel,
    start: Tensor,
    end: Tensor,
    *,
    steps: int = 10,
    spherical: bool = False,
    context: tuple[Tensor, Tensor] | None = None,
) -> Picture:
    """Decodings of the points between pairs of latents; a row for each pair.

    Args:
        model: any model.
        start: latents, ``(N, *latent_shape)``: codes of examples, or draws from the prior.
        end: latents, ``(N, *latent_shape)``.
        steps: points of each walk, both ends counted.
        spherical: turn from one to the other by :func:`slerp`, rather than go straight. High-dimensional
            normal latents all have about the same length, and straight lines leave that shell.
        context: what a conditional model is told at both ends, ``(N, size)`` each; it changes evenly between.

    Returns:
        Images ``(N, steps, *data.shape)``, latents ``(N, steps, *latent_shape)``.

    Raises:
        UsageError: fewer than two steps, or latents of other shapes.

    Example:
        >>> import genmod
        >>> model = genmod.build(encoder="mlp", latent=2)
        >>> interpolation(model, torch.zeros(3, 2), torch.ones(3, 2), steps=5).images.shape
        torch.Size([3, 5, 1, 8, 8])
    """
    if steps < 2:
        raise UsageError(f"a walk of {steps} steps was asked for; it takes at least 2")
    if start.shape != end.shape or tuple(start.shape[1:]) != model.latent_shape:
        raise UsageError(
            f"an interpolation takes two tensors of latents (N, {', '.join(map(str, model.latent_shape))}); "
            f"it was given {tuple(start.shape)} and {tuple(end.shape)}"
        )
    t = torch.linspace(0, 1, steps).to(start)
    between = slerp if spherical else _lerp
    z = between(start.flatten(1), end.flatten(1), t).reshape(-1, steps, *model.latent_shape)
    told = None if context is None else _lerp(context[0], context[1], t)
    return Picture(
        decode_means(model, z, context=told),
        model.data,
        latents=z,
        title=("Spherical" if spherical else "Linear") + " interpolation",
        column_labels=tuple(f"{position:.2g}" for position in t.tolist()),
        walk=True,
    )


def activity(
    model: LatentVariableModel, x: Tensor, *, context: Tensor | None = None, seed: int = 0
) -> tuple[Tensor, str]:
    """How much each latent dimension says about the data.

    Args:
        model: any model.
        x: examples as they are stored, ``(N, *data.shape)``.
        context: what a conditional model is told of them, ``(N, size)``.
        seed: of the binarisation, and of draws where the divergence needs some.

    Returns:
        ``(D,)`` for the ``D`` values of a flattened latent, and what they are: ``mean KL in nats``, the part
        of each dimension in the model's divergence, where that falls apart into dimensions; else ``variance
        of the codes`` over the examples.

    Example:
        >>> import genmod
        >>> activity(genmod.build(encoder="mlp", latent=2), torch.rand(20, 1, 8, 8))[1]
        'mean KL in nats'
    """
    seen = observed(model, x, seed=seed)
    with evaluating(model, seed):
        try:
            q, p = model.encode(seen, context), model.prior_given(context)
            z = q.rsample((1,))
            return model.divergence.by_dimension(q, p, z).mean(0).flatten(), "mean KL in nats"
        except UndefinedError:
            return encode_centres(model, seen, context=context, seed=seed).var(
                0, correction=0
            ).flatten(), "variance of the codes"


def latent_scale(
    model: LatentVariableModel, latents: Tensor | None = None, *, context: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Centre and width of the latent space: mean and standard deviation of the prior, else of the codes.

    Args:
        model: any model.
        latents: codes of examples, ``(N, *latent_shape)``, for a model whose prior is missing or has no
            known moments.
        context: what a conditional model is told, ``(1, size)``.

    Returns:
        Two tensors ``latent_shape``.

    Raises:
        UndefinedError: neither a prior with moments nor codes.

    Example:
        >>> import genmod
        >>> latent_scale(genmod.build(encoder="mlp", latent=2))
        (tensor([0., 0.]), tensor([1., 1.]))
    """
    try:
        with evaluating(model, 0):
            prior = model.prior_given(context)
            moments = prior.mean, prior.stddev
            return (moments[0][0], moments[1][0]) if prior.batch_shape else moments
    except (NotImplementedError, UndefinedError):
        if latents is None:
            raise UndefinedError(
                "nothing says how wide the latent space of this model is: it has no prior with a known mean and variance",
                hint="give codes of examples, from which they can be taken",
            ) from None
        spread, centre = torch.std_mean(latents, 0, correction=0)
        return centre, spread


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
        dimensions: which to change, as positions in the flattened latent, or numbers of the variables where each is a
            vector of classes; a row each.
        values: what they are set to, ``(V,)``, in standard deviations from the centre of ``scale``. Where
            the prior is normal, ``v`` is its quantile at ``Φ(v)``. On a sphere, the largest of them is a quarter
            turn; classes are gone through one by one instead, and bits are off and on. In a bounded space, what
            would lie outside stops short of the edge.
        scale: centre and standard deviation of the latent space, by default those of :func:`latent_scale`.
        context: what a conditional model is told, ``(1, size)``.

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
    size, space = variables(model), space_of(model)
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
    if space in ("classes", "simplex"):
        points, settings = _class_by_class(z, rows)
        title, labels = "Traversals, class by class", tuple(map(str, range(points.shape[1])))
    elif space == "binary":
        settings = torch.tensor([0.0, 1.0]).to(z).expand(len(rows), 2)
        points = _with(z, rows, settings)
        title, labels = "Traversals, off and on", ("0", "1")
    elif space == "sphere":
        points, settings = _over_the_sphere(z, rows, values)
        title = "Traversals over the sphere, coordinates"
        labels = tuple(f"{value:+.2f}" if abs(value) > 1e-6 else "0" for value in settings[0].tolist())
    else:
        centre, width = (part.flatten().to(z) for part in scale or latent_scale(model, context=context))
        settings = centre[rows, None] + width[rows, None] * values.to(z)
        points = _kept_inside(model, z, _with(z, rows, settings))
        title = "Traversals, in standard deviations"
    told = None if context is None else context.expand(*points.shape[:2], -1)
    return Picture(
        decode_means(model, points, context=told),
        model.data,
        latents=points,
        extra={"dimensions": rows, "values": settings},
        title=title,
        row_labels=tuple(f"z{d}" for d in dimensions),
        column_labels=labels,
        walk=True,
    )


def variables(model: LatentVariableModel) -> int:
    """How many variables a latent has that can be moved by themselves: its numbers, or its vectors of classes.

    Example:
        >>> import genmod
        >>> variables(genmod.build("categorical-vae"))
        20
    """
    shape = model.latent_shape
    return math.prod(shape[:-1] if space_of(model) in ("classes", "simplex") else shape)


def _with(z: Tensor, rows: Tensor, settings: Tensor) -> Tensor:
    """``z`` with one number set: ``latent_shape, (R,), (R, V) → (R, V, *latent_shape)``."""
    points = z.flatten().repeat(*settings.shape, 1)
    points.scatter_(2, rows[:, None, None].expand(-1, settings.shape[1], 1), settings[..., None])
    return points.reshape(*settings.shape, *z.shape)


def _class_by_class(z: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Each variable set to each of its classes in turn."""
    classes = z.shape[-1]
    points = z.reshape(-1, classes).repeat(len(rows), classes, 1, 1)
    every = torch.arange(classes, device=z.device)
    for place, row in enumerate(rows.tolist()):
        points[place, every, row] = torch.eye(classes).to(z)
    return points.reshape(len(rows), classes, *z.shape), every.to(z).expand(len(rows), -1)


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


def _kept_inside(model: LatentVariableModel, z: Tensor, points: Tensor) -> Tensor:
    """Points outside the latent space moved towards ``z``, which is inside, until they are."""
    flat = points.flatten(0, 1)
    outside = ~inside(model, flat)
    # Where the start is outside too, as the mean of classes is, there is no way back.
    if not outside.any() or not inside(model, z[None]).all():
        return points
    places = outside.nonzero()[:, 0].to(z.device)
    start, end = z.expand_as(flat[places]), flat[places]
    low = torch.zeros(len(places), *[1] * z.dim(), device=z.device, dtype=z.dtype)
    high = torch.ones_like(low)
    for _ in range(30):
        middle = (low + high) / 2
        fits = inside(model, torch.lerp(start, end, middle)).to(z.device).reshape(low.shape)
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    # A little short of the edge, where decoders see numbers that training never gave them.
    flat = flat.clone()
    flat[places] = torch.lerp(start, end, 0.98 * low)
    return flat.reshape(points.shape)
