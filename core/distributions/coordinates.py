"""Coordinates of supports: maps from R^n onto a support that keep their precision near its boundary."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import biject_to, constraints
from torch.distributions.constraints import Constraint
from torch.nn.functional import softplus

from genmod.system.draws import drawn_by_log, drawn_by_logit, drawn_on_simplex, log_of, logit_of

__all__ = ["Coordinates", "contrasts", "coordinates"]


@dataclass(frozen=True)
class Coordinates:
    """A map from R^n onto a support, and back.

    Args:
        forward: points of R^n ``(*batch, *shape)`` → points of the support, which keep their unrounded coordinates, and
            the log-determinant of the Jacobian, ``(*batch)``.
        back: points of the support → points of R^n.
    """

    forward: Callable[[Tensor], tuple[Tensor, Tensor]]
    back: Callable[[Tensor], Tensor]


def contrasts(k: int) -> Tensor:
    """An orthonormal basis of the vectors in R^k whose components sum to zero, ``(k, k - 1)``.

    Example:
        >>> basis = contrasts(3)
        >>> bool((basis.T @ basis - torch.eye(2)).abs().max() < 1e-6), bool(basis.sum(0).abs().max() < 1e-6)
        (True, True)
    """
    row, column = torch.arange(k)[:, None], torch.arange(1, k)
    signs = (row < column).to(torch.get_default_dtype()) - column * (row == column)
    return signs / (column * (column + 1)).sqrt()


def coordinates(support: Constraint) -> Coordinates:
    """The coordinates of a continuous support: logits, logarithms, contrasts of logarithms, or torch's ``biject_to``.

    A constraint of a plugin may define its own by a method ``coordinates()``.

    Args:
        support: event dimensions included. Densities on a simplex refer to all of its coordinates but one.

    Raises:
        NotImplementedError: no map from R^n onto it is known.

    Example:
        >>> z, log_det = coordinates(constraints.simplex).forward(torch.tensor([1000.0]))
        >>> z, log_det
        (tensor([1.0000e+00, 1.1755e-38]), tensor(-1413.8668))
    """
    base = support
    while isinstance(base, constraints.independent):
        base = base.base_constraint
    if hasattr(base, "coordinates"):
        own: Coordinates = base.coordinates()
        return own
    dims = support.event_dim

    def summed(each: Tensor) -> Tensor:
        return each.flatten(-dims).sum(-1) if dims else each

    if isinstance(base, constraints.interval) and (base.lower_bound, base.upper_bound) == (0, 1):
        return Coordinates(lambda u: (drawn_by_logit(u), summed(u - 2 * softplus(u))), logit_of)
    if isinstance(base, constraints.greater_than | constraints.greater_than_eq) and base.lower_bound == 0:
        return Coordinates(lambda u: (drawn_by_log(u), summed(u)), log_of)
    if isinstance(base, type(constraints.simplex)):

        def basis(k: int, like: Tensor) -> Tensor:
            return contrasts(k).to(like)

        def forward(u: Tensor) -> tuple[Tensor, Tensor]:
            k = u.shape[-1] + 1
            z = drawn_on_simplex(u @ basis(k, u).T)
            return z, summed(log_of(z) + 0.5 * math.log(k) / k)

        return Coordinates(forward, lambda z: log_of(z) @ basis(z.shape[-1], z))
    by_torch = biject_to(support)

    def mapped(u: Tensor) -> tuple[Tensor, Tensor]:
        z = by_torch(u)
        return z, by_torch.log_abs_det_jacobian(u, z)

    return Coordinates(mapped, by_torch.inv)
