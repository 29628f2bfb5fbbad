"""Walks through the latent space from one point to another; how active its dimensions are, and how wide."""

from contextlib import suppress

import torch
from torch import Tensor

from genmod.errors import UndefinedError, UsageError
from genmod.figures.picture import Picture
from genmod.figures.views import decode_means, encode_centres, evaluating, observed
from genmod.model.latent_variable import LatentVariableModel

__all__ = ["activity", "interpolation", "latent_scale", "paired", "slerp"]


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

    Where not every point is a latent, as on a sphere or in a codebook, the nearest that is one is decoded.

    Args:
        model: any model.
        start: latents, ``(N, *latent_shape)``: codes of examples, or draws from the prior.
        end: latents, ``(N, *latent_shape)``.
        steps: points of each walk, both ends counted.
        spherical: by :func:`slerp`, instead of on a straight line. High-dimensional normal latents all have
            about the same length, and straight lines leave that shell.
        context: what a conditional model is given at both ends, ``(N, size)`` each; it changes evenly between.

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
    z = between(start.flatten(1), end.flatten(1), t).flatten(0, 1)
    # Between two directions, classes or codes of a codebook lie points that are none; the decoder gets the nearest that is.
    z = model.space.settled(z).reshape(-1, steps, *model.latent_shape)
    given = None if context is None else _lerp(context[0], context[1], t)
    return Picture(
        decode_means(model, z, context=given),
        model.data,
        latents=z,
        title=("Spherical" if spherical else "Linear") + " interpolation",
        column_labels=tuple(f"{position:.2g}" for position in t.tolist()),
        walk=True,
    )


def paired(ends: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the second half of some ends, so that the pairs of both are walks; an odd one is left out."""
    half = len(ends) // 2
    return ends[:half], ends[half : 2 * half]


def activity(
    model: LatentVariableModel, x: Tensor, *, context: Tensor | None = None, seed: int = 0
) -> tuple[Tensor, str]:
    """How much each latent dimension says about the data.

    Args:
        model: any model.
        x: examples as they are stored, ``(N, *data.shape)``.
        context: what a conditional model is given of them, ``(N, size)``.
        seed: of the binarisation, and of draws where the divergence needs some.

    Returns:
        ``(V,)`` for the ``V`` numbers, or vectors of classes, of a latent, and the name of the measure: ``mean KL in
        nats``, the part of each in the model's divergence, where that is a sum over them; else ``variance of the
        codes`` over the examples.

    Example:
        >>> import genmod
        >>> activity(genmod.build(encoder="mlp", latent=2), torch.rand(20, 1, 8, 8))[1]
        'mean KL in nats'
    """
    seen = observed(model, x, seed=seed)
    space = model.space
    with evaluating(model, seed):
        with suppress(UndefinedError):
            q, p = model.encode(seen, context), model.given(context).prior()
            z = q.rsample((1,))
            found = model.divergence.by_dimension(q, p, z).mean(0).flatten()
            # A direction beside numbers has one KL for all its coordinates.
            if len(found) == len(space.units):
                return found, "mean KL in nats"
        spread = encode_centres(model, seen, context=context, seed=seed).var(0, correction=0).flatten()
        groups = [spread[unit.start : unit.start + unit.size].sum() for unit in space.units]
        return torch.stack(groups), "variance of the codes"


def latent_scale(
    model: LatentVariableModel, latents: Tensor | None = None, *, context: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Centre and width of the latent space: mean and standard deviation of the prior, else of the codes.

    Args:
        model: any model.
        latents: codes of examples, ``(N, *latent_shape)``, for a model whose prior is missing or has no
            known moments.
        context: what a conditional model is given, ``(1, size)``.

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
            prior = model.given(context).prior()
            moments = prior.mean, prior.stddev
            return (moments[0][0], moments[1][0]) if prior.batch_shape else moments
    except (NotImplementedError, UndefinedError):
        if latents is None:
            raise UndefinedError(
                "the width of the latent space is unknown: this model has no prior with a known mean and variance",
                hint="give codes of examples, from which they can be taken",
            ) from None
        spread, centre = torch.std_mean(latents, 0, correction=0)
        return centre, spread
