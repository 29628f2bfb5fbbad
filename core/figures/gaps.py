"""Gaps: distances from the data of decodings between the codes of a model."""

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from genmod.errors import UndefinedError, UsageError
from genmod.evaluation.neighbours import nearest
from genmod.figures.views import decode_means
from genmod.figures.walks import slerp
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.pieces import held
from genmod.system.random import seed_for, seeded

__all__ = ["Gap", "distance_to", "emptiest_path", "gap", "ratio_of_means", "region", "straight"]

_ENDS = 400
_NEIGHBOUR = 5


@dataclass(frozen=True)
class Gap:
    """Distances from the data of decodings between the codes, relative to those at the codes.

    With ``d(z) = min_n ‖E[x|z] - x_n‖`` the Euclidean distance of a decoding to the nearest of the reference
    examples ``x_n``, each number is a ratio of means:

    ``between = mean d(z on straight lines between codes) / mean d(z at the codes)``

    ``around = mean d(z drawn in the region of the codes, gaps included) / mean d(z at the codes)``

    A model whose latent space has no gaps has ratios near 1: all its decodings are as near to the data as its
    reconstructions. Models that blur have ratios near 1, too, since the denominator is the distance of their own
    reconstructions: the ratios measure gaps, and ``at_codes`` measures quality.

    Args:
        between: ratio on straight lines between the codes of random pairs, great circles on a sphere.
        between_error: its standard error, over pairs.
        around: ratio of points that are normal with mean and covariance of the codes (of directions on a
            sphere). NaN where hardly any of those lie in the latent space.
        around_error: its standard error.
        at_codes: mean distance of reconstructions to the nearest reference example, the denominator of both.
        pairs: number of pairs.
        reference: number of reference examples.
    """

    between: float
    between_error: float
    around: float
    around_error: float
    at_codes: float
    pairs: int
    reference: int

    def to_json(self) -> dict[str, float | int | None]:
        """Plain data, with None for undefined numbers."""
        return {name: None if math.isnan(value) else value for name, value in asdict(self).items()}

    def __str__(self) -> str:
        text = f"between codes {self.between:.2f} ± {self.between_error:.2f}"
        if not math.isnan(self.around):
            text += f", around them {self.around:.2f} ± {self.around_error:.2f}"
        return f"{text} (1: no gaps)"


def gap(
    model: LatentVariableModel,
    latents: Tensor,
    reference: Tensor,
    *,
    context: Tensor | None = None,
    steps: int = 9,
    seed: int = 0,
) -> Gap:
    """Measure the gaps between the codes of a model; see :class:`Gap` for the definition.

    The encoded examples must not be among the reference ones: compared with themselves, reconstructions are too near, and
    all ratios too large.

    Args:
        model: any model; it needs no prior.
        latents: codes of examples, ``(N, *latent_shape)``, N from 4; at most 400 are used, in pairs.
        reference: other examples of the same data, as they are stored, ``(M, *data.shape)``; ratios of two
            models are comparable where it is the same.
        context: what a conditional model is given of the encoded examples, ``(N, size)``; between two, that of the
            nearer one.
        steps: points on each line, without its ends.
        seed: of the pairs and the points.

    Raises:
        UsageError: too few codes.
        UndefinedError: ways between codes leave the latent space, as they do where latents are classes, or values
            of the reference are missing.

    Example:
        >>> import genmod
        >>> model = genmod.build("autoencoder", encoder="mlp", latent=2)
        >>> gap(model, torch.randn(20, 2), torch.rand(30, 1, 8, 8)).pairs
        10
    """
    if len(latents) < 4 or not len(reference):
        raise UsageError(
            f"gaps are measured between 4 or more codes and a reference; given were {len(latents)} and {len(reference)}"
        )
    values = model.data.values(reference).float().flatten(1).cpu()
    if not values.isfinite().all():
        raise UndefinedError("distances to examples with missing values are not defined")
    generator = torch.Generator().manual_seed(seed_for(seed, "gap"))
    order = torch.randperm(len(latents), generator=generator)[:_ENDS]
    pairs = len(order) // 2
    order = order[: 2 * pairs].to(latents.device)
    z = latents[order]
    given = None if context is None else context[order.to(context.device)]
    t = torch.linspace(0, 1, steps + 2)[1:-1]
    ways = straight(model, z[:pairs], z[pairs:], t)
    if not model.space.contains(ways.flatten(0, 1)).all():
        raise UndefinedError(f"straight lines between the codes leave the latent space ({model.space.kind})")
    along = None
    if given is not None:
        first = (t < 0.5).to(given.device)[None, :, None]
        along = torch.where(first, given[:pairs, None], given[pairs:, None])
    at = _distances(model, z, given, values)
    along = None if along is None else along.flatten(0, 1)
    between = _distances(model, ways.flatten(0, 1), along, values).reshape(pairs, steps).mean(1)
    points, kept = region(model, latents, len(z), seed=seed)
    around = (math.nan, math.nan)
    if len(points):
        around = ratio_of_means(_distances(model, points, None if given is None else given[kept], values), at)
    ratio, error = ratio_of_means(between, at)
    return Gap(ratio, error, *around, float(at.mean()), pairs, len(values))


