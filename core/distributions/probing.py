"""Probing supports: whether they contain given points, and whether two supports are the same."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint, independent

from genmod.distributions.codes import InCodebook

__all__ = ["beside", "disagreement", "holds", "inside", "lies_within", "probes", "same_support"]

_COUNT = 400
_VALUES = 2**20
"""Most numbers in a batch of probes. Fewer are drawn of large latents, such as the 65,536 classes of 16 bits."""


def inside(support: Constraint | None, z: Tensor) -> Tensor:
    """Which points lie in a support, ``(N, *shape) → (N,)`` bool on the CPU; all if the support is None."""
    if support is None:
        return torch.ones(len(z), dtype=torch.bool)
    return support.check(z).reshape(len(z), -1).all(1).cpu()  # type: ignore[no-untyped-call,no-any-return]


def holds(support: Constraint, points: Tensor) -> bool:
    """Whether all points lie in a support; False if it cannot check points of their shape."""
    return bool(_asked(support, points).all())


def beside(support: Constraint | None) -> list[tuple[Constraint, tuple[int, ...]]]:
    """The supports and shapes of several kinds of latents that are concatenated in a vector.

    Such a support has the attributes ``supports`` and ``shapes``; for any other support the list is empty.
    """
    supports, shapes = getattr(support, "supports", None), getattr(support, "shapes", None)
    if supports is None or shapes is None:
        return []
    return [(part, tuple(shape)) for part, shape in zip(supports, shapes, strict=True)]


def same_support(a: Constraint | None, b: Constraint | None, shape: tuple[int, ...] | None = None) -> bool:
    """Whether two supports contain the same points.

    Two supports of one type are the same if all of their attributes are equal. Supports of different types are compared
    at many points: they are the same if they agree at all of these and share some. Bounds that differ by less than 3 %
    may be missed, and by more where a point has thousands of values, of which fewer are tried.

    Args:
        a: a support; None for all points.
        b: another; None is the same only as None.
        shape: shape of one point; by default two values in each event dimension.

    Example:
        >>> from torch.distributions import constraints
        >>> same_support(constraints.independent(constraints.nonnegative, 1), constraints.independent(constraints.real, 1))
        False
        >>> same_support(constraints.unit_interval, constraints.half_open_interval(0.0, 1.0))
        False
    """
    if a is None or b is None:
        return a is b
    if isinstance(a, InCodebook) or isinstance(b, InCodebook):
        # Probing is no use here: none of the probes lies in a codebook.
        return type(a) is type(b) and a.codebook is b.codebook  # type: ignore[attr-defined]
    a, b = _unwrapped(a), _unwrapped(b)
    if a.event_dim != b.event_dim:
        return False
    if type(a) is type(b) and not isinstance(a, independent):
        return all(_equal(value, vars(b).get(key)) for key, value in vars(a).items())
    shape = shape or (2,) * a.event_dim
    if (
        isinstance(a, independent)
        and isinstance(b, independent)
        and a.reinterpreted_batch_ndims == b.reinterpreted_batch_ndims
    ):
        return same_support(a.base_constraint, b.base_constraint, shape)
    shared = False
    for name, points in probes(shape, a, b):
        in_a, in_b = _asked(a, points), _asked(b, points)
        if _differ(name, in_a, in_b).any():
            return False
        shared = shared or bool((in_a & in_b).any())
    return shared


def disagreement(a: Constraint, b: Constraint, shape: tuple[int, ...]) -> Tensor | None:
    """A point of the given shape, flattened, that one support contains and the other does not; None if none was found."""
    for name, points in probes(shape, a, b):
        differ = _differ(name, _asked(a, points), _asked(b, points))
        if differ.any():
            return points[int(differ.to(torch.uint8).argmax())].flatten()
    return None


def _differ(name: str, in_a: Tensor, in_b: Tensor) -> Tensor:
    # On the boundary of the unit ball, the result depends on rounding.
    at_an_edge = name.endswith("sphere") and not (in_a.all() or in_b.all())
    return torch.zeros_like(in_a) if at_an_edge else in_a != in_b


def lies_within(a: Constraint, b: Constraint, shape: tuple[int, ...]) -> bool:
    """Whether all probes of the given shape that lie in ``a`` also lie in ``b``.

    Example:
        >>> from torch.distributions import constraints
        >>> lies_within(constraints.simplex, constraints.real_vector, (3,))
        True
        >>> lies_within(constraints.real_vector, constraints.simplex, (3,))
        False
    """
    return not any(bool((_asked(a, points) & ~_asked(b, points)).any()) for _, points in probes(shape, a, b))


def probes(shape: tuple[int, ...], *supports: Constraint) -> Iterator[tuple[str, Tensor]]:
    """Probes: batches of points ``(N, *shape)`` float64, each with a name; the same each time. N is 400, and less where
    that would be many numbers.

    The order matters: the kind of a latent is the name of the first batch that lies in its support. If one of the
    supports concatenates several kinds of latents, there are batches for each kind.
    """
    parts = next((found for each in supports if (found := beside(each))), [])
    if not parts:
        yield from _batches(shape or (1,))
        return
    own = [(part, list(probes(its_shape, part))) for part, its_shape in parts]
    at_home = [next((p for _, p in tried if holds(part, p)), tried[0][1]).flatten(1) for part, tried in own]
    for i, (_, tried) in enumerate(own):
        for name, points in tried:
            count = min(len(points), *map(len, at_home))
            rows = [*at_home[:i], points.flatten(1), *at_home[i + 1 :]]
            yield f"{i}.{name}", torch.cat([each[:count] for each in rows], 1).reshape(count, *shape)


def _batches(shape: tuple[int, ...]) -> Iterator[tuple[str, Tensor]]:
    fixed = torch.Generator().manual_seed(0)
    count = max(1, min(_COUNT, _VALUES // max(1, math.prod(shape))))
    normal = torch.randn(count, *shape, generator=fixed, dtype=torch.float64, device="cpu")
    yield "free", 30 * normal
    directions = normal / normal.norm(dim=-1, keepdim=True)
    yield "ball", 0.01 * directions
    yield "sphere", directions
    yield "positive", 30 * (normal.abs() + 0.01)
    yield "unit", normal.sigmoid()
    yield "bits", (normal > 0).double()
    yield "simplex", normal.softmax(-1)
    yield "choice", torch.nn.functional.one_hot(normal.argmax(-1), shape[-1]).double()
    yield "near", normal
    yield "whole", (3 * normal).round()
    yield "counts", (3 * normal).round().abs()
    # These points go away from the origin in small steps, so a bound lies between two of them.
    reach = torch.logspace(-2, 2, count, dtype=torch.float64, device="cpu").reshape(-1, *[1] * len(shape))
    ones = torch.ones_like(normal)
    yield from (("bound", reach * way) for way in (directions, ones, -ones))


def _unwrapped(support: Constraint) -> Constraint:
    """A support without marks of independence that say nothing, as of vectors that are one event already."""
    while isinstance(support, independent) and support.reinterpreted_batch_ndims == 0:
        support = support.base_constraint
    return support


def _asked(support: Constraint, points: Tensor) -> Tensor:
    try:
        return inside(support, points)
    except (RuntimeError, ValueError):
        return torch.zeros(len(points), dtype=torch.bool)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Constraint) and isinstance(b, Constraint):
        return same_support(a, b)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        # On the meta device, where a model is checked before its memory is allocated, only shapes can be compared.
        a, b = torch.as_tensor(a), torch.as_tensor(b)
        return a.shape == b.shape and (a.is_meta or b.is_meta or bool((a == b).all()))
    return bool(a == b)
