"""Regions of the prior on the plane of the latents: where 50 % and 90 % of it lie."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from genmod.errors import UndefinedError
from genmod.figures.plane import Plane
from genmod.figures.scene import Scene
from genmod.figures.views import evaluating

__all__ = ["Contours", "contours", "normal_on", "smoothed"]

_SHARES = (0.9, 0.5)
_SIDE = 200


@dataclass(frozen=True)
class Contours:
    """Lines around the densest regions that hold some shares of a distribution.

    Args:
        x: places across, ``(W,)``.
        y: places upwards, ``(H,)``.
        density: ``(H, W)``.
        levels: of 90 %, then of 50 %.
        exact: whether the density is that of the prior, and not that of its draws, smoothed.
    """

    x: Tensor
    y: Tensor
    density: Tensor
    levels: tuple[float, float]
    exact: bool


def contours(scene: Scene, plane: Plane) -> Contours | None:
    """The smallest regions that hold 50 % and 90 % of the prior; None where they are not known or no regions.

    Where the latents are the plane, by the prior's density, and where they are projected on it and the prior is a normal
    distribution, by that of the projection; both exactly, but for the mesh of 200 by 200 places. Else by the density of
    projected draws.
    """
    draws = plane.points[1]
    if len(draws) < 10 or scene.space.kind in ("sphere", "choice", "bits"):
        return None
    low, high = (draws.double().quantile(q, dim=0) for q in (0.001, 0.999))
    pad = 0.35 * (high - low)
    low, high = low - pad, high + pad
    if not bool((high > low).all()) or not plane.points[0].isfinite().all():
        return None
    x, y = (
        torch.linspace(float(a), float(b), _SIDE, dtype=torch.float64) for a, b in zip(low, high, strict=True)
    )
    mesh = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)
    density = _known_density(scene, plane, mesh)
    exact = density is not None
    if density is None:
        density = smoothed(draws.double(), mesh)
    levels = _levels(density)
    if levels is None:
        return None
    return Contours(x, y, density.reshape(_SIDE, _SIDE), levels, exact)


def _levels(density: Tensor) -> tuple[float, float] | None:
    """Densities above which 90 % and 50 % of the mass lie, of the density at places that are evenly spread."""
    if not density.isfinite().all() or not float(density.sum()) > 0:
        return None
    ordered = density.sort(descending=True).values
    mass = ordered.cumsum(0) / ordered.sum()
    outer, inner = (float(ordered[int((mass < share).sum())]) for share in _SHARES)
    return (outer, inner) if outer < inner else None


def _known_density(scene: Scene, plane: Plane, points: Tensor) -> Tensor | None:
    """The density of the prior on the plane, ``(N, 2) → (N,)``, where it is known."""
    model = scene.model
    if model.conditions is not None:
        return None
    if plane.direct and model.prior.has_density:
        z = points.to(model.device, model.dtype).reshape(-1, *model.latent_shape)
        lies = model.space.contains(z)
        values = torch.zeros(len(z), dtype=torch.float64)
        with evaluating(model, scene.seed):
            if lies.any():
                values[lies] = model.prior().log_prob(z[lies.to(z.device)]).exp().double().cpu()
        return values
    found = normal_on(scene, plane)
    if found is None:
        return None
    mean, covariance = found
    # By hand: torch's distribution imports sympy to look at shapes, which takes longer than the figure.
    off = points - mean
    squares = (off * torch.linalg.solve(covariance, off.mT).mT).sum(1)
    return (-squares / 2).exp() / (2 * math.pi * covariance.det().sqrt())


def normal_on(scene: Scene, plane: Plane) -> tuple[Tensor, Tensor] | None:
    """Mean ``(2,)`` and covariance ``(2, 2)`` of a normal prior with independent numbers, projected on the plane.

    A projection of a normal distribution is normal: ``A (z - c) ~ N(A (m - c), A diag(s²) Aᵀ)``.
    """
    from torch.distributions import Independent, Normal

    if plane.flat is None:
        return None
    try:
        with evaluating(scene.model, scene.seed):
            prior = scene.model.prior()
    except UndefinedError:
        return None
    base = prior
    while isinstance(base, Independent):
        base = base.base_dist
    if not isinstance(base, Normal):
        return None
    middle, axes = plane.flat
    mean, spread = (
        part.expand(scene.model.latent_shape).flatten().double().cpu() for part in (prior.mean, prior.stddev)
    )
    covariance = axes @ torch.diag(spread.square()) @ axes.T
    if float(torch.linalg.det(covariance)) < 1e-12:
        return None
    return axes @ (mean - middle), covariance


def smoothed(points: Tensor, at: Tensor) -> Tensor:
    """Density of points ``(N, D)``, each smoothed to a normal, at places ``(M, D)`` → ``(M,)``; NaN for points on a line.

    ``1/N Σ_n N(x; x_n, N^(-2/(D+4)) C)`` with the covariance C of the points: Scott's rule, as in ``scipy.stats``, whose
    import takes half as long as that of torch.

    Reference:
        Multivariate Density Estimation (Scott, 1992)

    Example:
        >>> smoothed(torch.tensor([[-1.0], [1.0]]).double(), torch.zeros(1, 1).double())
        tensor([0.2330], dtype=torch.float64)
    """
    n, d = points.shape
    factor, failed = torch.linalg.cholesky_ex(n ** (-2 / (d + 4)) * points.T.cov().reshape(d, d))
    if bool(failed):
        return torch.full((len(at),), math.nan, dtype=points.dtype)
    whitened, places = (torch.linalg.solve_triangular(factor, x.T, upper=False).T for x in (points, at))
    norm = n * (2 * math.pi) ** (d / 2) * factor.diagonal().prod()
    # A part at a time: all distances at once would take much memory.
    parts = [(-0.5 * torch.cdist(part, whitened).square()).exp().sum(1) for part in places.split(1000)]
    return torch.cat(parts) / norm
