"""Gaps: where latents decode to what is like no example of the data."""

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from genmod.errors import UndefinedError, UsageError
from genmod.evaluation.neighbours import nearest
from genmod.figures.temperature import origin_of_latents
from genmod.figures.views import cycled, decode_means, prior_draws, random_latents
from genmod.figures.walks import slerp
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.pieces import held
from genmod.system.random import seed_for

__all__ = ["Gap", "Yardstick", "emptiest_path", "gap", "roaming", "yardstick"]

_DRAWS = 1000
_CODES = 400
_WAYS = 400
_VALUES = 2**22
"""Of points of lines, that are compared at a time."""
_NEIGHBOUR = 5
_LIKE = 0.99


@dataclass(frozen=True)
class Gap:
    """The share of latents that decode to what is like no example.

    With ``d(x) = min_n ‖x - x_n‖`` the Euclidean distance to the nearest of the reference examples ``x_n``:

    ``gap = P(d(E[x|z]) > limit)``,
    ``limit = max(99 % quantile of d(x_m), of x_m itself left out; 99 % quantile of d(E[x|z]) at the codes)``

    Farther than the limit is what is farther from all examples than 99 of 100 examples are from the others, and than 99
    of 100 reconstructions are. The latents ``z`` are drawn where one would draw them: from the prior; of a model
    without one, anywhere in the box around the codes, or, in more than two dimensions, normal with their mean and
    standard deviations.

    A latent space without gaps has about 1 %, or less where decodings are blurred, since means lie nearer to examples
    than these to each other. Because the limit is never below the distances of the model's own reconstructions, it
    measures gaps, not quality: a model that reconstructs nothing has none.

    Args:
        share: of the draws.
        error: its standard error, over draws.
        limit: distance beyond which nothing is like an example.
        draws: their number.
        origin: where they are from.
        reference: number of reference examples.
    """

    share: float
    error: float
    limit: float
    draws: int
    origin: str
    reference: int

    def to_json(self) -> dict[str, float | int | str]:
        """Plain data."""
        return asdict(self)

    def __str__(self) -> str:
        return f"gaps: {self.percentage} of {self.origin}"

    @property
    def percentage(self) -> str:
        """The share and its standard error."""
        return f"{100 * self.share:.1f} ± {100 * self.error:.1f} %"


@dataclass(frozen=True)
class Yardstick:
    """How far from all examples a decoding may be.

    Args:
        values: of the reference examples, ``(M, data.size)``.
        limit: as of :class:`Gap`.
    """

    values: Tensor
    limit: float

    def far(self, decoded: Tensor) -> Tensor:
        """Distances to the nearest example in units of the limit: ``(N, *data.shape) → (N,)`` double; over 1 is a gap."""
        # Where all examples are the same, whatever is not is infinitely far.
        return _to_nearest(self.values, decoded) / max(self.limit, 1e-12)

    def gap(self, far: Tensor, origin: str) -> Gap:
        """The gaps of a model, from :meth:`far` of decodings of draws."""
        n, hits = len(far), int((far > 1).sum())
        # One more of each kind, so that none of a thousand has no error of nothing.
        even = (hits + 1) / (n + 2)
        error = math.sqrt(even * (1 - even) / (n + 3))
        return Gap(hits / n, error, self.limit, n, origin, len(self.values))


def yardstick(
    model: LatentVariableModel, latents: Tensor, reference: Tensor, *, context: Tensor | None = None
) -> Yardstick:
    """The limit beyond which decodings of a model are like no example.

    Args:
        model: any model.
        latents: codes of examples that are not among the reference ones, ``(N, *latent_shape)``; 400 of them are used.
        reference: examples of the same data, as they are stored, ``(M, *data.shape)``.
        context: what a conditional model is given of the encoded examples, ``(N, size)``.

    Raises:
        UsageError: too few codes or examples.
        UndefinedError: values of the reference are missing, or reconstructions are not finite.
    """
    if len(latents) < 4 or len(reference) < 4:
        raise UsageError(
            f"gaps are measured with 4 or more codes and examples; given were {len(latents)} and {len(reference)}"
        )
    values = model.data.values(reference).float().flatten(1).cpu()
    if not values.isfinite().all():
        raise UndefinedError("distances to examples with missing values are not defined")
    given = None if context is None else context[:_CODES]
    own = nearest(values, values, 2)[0][:, 1]
    again = _to_nearest(values, decode_means(model, latents[:_CODES], context=given))
    if not again.isfinite().all():
        raise UndefinedError("reconstructions of this model are infinite or not a number; gaps have no limit")
    return Yardstick(values, max(float(own.quantile(_LIKE)), float(again.quantile(_LIKE))))


