"""Comparing supports by what they contain: two constraints may say the same in different words."""

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint

__all__ = ["disagreement", "same_support"]


def same_support(a: Constraint | None, b: Constraint | None) -> bool:
    """Whether two supports contain the same of many points.

    Example:
        >>> from torch.distributions import constraints
        >>> same_support(constraints.independent(constraints.real, 1), constraints.real_vector)
        True
        >>> same_support(constraints.positive, constraints.real)
        False
    """
    if a is None or b is None:
        return a is b
    return a.event_dim == b.event_dim and disagreement(a, b, (2,) * a.event_dim) is None


def disagreement(a: Constraint, b: Constraint, shape: tuple[int, ...]) -> Tensor | None:
    """A point of the given shape that one contains and the other does not; None where none was found."""
    for points in _probes(shape):
        differ = (a.check(points) != b.check(points)).flatten()
        if differ.any():
            return points.reshape(len(differ), -1)[int(differ.to(torch.uint8).argmax())]
    return None


def _probes(shape: tuple[int, ...]) -> list[Tensor]:
    """Batches of real, positive, fractional, whole and binary numbers, and of points of simplices and spheres."""
    fixed = torch.Generator().manual_seed(3)
    normal = torch.randn((200, *shape), generator=fixed, dtype=torch.float64, device="cpu")
    whole = (3 * normal).round()
    simplex = normal.exp() / normal.exp().sum(-1, keepdim=True)
    sphere = normal / normal.norm(dim=-1, keepdim=True)
    return [
        normal,
        30 * normal,
        normal.abs(),
        normal.sigmoid(),
        whole,
        whole.abs(),
        (normal > 0).double(),
        simplex,
        sphere,
    ]
