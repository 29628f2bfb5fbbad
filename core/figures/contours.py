"""Contours of the prior on the plane of the latents."""

import math

import torch
from torch import Tensor

from genmod.figures.plane import Plane
from genmod.figures.scene import Scene
from genmod.figures.views import evaluating

__all__ = ["Contours", "contours", "smoothed"]

_SHARES = (0.9, 0.5)

Contours = tuple[Tensor, Tensor, Tensor, list[float]]


def contours(scene: Scene, plane: Plane) -> Contours | None:
    """Regions of 50 % and 90 % of the prior: by its density if it is on the plane, else by that of projected draws."""
    draws = plane.points[1]
    if len(draws) < 10 or scene.space.kind in ("sphere", "choice", "bits"):
        return None
    both = torch.cat([draws, plane.points[0]]).double()
    low, high = (draws.double().quantile(q, dim=0) for q in (0.001, 0.999))
    pad = 0.25 * (high - low)
    low, high = low - pad, high + pad
    if not bool((high > low).all()) or not both.isfinite().all():
        return None
    x, y = (
        torch.linspace(float(a), float(b), 120, dtype=torch.float64) for a, b in zip(low, high, strict=True)
    )
    mesh = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)
    density = _density(scene, plane, mesh)
    at_draws = _density(scene, plane, draws.double())
    levels = sorted(float(at_draws.quantile(1 - share)) for share in _SHARES)
    if not levels[0] < levels[1] or not density.isfinite().any():
        return None
    return x, y, density.reshape(120, 120), levels


def _density(scene: Scene, plane: Plane, points: Tensor) -> Tensor:
    model = scene.model
    if plane.direct and model.prior.has_density and model.conditions is None:
        z = points.to(model.device, model.dtype).reshape(-1, *model.latent_shape)
        lies = model.space.contains(z)
        values = torch.zeros(len(z), dtype=torch.float64)
        with evaluating(model, scene.seed):
            if lies.any():
                values[lies] = model.prior().log_prob(z[lies.to(z.device)]).exp().double().cpu()
        return values
    return smoothed(plane.points[1].double(), points)


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
    return (
        torch.cat([(-0.5 * torch.cdist(part, whitened).square()).exp().sum(1) for part in places.split(1000)])
        / norm
    )
