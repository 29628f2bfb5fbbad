"""The Fréchet distance of two sets of features, taken as normals."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Distance", "Moments", "frechet_distance", "frechet_of_moments"]

_ROWS = 8192
_RANK = 1e-12
"""Eigenvalues below this share of the largest are of directions in which nothing varies."""


@dataclass(frozen=True)
class Moments:
    """Mean and covariance of features, in double precision.

    Args:
        mean: ``(D,)``.
        covariance: ``(D, D)``, by ``n - 1``.
        n: number of examples, where it is known; no more directions than that vary.
    """

    mean: Tensor
    covariance: Tensor
    n: int | None = None

    @classmethod
    def of(cls, x: Tensor) -> "Moments":
        """Moments of features ``(N, D)``, N from 2.

        Example:
            >>> Moments.of(torch.tensor([[0.0], [2.0]])).covariance
            tensor([[2.]], dtype=torch.float64)
        """
        mean = torch.stack([part.double().sum(0) for part in x.split(_ROWS)]).sum(0) / len(x)
        centred = (part.double() - mean for part in x.split(_ROWS))
        total = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64, device=x.device)
        for part in centred:
            total.addmm_(part.T, part)
        return cls(mean, total / (len(x) - 1), len(x))


@dataclass(frozen=True)
class Distance:
    """A distance between two sets, and its standard error."""

    value: float
    standard_error: float


def frechet_of_moments(a: Moments, b: Moments) -> float:
    """``|μ_a - μ_b|² + tr(Σ_a + Σ_b - 2 (Σ_a Σ_b)^½)``, the squared Wasserstein distance of two normals.

    Example:
        >>> a, b = Moments(torch.zeros(1), torch.ones(1, 1)), Moments(torch.ones(1), 4 * torch.ones(1, 1))
        >>> frechet_of_moments(a, b)
        2.0
    """
    return _Transport(a, b).distance()


def frechet_distance(x: Tensor, y: Tensor, *, paired: bool = False) -> Distance:
    """The Fréchet distance of features, FID where they are those of Inception.

    Biased upwards, more so with fewer examples and more dimensions: only distances from equally many examples can be
    compared. The standard error is that of the delta method: how far each example moves the distance through
    means and covariances; it is too small for two sets of the same distribution, where first order vanishes.

    Args:
        x: features, ``(N, D)``.
        y: features, ``(M, D)``.
        paired: each row of ``y`` belongs to that of ``x``, as reconstructions do, and both are drawn together.

    Reference:
        GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al., 2017),
        arXiv:1706.08500

    Example:
        >>> x = torch.randn(1000, 3)
        >>> round(frechet_distance(x, x + 2).value, 6)
        12.0
    """
    transport = _Transport(Moments.of(x), Moments.of(y))
    there, back = transport.maps()
    shift = transport.a.mean - transport.b.mean
    moves = [
        torch.cat([_influence(part.double() - mean, sign * shift, map_) for part in values.split(_ROWS)])
        for values, mean, map_, sign in (
            (x, transport.a.mean, there, 2.0),
            (y, transport.b.mean, back, -2.0),
        )
    ]
    if paired:
        moves = [moves[0] + moves[1]]
    variance = sum(float(move.var(correction=1)) / len(move) for move in moves)
    return Distance(transport.distance(), variance**0.5)


def _influence(centred: Tensor, shift: Tensor, map_: Tensor) -> Tensor:
    """How far each example moves the distance, up to a constant: ``shift·u + uᵀ (I - T) u``, ``(N, D) → (N,)``."""
    return centred @ shift + centred.square().sum(1) - ((centred @ map_) * centred).sum(1)


class _Transport:
    """The optimal transport from one normal to another, and its cost."""

    def __init__(self, a: Moments, b: Moments) -> None:
        self.a, self.b = (Moments(each.mean.double(), each.covariance.double(), each.n) for each in (a, b))
        values, self.axes = torch.linalg.eigh(self.a.covariance)
        self.values = values.clamp(min=0)
        root = self._root(0.5)
        middle = root @ self.b.covariance @ root
        self.inner, self.inner_axes = torch.linalg.eigh((middle + middle.T) / 2)
        # The root of what is zero up to rounding is far from zero.
        counts = [each.n - 1 for each in (a, b) if each.n is not None]
        rank = min(int((self.values > _RANK * self.values.max()).sum()), *counts, len(middle))
        self.inner[: len(middle) - rank] = 0

    def _root(self, power: float) -> Tensor:
        return _power(self.values, self.axes, power)

    def distance(self) -> float:
        traces = (
            self.a.covariance.trace() + self.b.covariance.trace() - 2 * self.inner.clamp(min=0).sqrt().sum()
        )
        return float((self.a.mean - self.b.mean).square().sum() + traces)

    def maps(self) -> tuple[Tensor, Tensor]:
        """``T`` with ``T Σ_a T = Σ_b``, and its inverse."""
        root, inverse = self._root(0.5), self._root(-0.5)
        there = inverse @ _power(self.inner, self.inner_axes, 0.5) @ inverse
        back = root @ _power(self.inner, self.inner_axes, -0.5) @ root
        return there, back


def _power(values: Tensor, axes: Tensor, power: float) -> Tensor:
    """A power of a matrix by its eigenvalues, zero where these are."""
    kept = values > _RANK * values.max()
    powers = torch.where(kept, values.clamp(min=torch.finfo(torch.float64).tiny), 1.0).pow(power) * kept
    return (axes * powers) @ axes.T
