"""Integrals over supports: points and weights, so that a density can be compared with its draws.

``∫ f = Σ_i w_i f(x_i)``, over the measure that torch's densities refer to: lengths for real numbers, counts for
discrete ones, the first ``K - 1`` coordinates of a simplex. The substitutions crowd the points where the draws
are and reach far into the tails (Double exponential formulas for numerical integration, Takahasi and Mori, 1974).
"""

import math
from functools import singledispatch

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

__all__ = ["grid", "nodes"]

_MAX_POINTS = 1_000_000
"""Largest grid."""
_POINTS = {1: 20_001, 2: 301}
"""Dimensions → points along each."""


@singledispatch
def nodes(support: Constraint, draws: Tensor, count: int) -> tuple[Tensor, Tensor] | None:
    """Points and weights of a support.

    A constraint of a plugin may have a method ``quadrature(event_shape, count)`` that returns them, or None.

    Args:
        support: of one dimension, where the dimensions are independent.
        draws: ``(n, *event_shape)``, for place and width.
        count: number of points, unless the support fixes it.

    Returns:
        Points ``(N, *event_shape)`` and weights ``(N,)``, double precision; None for an unknown support.
    """
    own = getattr(support, "quadrature", None)
    return own(tuple(draws.shape[1:]), count) if own is not None else None


def grid(
    support: Constraint, draws: Tensor, *, values: Tensor | None = None, times: int = 1
) -> tuple[Tensor, Tensor] | None:
    """Points and weights of a whole event of at most two dimensions.

    Args:
        support: event dimensions included.
        draws: ``(n, *event_shape)``, double precision.
        values: all values, ``(N,)``, of a discrete support that torch does not enumerate.
        times: as many points along each dimension as usual, for densities with narrow peaks.

    Returns:
        Points ``(N, *event_shape)`` and weights ``(N,)``; None for an unknown support.

    Example:
        >>> points, weights = grid(constraints.independent(constraints.real, 1), torch.randn(99, 1).double())
        >>> bool(((-points[:, 0].square() / 2).exp() * weights).sum().sub((2 * math.pi) ** 0.5).abs() < 1e-9)
        True
    """
    size = draws[0].numel()
    if not isinstance(support, constraints.independent):
        return nodes(support, draws, _POINTS[1]) if size <= 3 else None
    base: Constraint = support
    while isinstance(base, constraints.independent):
        base = base.base_constraint
    if size not in _POINTS:
        return None
    sides = []
    for column in draws.reshape(-1, size).unbind(1):
        side = nodes(base, column, times * (_POINTS[size] - 1) + 1)
        if side is None and values is not None and support.is_discrete:
            inside = values[base.check(values)].double()
            side = inside, torch.ones_like(inside)
        if side is None:
            return None
        sides.append(side)
    if math.prod(len(points) for points, _ in sides) > _MAX_POINTS:
        return None
    points = torch.stack(torch.meshgrid(*(points for points, _ in sides), indexing="ij"), -1)
    weights = torch.stack(torch.meshgrid(*(weights for _, weights in sides), indexing="ij"), -1).prod(-1)
    return points.reshape(-1, *draws.shape[1:]), weights.reshape(-1)


def _bound(support: Constraint, name: str, default: float) -> float | None:
    """A bound that is the same in all dimensions."""
    given = torch.as_tensor(getattr(support, name, default), dtype=torch.float64)
    return float(given.reshape(-1)[0]) if bool((given == given.reshape(-1)[0]).all()) else None


def _steps(reach: float, count: int) -> tuple[Tensor, float]:
    return torch.linspace(-reach, reach, count, dtype=torch.float64), 2 * reach / (count - 1)


@nodes.register(type(constraints.real))
def _real(support: Constraint, draws: Tensor, count: int) -> tuple[Tensor, Tensor]:
    t, step = _steps(3.2, count)
    quarters = draws.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=draws.dtype))
    width = max(float(quarters[2] - quarters[0]), 1e-12)
    inner = math.pi / 2 * t.sinh()
    return float(quarters[1]) + width * inner.sinh(), width * inner.cosh() * math.pi / 2 * t.cosh() * step


@nodes.register(constraints.greater_than)
@nodes.register(constraints.greater_than_eq)
def _above(support: Constraint, draws: Tensor, count: int) -> tuple[Tensor, Tensor] | None:
    t, step = _steps(3.2, count)
    if (low := _bound(support, "lower_bound", 0.0)) is None:
        return None
    distance = max(float((draws - low).median()), 1e-12) * (math.pi / 2 * t.sinh()).exp()
    inside = low + distance > low
    weights = distance * math.pi / 2 * t.cosh() * step
    return (low + distance)[inside], weights[inside]


@nodes.register(constraints.interval)
@nodes.register(constraints.half_open_interval)
def _interval(support: Constraint, draws: Tensor, count: int) -> tuple[Tensor, Tensor] | None:
    t, step = _steps(3.0, count)
    low, high = _bound(support, "lower_bound", 0.0), _bound(support, "upper_bound", 1.0)
    if low is None or high is None:
        return None
    part = (math.pi * t.sinh()).sigmoid()
    points = low + (high - low) * part
    weights = (high - low) * part * (1 - part) * math.pi * t.cosh() * step
    inside = (points > low) & (points < high)
    return points[inside], weights[inside]


@nodes.register(type(constraints.boolean))
def _boolean(support: Constraint, draws: Tensor, count: int) -> tuple[Tensor, Tensor]:
    return torch.tensor([0.0, 1.0], dtype=torch.float64), torch.ones(2, dtype=torch.float64)


@nodes.register(constraints.integer_interval)
def _integers(support: Constraint, draws: Tensor, count: int) -> tuple[Tensor, Tensor] | None:
    low, high = _bound(support, "lower_bound", 0.0), _bound(support, "upper_bound", 0.0)
    if low is None or high is None:
        return None
    points = torch.arange(low, min(high, low + _MAX_POINTS) + 1, dtype=torch.float64)
    return points, torch.ones_like(points)


@nodes.register(type(constraints.nonnegative_integer))
def _counts(support: Constraint, draws: Tensor, count: int) -> tuple[Tensor, Tensor]:
    lowest = int(getattr(support, "lower_bound", 0))
    first, last = int(draws.min()), int(draws.max())
    beyond = 2 * (last - first) + 50
    points = torch.arange(
        max(lowest, first - beyond), min(last + beyond, first + _MAX_POINTS), dtype=torch.float64
    )
    return points, torch.ones_like(points)


@nodes.register(type(constraints.one_hot))
def _one_hot(support: Constraint, draws: Tensor, count: int) -> tuple[Tensor, Tensor]:
    points = torch.eye(draws.shape[-1], dtype=torch.float64)
    return points, torch.ones(len(points), dtype=torch.float64)


@nodes.register(type(constraints.simplex))
def _simplex(support: Constraint, draws: Tensor, count: int) -> tuple[Tensor, Tensor] | None:
    if draws.shape[1:] != (2,):
        return None
    side = _interval(constraints.unit_interval, draws[:, 0], count)
    if side is None:
        return None
    points, weights = side
    return torch.stack([points, 1 - points], 1), weights
