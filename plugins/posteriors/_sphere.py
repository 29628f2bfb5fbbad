"""The unit sphere: its support, its area, and what distributions of directions on it share."""

import math
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, constraints
from torch.nn.functional import normalize

from genmod import Posterior, UsageError, bounded_log_scale

__all__ = ["Directions", "DirectionsPosterior", "around", "log_area", "require_vector", "unit_sphere"]


class _UnitSphere(constraints.Constraint):
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return (value.square().sum(-1) - 1).abs() < 1e-4

    def quadrature(self, event_shape: tuple[int, ...], count: int) -> tuple[Tensor, Tensor] | None:
        """Points and weights that integrate over the circle, for the conformance kit; None elsewhere."""
        if event_shape != (2,):
            return None
        angle = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
        points = torch.stack([angle.cos(), angle.sin()], 1)
        return points, torch.full((count,), 2 * math.pi / count, dtype=torch.float64)

    def __repr__(self) -> str:
        return "UnitSphere()"


unit_sphere = _UnitSphere()
"""Vectors of length one."""


def log_area(d: int) -> float:
    """Logarithm of the area of the unit sphere in ``d`` dimensions, ``log(2 π^(d/2) / Γ(d/2))``.

    Example:
        >>> round(math.exp(log_area(3)) / math.pi, 6)
        4.0
    """
    return math.log(2) + d / 2 * math.log(math.pi) - math.lgamma(d / 2)


def around(loc: Tensor, along: Tensor, across: Tensor) -> Tensor:
    """Random points at given places along a direction, uniform around it.

    ``along · loc + across · v``, ``v`` uniform on the directions at right angles to ``loc``

    Args:
        loc: unit vectors, ``(*batch, d)``.
        along: ``cos`` of the angle to ``loc``, ``(*sample, *batch)``.
        across: ``sin`` of it, the same shape.

    Returns:
        ``(*sample, *batch, d)``, differentiable in all three.

    Example:
        >>> around(torch.tensor([1.0, 0.0]), torch.zeros(5), torch.ones(5)).abs()[:, 1]
        tensor([1., 1., 1., 1., 1.])
    """
    noise = torch.randn((*along.shape, loc.shape[-1]), dtype=loc.dtype, device=loc.device)
    tangent = noise - (noise * loc).sum(-1, keepdim=True) * loc
    tangent = tangent / tangent.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(loc.dtype).tiny)
    return along[..., None] * loc + across[..., None] * tangent


def require_vector(what: str, latent_shape: tuple[int, ...]) -> int:
    """The number of dimensions of latents on a sphere or in a ball.

    Raises:
        UsageError: the latent shape is not one number from 2 on.
    """
    if len(latent_shape) != 1 or latent_shape[0] < 2:
        raise UsageError(
            f"{what} needs latents that are vectors of 2 or more numbers, was given the shape {latent_shape}",
            hint="for example: --latent 16",
        )
    return latent_shape[0]


class Directions(Distribution):
    """A distribution around a direction that is symmetric about it.

    Args:
        loc: unit vectors, ``(*batch, d)``.
        concentration: ``κ > 0``, ``(*batch)``.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"concentration": constraints.positive}
    support = unit_sphere
    has_rsample = True

    def __init__(self, loc: Tensor, concentration: Tensor) -> None:
        self.loc, self.concentration = loc, concentration
        self.d = loc.shape[-1]
        super().__init__(concentration.shape, loc.shape[-1:], validate_args=False)

    def expand(self, batch_shape: Any, _instance: object = None) -> Self:
        return type(self)(self.loc.expand(*batch_shape, self.d), self.concentration.expand(batch_shape))

    def kl_to_uniform(self) -> Tensor:
        """``KL(self ‖ uniform) = log area - entropy``, ``(*batch)``, nats, subtracted in double precision."""
        exact = type(self)(self.loc.double(), self.concentration.double())
        return (log_area(self.d) - exact.entropy()).to(self.loc.dtype)


class DirectionsPosterior(Posterior):
    """A posterior of directions around one that is linear in the features, as is the log of its concentration.

    Raises:
        UsageError: the latents are not vectors of 2 or more numbers.
    """

    support = unit_sphere
    name: ClassVar[str]
    kind: ClassVar[type[Directions]]

    def __init__(self, feature_shape: tuple[int, ...], latent_shape: tuple[int, ...]) -> None:
        d = require_vector(f"posterior {self.name!r}", latent_shape)
        super().__init__(feature_shape, latent_shape)
        self.head = nn.Linear(math.prod(feature_shape), d + 1)

    def forward(self, features: Tensor) -> Directions:
        out = self.head(features.flatten(1))
        # Scaled first, so that the square of a large number does not overflow.
        direction = out[:, 1:] / out[:, 1:].abs().amax(1, keepdim=True).clamp(min=1e-12)
        return self.kind(normalize(direction, dim=1), bounded_log_scale(out[:, 0]).exp())
