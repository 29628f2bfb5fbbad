"""The Poincaré ball: hyperbolic space of curvature ``-c`` as the points with ``c |z|² < 1``.

A point is represented by its tangent vector: its direction from the origin times its hyperbolic distance. Near the
boundary the point itself keeps few digits of ``1 - c |z|²`` or none; a draw keeps its tangent vector, from which
everything is computed in double precision.
"""

import math

import torch
from torch import Tensor
from torch.distributions import constraints

from genmod.distributions import Coordinates, drawn, kept_of

__all__ = ["PoincareBall", "distance_and_log", "exp_from", "log_stretch", "tangent_of"]

_REACH = 12.0
"""Draws lie within this hyperbolic distance of the origin, times √c: further out, neighbours in single precision are
more than a hundredth apart."""


class PoincareBall(constraints.Constraint):
    """Vectors of length below ``1/√c``.

    Args:
        curvature: ``c > 0``; the sectional curvature is ``-c``.

    Example:
        >>> PoincareBall(1.0).check(torch.tensor([[0.6, 0.7], [0.8, 0.7]]))
        tensor([ True, False])
    """

    event_dim = 1

    def __init__(self, curvature: float) -> None:
        self.curvature = curvature

    def check(self, value: Tensor) -> Tensor:
        return self.curvature * value.square().sum(-1) < 1

    def coordinates(self) -> Coordinates:
        """Tangent vectors, which reach as far as the ball does."""

        def forward(tangent: Tensor) -> tuple[Tensor, Tensor]:
            z = drawn(_point(tangent, self.curvature, _REACH), {"tangent": tangent.double()})
            far = _norm(tangent)[..., 0]
            return z, -log_stretch(far, z, self.curvature).to(z.dtype)

        return Coordinates(forward, lambda z: tangent_of(z, self.curvature).to(z.dtype))

    def quadrature(self, event_shape: tuple[int, ...], count: int) -> tuple[Tensor, Tensor] | None:
        """Points and weights that integrate over the disc, for the conformance kit; None elsewhere."""
        if event_shape != (2,):
            return None
        rings, spokes = 600, 1500
        root = self.curvature**0.5
        # By hyperbolic distance, so that the points near the boundary are not missed.
        far = (torch.arange(rings, dtype=torch.float64) + 0.5) * (_REACH / rings)
        angle = torch.arange(spokes, dtype=torch.float64) * (2 * math.pi / spokes)
        radius = (far / 2).tanh() / root
        width = (1 - (far / 2).tanh().square()) / (2 * root) * (_REACH / rings)
        points = radius[:, None, None] * torch.stack([angle.cos(), angle.sin()], -1)
        weights = (radius * width * (2 * math.pi / spokes))[:, None].expand(rings, spokes)
        return points.reshape(-1, 2), weights.reshape(-1)

    def __repr__(self) -> str:
        return f"PoincareBall(curvature={self.curvature:g})"


def exp_from(loc: Tensor, step: Tensor, c: float) -> Tensor:
    """The point at the end of a geodesic from another; it keeps its tangent vector.

    ``exp_loc(step / λ) = loc ⊕ tanh(√c |step| / 2) step / (√c |step|)``, ``λ = 2 / (1 - c |loc|²)``; draws that come
    nearer to the boundary than single precision resolves are put back to where it does.

    Args:
        loc: points of the ball, ``(*batch, d)``.
        step: direction and hyperbolic length, ``(*sample, *batch, d)``.
        c: curvature.

    Returns:
        ``(*sample, *batch, d)``, double precision.

    Example:
        >>> z = exp_from(torch.zeros(2), torch.tensor([100.0, 0.0]), 1.0)
        >>> z, tangent_of(z, 1.0)
        (tensor([1.0000, 0.0000], dtype=torch.float64), tensor([100.,   0.], dtype=torch.float64))
    """
    loc, step = loc.double(), step.double()
    y = _point(step, c)
    inner, square = (loc * y).sum(-1, keepdim=True), loc.square().sum(-1, keepdim=True)
    square_y = y.square().sum(-1, keepdim=True)
    below = 1 + 2 * c * inner + c * c * square * square_y
    moved = ((1 + 2 * c * inner + c * square_y) * loc + (1 - c * square) * y) / below
    # That 1 - c |moved|² is this product is exact where the difference has no digits left.
    log_rest = (1 - c * square).log() + _log_rest(c**0.5 * _norm(step)) - below.log()
    tangent = moved * _lengthened(c**0.5 * _norm(moved), log_rest)
    return drawn(_point(tangent, c, _REACH), {"tangent": tangent})