def gap(
    model: LatentVariableModel,
    latents: Tensor,
    reference: Tensor,
    *,
    context: Tensor | None = None,
    seed: int = 0,
) -> Gap:
    """Measure the gaps in the latent space of a model; see :class:`Gap` for the definition.

    Shares of two models are comparable where the reference is the same.

    Args:
        model: any model; it needs no prior.
        latents: codes of examples that are not among the reference ones, ``(N, *latent_shape)``, N from 4.
        reference: other examples of the same data, as they are stored, ``(M, *data.shape)``, M from 4.
        context: what a conditional model is given of the encoded examples, ``(N, size)``.
        seed: of the draws.

    Raises:
        UsageError: too few codes or examples.
        UndefinedError: values of the reference are missing.

    Example:
        >>> import genmod
        >>> model = genmod.build("autoencoder", encoder="mlp", latent=2)
        >>> gap(model, torch.randn(20, 2), torch.rand(30, 1, 8, 8)).origin
        'points anywhere in the box around the codes'
    """
    measure = yardstick(model, latents, reference, context=context)
    points, origin = roaming(model, latents, context=context, seed=seed)
    return measure.gap(measure.far(decode_means(model, points, context=cycled(context, len(points)))), origin)


def roaming(
    model: LatentVariableModel, latents: Tensor, *, context: Tensor | None = None, seed: int = 0
) -> tuple[Tensor, str]:
    """A thousand latents, fewer of large examples, from where one would draw them, and what they are.

    Args:
        model: any model.
        latents: codes of examples, ``(N, *latent_shape)``.
        context: what a conditional model is given of them, ``(N, size)``, one after the other.
        seed: of the draws.

    Returns:
        ``(n, *latent_shape)``, and ``draws from the prior, normal`` or the like.
    """
    n = held(_DRAWS, model.data)
    try:
        draws = prior_draws(model, n, context=cycled(context, n), seed=seed)
        return draws, f"draws from the {origin_of_latents(model, 'prior')}"
    except UndefinedError:
        box = latents[0].numel() <= 2
        where = "anywhere in the box around the codes" if box else "with mean and spread of the codes"
        return random_latents(model, latents, n, seed=seed, box=box), f"points {where}"


def emptiest_path(model: LatentVariableModel, latents: Tensor, *, steps: int = 12, seed: int = 0) -> Tensor:
    """The straight line between two codes in dense regions that is farthest from all codes; a great circle on a sphere.

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
    pairs = dense[torch.randint(len(dense), (_WAYS, 2), generator=generator)].to(latents.device)

    def ways(some: Tensor) -> Tensor:
        return _straight(model, latents[some[:, 0]], latents[some[:, 1]], torch.linspace(0, 1, steps))

    at_once = max(1, _VALUES // (steps * flat.shape[1]))
    away = [
        nearest(ways(some).flatten(0, 1).flatten(1).float().cpu(), crowd)[0].reshape(-1, steps).mean(1)
        for some in pairs.split(at_once)
    ]
    return ways(pairs[torch.cat(away).argmax()][None])[0]


def _straight(model: LatentVariableModel, start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """Points of lines, or of great circles on a sphere: ``(N, *latent), (N, *latent), (T,) → (N, T, *latent)``."""
    if model.space.kind == "sphere":
        return slerp(start.flatten(1), end.flatten(1), t).reshape(len(start), len(t), *start.shape[1:])
    t = t.to(start).reshape(1, -1, *[1] * (start.dim() - 1))
    return start[:, None] * (1 - t) + end[:, None] * t


def _to_nearest(values: Tensor, decoded: Tensor) -> Tensor:
    """Euclidean distance of each decoding to the nearest example, infinite where it is no number.

    ``(M, data.size), (N, *data.shape) → (N,)``
    """
    return nearest(decoded.detach().flatten(1).cpu(), values)[0][:, 0].nan_to_num(
        nan=math.inf, posinf=math.inf
    )
