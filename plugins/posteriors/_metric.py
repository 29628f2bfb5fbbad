"""A Riemannian metric over latents that is made of places where it is wide, and Hamiltonian dynamics under it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

__all__ = ["At", "Metric", "generalised_leapfrog", "log_determinant"]


@final
@dataclass(frozen=True)
class At:
    """What a metric is at points ``(*batch, d)``.

    Args:
        z: the points.
        weights: ``exp(-‖z - c_i‖² / T²)``, ``(*batch, C)``.
        inverse: ``G⁻¹``, ``(*batch, d, d)``.
    """

    z: Tensor
    weights: Tensor
    inverse: Tensor


@final
@dataclass(frozen=True)
class Metric:
    """``G⁻¹(z) = Σ_i M_i exp(-‖z - c_i‖² / T²) + λ I``, and momenta ``ρ ~ N(0, G(z))``.

    Args:
        centres: c, ``(C, d)``.
        matrices: M, positive semi-definite, ``(C, d, d)``.
        temperature: T.
        floor: λ.

    Reference:
        Geometry-Aware Hamiltonian Variational Auto-Encoder (Chadebec et al., 2020), arXiv:2010.11518

    Example:
        >>> metric = Metric(torch.zeros(1, 2), torch.eye(2)[None], 1.0, 0.5)
        >>> metric.at(torch.zeros(2)).inverse.diagonal()
        tensor([1.5000, 1.5000])
    """

    centres: Tensor
    matrices: Tensor
    temperature: float
    floor: float

    def at(self, z: Tensor) -> At:
        """What is needed of the metric at positions ``(*batch, D)``."""
        distances = (z[..., None, :] - self.centres).square().sum(-1)
        weights = torch.exp(-distances / self.temperature**2)
        inverse = (weights @ self.matrices.flatten(1)).unflatten(-1, self.matrices.shape[1:])
        return At(z, weights, inverse + self.floor * torch.eye(z.shape[-1], dtype=z.dtype, device=z.device))

    def drawn(self, at: At, noise: Tensor) -> Tensor:
        """Momenta of N(0, G) from standard normal noise of the same shape."""
        factor = torch.linalg.cholesky(at.inverse)
        return torch.linalg.solve_triangular(factor.mT, noise[..., None], upper=True)[..., 0]

    def log_density(self, at: At, momentum: Tensor) -> Tensor:
        """``log N(ρ; 0, G)``, ``(*batch,)``."""
        volume = log_determinant(at.inverse)
        squares = (momentum * self.velocity(at, momentum)).sum(-1)
        return 0.5 * (volume - squares - momentum.shape[-1] * math.log(2 * math.pi))

    def velocity(self, at: At, momentum: Tensor) -> Tensor:
        """``G⁻¹ ρ``."""
        return (at.inverse @ momentum[..., None])[..., 0]

    def force(self, at: At, momentum: Tensor | None = None) -> Tensor:
        """``∇_z [½ log det G⁻¹ - ½ ρᵀ G⁻¹ ρ]``; of no momentum, that of the first term alone."""
        along = torch.linalg.inv(at.inverse)
        if momentum is not None:
            along = along - momentum[..., None] * momentum[..., None, :]
        pulls = (along.flatten(-2) @ self.matrices.flatten(1).T) * at.weights
        there = pulls @ self.centres - at.z * pulls.sum(-1, keepdim=True)
        return there / self.temperature**2


def log_determinant(matrices: Tensor) -> Tensor:
    """Of symmetric positive definite ones, ``(*batch, d, d) → (*batch,)``."""
    return 2 * torch.linalg.cholesky(matrices).diagonal(dim1=-2, dim2=-1).log().sum(-1)


def generalised_leapfrog(
    slope: Callable[[Tensor], Tensor],
    metric: Metric,
    z: Tensor,
    momentum: Tensor,
    step: Tensor,
    slope_here: Tensor,
    iterations: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of Hamiltonian dynamics under a metric, which keeps volumes, and leads back with the momentum turned round.

    ``ρ' = ρ - ½ ε ∂H/∂z(z, ρ')``, ``z ← z + ½ ε (∂H/∂ρ(z, ρ') + ∂H/∂ρ(z_new, ρ'))``, ``ρ ← ρ' - ½ ε ∂H/∂z(z_new, ρ')``, with
    ``H = -log p(z) + ½ log det G(z) + ½ ρᵀ G⁻¹(z) ρ``

    The first two are solved by iteration, as exactly as that has converged.

    Args:
        slope: ``∇log p``.
        metric: G.
        z: where it begins, ``(*batch, d)``.
        momentum: of the same shape.
        step: ε, ``(d,)``.
        slope_here: the slope at z.
        iterations: of each equation.

    Returns:
        Where it ends, the momentum, and the slope there.

    Reference:
        Riemann Manifold Langevin and Hamiltonian Monte Carlo Methods (Girolami and Calderhead, 2011),
        doi:10.1111/j.1467-9868.2010.00765.x
    """
    here, half = metric.at(z), momentum
    for _ in range(iterations):
        half = momentum + 0.5 * step * (slope_here + metric.force(here, half))
    start, end = metric.velocity(here, half), z
    for _ in range(iterations):
        end = z + 0.5 * step * (start + metric.velocity(metric.at(end), half))
    slope_there = slope(end)
    return end, half + 0.5 * step * (slope_there + metric.force(metric.at(end), half)), slope_there