def tangent_of(z: Tensor, c: float) -> Tensor:
    """The tangent vector of a point, that which a draw keeps; ``(*batch, d)``, double precision.

    Example:
        >>> tangent_of(torch.tensor([0.6, 0.0]), 1.0)
        tensor([1.3863, 0.0000], dtype=torch.float64)
    """

    def tangent(z: Tensor) -> Tensor:
        z = z.double()
        log_rest = (1 - c * z.square().sum(-1, keepdim=True)).clamp(min=1e-12).log()
        return z * _lengthened(c**0.5 * _norm(z), log_rest)

    return kept_of(z, "tangent", tangent).double()


def distance_and_log(loc: Tensor, z: Tensor, c: float) -> tuple[Tensor, Tensor]:
    """Hyperbolic distance of two points, and the step by which :func:`exp_from` goes from one to the other.

    ``d = 2/√c arsinh(√c |z - loc| / √((1 - c |loc|²)(1 - c |z|²)))``

    Args:
        loc: ``(*batch, d)``.
        z: ``(*sample, *batch, d)``.
        c: curvature.

    Returns:
        ``(*sample, *batch)`` and ``(*sample, *batch, d)``, double precision.

    Example:
        >>> distance_and_log(torch.zeros(2), torch.tensor([0.6, 0.0]), 1.0)[1]
        tensor([1.3863, 0.0000], dtype=torch.float64)
    """
    loc, tangent = loc.double(), tangent_of(z, c)
    apart = _point(tangent, c) - loc
    rest = 1 - c * loc.square().sum(-1, keepdim=True)
    log_both = rest.log() + _log_rest(c**0.5 * _norm(tangent))
    length = _norm(apart)
    cosh = (log_both.exp() + c * length.square()).sqrt()
    far = 2 / c**0.5 * ((c**0.5 * length + cosh).log() - 0.5 * log_both)
    # The numerator of (-loc) ⊕ z; written with z - loc it does not cancel where the two are near.
    direction = rest * apart - c * length.square() * loc
    return far[..., 0], far / (length * cosh) * direction


def log_stretch(far: Tensor, z: Tensor, c: float) -> Tensor:
    """How much the volume around ``z`` grows when it is taken to the tangent space of a point at a distance.

    ``(d - 1) log(√c far / sinh(√c far)) + d log(2 / (1 - c |z|²))``: the first from the tangent space to the volume
    of hyperbolic space, the second from there to that of the coordinates (Lebesgue measure).

    Args:
        far: hyperbolic distance, ``(*batch)``.
        z: ``(*batch, d)``.

    Returns:
        ``(*batch)``, double precision.

    Example:
        >>> log_stretch(torch.zeros(1), torch.zeros(1, 3), 1.0).exp().round()
        tensor([8.], dtype=torch.float64)
    """
    d = z.shape[-1]
    x = (c**0.5 * far.double()).clamp(min=1e-6)
    shrink = x.log() - x - (-torch.expm1(-2 * x)).log() + math.log(2)
    log_rest = _log_rest(c**0.5 * _norm(tangent_of(z, c)))[..., 0]
    return (d - 1) * shrink + d * (math.log(2) - log_rest)


def _point(tangent: Tensor, c: float, reach: float = math.inf) -> Tensor:
    length = c**0.5 * _norm(tangent)
    return (length.clamp(max=reach) / 2).tanh() / length * tangent


def _log_rest(length: Tensor) -> Tensor:
    """``log(1 - c |z|²) = -2 log cosh(√c |v| / 2)`` of points with tangent vectors of length ``√c |v|``."""
    return math.log(4) - length - 2 * (-length).exp().log1p()


def _lengthened(radius: Tensor, log_rest: Tensor) -> Tensor:
    """``√c |v| / (√c |z|)`` of points with radius ``√c |z|`` and ``log(1 - c |z|²)``."""
    near = radius < 1e-4
    length = 2 * radius.log1p() - log_rest
    return torch.where(near, 2 + radius.square() * (2 / 3), length / radius.clamp(min=1e-4))


def _norm(x: Tensor) -> Tensor:
    """Length of vectors, ``(*batch, 1)``; at zero the gradient is zero."""
    return (x.square().sum(-1, keepdim=True) + 1e-30).sqrt()