def straight(model: LatentVariableModel, start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """Points on straight lines, or great circles on a sphere: ``(N, *latent), (N, *latent), (T,) → (N, T, *latent)``.

    Example:
        >>> import genmod
        >>> model = genmod.build(encoder="mlp", latent=2)
        >>> straight(model, torch.zeros(1, 2), torch.ones(1, 2), torch.tensor([0.5])).tolist()
        [[[0.5, 0.5]]]
    """
    if model.space.kind == "sphere":
        return slerp(start.flatten(1), end.flatten(1), t).reshape(len(start), len(t), *start.shape[1:])
    t = t.to(start).reshape(1, -1, *[1] * (start.dim() - 1))
    return start[:, None] * (1 - t) + end[:, None] * t


def region(model: LatentVariableModel, latents: Tensor, n: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random points in the region of the codes, gaps included: normal with their mean and covariance.

    On a sphere they are projected to it; elsewhere, those outside the latent space are left out.

    Returns:
        Points ``(m, *latent_shape)``, ``m ≤ n``, none at all where less than half of them lie inside; and the
        number of each of them among the ``n``.
    """
    flat = latents.detach().flatten(1).double().cpu()
    centre = flat.mean(0)
    # A square root of the covariance that exists for singular ones, too.
    values, vectors = torch.linalg.eigh((flat - centre).T @ (flat - centre) / len(flat))
    with seeded(seed_for(seed, "region")):
        noise = torch.randn(n, flat.shape[1], dtype=torch.float64)
    z = centre + noise @ (values.clamp(min=0).sqrt()[:, None] * vectors.T)
    z = z.reshape(n, *model.latent_shape).to(latents)
    if model.space.kind == "sphere":
        z = z / z.norm(dim=-1, keepdim=True)
    kept = model.space.contains(z).nonzero()[:, 0]
    kept = kept if 2 * len(kept) >= n else kept[:0]
    return z[kept.to(z.device)], kept


def emptiest_path(model: LatentVariableModel, latents: Tensor, *, steps: int = 12, seed: int = 0) -> Tensor:
    """The straight line between two codes in dense regions that is farthest from all codes.

    Of 400 random pairs of codes, both from the denser four fifths (by the distance to the fifth neighbour), it is
    the line with the largest mean distance to its nearest codes.

    Args:
        model: has the latent space.
        latents: codes, ``(N, *latent_shape)``, N from 4.
        steps: points of the line, with both ends.
        seed: of the pairs.

    Returns:
        ``(steps, *latent_shape)``.

    Example:
        >>> import genmod
        >>> model = genmod.build(encoder="mlp", latent=2)
        >>> two = torch.cat([torch.randn(50, 2), torch.randn(50, 2) + torch.tensor([20.0, 0.0])])
        >>> path = emptiest_path(model, two)
        >>> path.shape, bool((path[-1] - path[0]).norm() > 10)
        (torch.Size([12, 2]), True)
    """
    if len(latents) < 4:
        raise UsageError(f"a way between codes was asked for; there are {len(latents)} of them")
    generator = torch.Generator().manual_seed(seed_for(seed, "path"))
    flat = latents.detach().flatten(1).float().cpu()
    crowd = flat[torch.randperm(len(flat), generator=generator)[:2000]]
    # The first neighbour of a code is itself.
    crowding = nearest(flat, crowd, min(_NEIGHBOUR + 1, len(crowd)))[0][:, -1]
    dense = crowding.argsort()[: max(2, 4 * len(flat) // 5)]
    pairs = dense[torch.randint(len(dense), (_ENDS, 2), generator=generator)].to(latents.device)
    ways = straight(model, latents[pairs[:, 0]], latents[pairs[:, 1]], torch.linspace(0, 1, steps))
    away = nearest(ways.flatten(0, 1).flatten(1).float().cpu(), crowd)[0].reshape(_ENDS, steps)
    return ways[away.mean(1).argmax().to(ways.device)]


def distance_to(values: Tensor, decoded: Tensor) -> Tensor:
    """Euclidean distance of each decoding to the nearest example: ``(M, data.size), (N, *data.shape) → (N,)``."""
    return nearest(decoded.detach().flatten(1).cpu(), values)[0][:, 0]


def ratio_of_means(over: Tensor, under: Tensor) -> tuple[float, float]:
    """Ratio of two means and its standard error, by the delta method; both are independent draws, ``(N,)``, ``(M,)``."""
    a, b = over.double(), under.double()
    ratio = a.mean() / b.mean()
    spread = (a.var() / len(a) / a.mean().square() + b.var() / len(b) / b.mean().square()).sqrt()
    return float(ratio), float(ratio * spread)


def _distances(model: LatentVariableModel, z: Tensor, context: Tensor | None, values: Tensor) -> Tensor:
    """Distances of decodings of latents ``(N, *latent_shape)`` to the nearest of ``values (M, D)``, ``(N,)``."""
    size = held(len(z), model.data)
    given = [None] * -(-len(z) // size) if context is None else context.split(size)
    pairs = zip(z.split(size), given, strict=True)
    return torch.cat([distance_to(values, decode_means(model, part, context=each)) for part, each in pairs])
