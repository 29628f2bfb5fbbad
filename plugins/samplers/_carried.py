"""A standard normal distribution carried along by a velocity, and the ordinary differential equations that this takes."""

import math
from collections.abc import Callable
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

__all__ = ["Carried", "Velocity", "runge_kutta"]

Velocity = Callable[[Tensor, float], Tensor]
"""``y (N, d)`` at a time ``t`` → ``dy/dt (N, d)``, of each row by itself."""

_EXACT = 64
"""Most numbers of which the divergence is exact."""
_PROBES = 16
_AT_ONCE = 4096


def runge_kutta(velocity: Velocity, y: Tensor, start: float, end: float, steps: int) -> Tensor:
    """Where ``y (N, d)`` gets from one time to another, by the classical Runge-Kutta method of fourth order.

    The error falls with the fourth power of the number of steps. Steps are fixed: those that adapt to all rows together
    would make each depend on its neighbours.

    Reference:
        Solving Ordinary Differential Equations I (Hairer, Nørsett and Wanner, 1993), doi:10.1007/978-3-540-78862-1

    Example:
        >>> runge_kutta(lambda y, t: y, torch.ones(1, 1), 0.0, 1.0, 10)
        tensor([[2.7183]])
    """
    h = (end - start) / steps
    for step in range(steps):
        t = start + step * h
        k1 = velocity(y, t)
        k2 = velocity(y + h / 2 * k1, t + h / 2)
        k3 = velocity(y + h / 2 * k2, t + h / 2)
        k4 = velocity(y + h * k3, t + h)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y


@final
class Carried(Distribution):
    """What becomes of a standard normal between times 0 and 1.

    ``dy/dt = v(y, t)``, ``y(0) ~ N(0, I)``, ``log p(y(1)) = log N(y(0); 0, I) - ∫ ∇·v(y(t), t) dt``

    Over vectors, ``batch_shape ()``, ``event_shape (d,)``. The divergence ``∇·v`` is exact up to 64 dimensions; of more it
    is estimated by 16 vectors of signs, ``1/16 Σ sᵀ (∂v/∂y) s`` (Hutchinson), the same ones for all values, so that a
    density is the same whenever it is asked for.

    Args:
        velocity: v.
        zeros: ``(d,)``, of the precision and on the device of the draws.
        steps: of the Runge-Kutta method.

    Reference:
        FFJORD: Free-form Continuous Dynamics for Scalable Reversible Generative Models (Grathwohl et al., 2018),
        arXiv:1810.01367

    Example:
        >>> Carried(lambda y, t: 0 * y, torch.zeros(2), 1).log_prob(torch.zeros(2))
        tensor(-1.8379)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, velocity: Velocity, zeros: Tensor, steps: int) -> None:
        self.velocity, self.zeros, self.steps = velocity, zeros, steps
        super().__init__(torch.Size(), zeros.shape, validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.real, 1)

    def expand(self, batch_shape: Any, _instance: object = None) -> "Carried":
        other = Carried(self.velocity, self.zeros, self.steps)
        other._batch_shape = torch.Size(batch_shape)
        return other

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = torch.Size((*sample_shape, *self._batch_shape, len(self.zeros)))
        noise = torch.randn(shape, dtype=self.zeros.dtype, device=self.zeros.device)
        pieces = noise.reshape(-1, len(self.zeros)).split(_AT_ONCE)
        moved = [runge_kutta(self.velocity, piece, 0.0, 1.0, self.steps) for piece in pieces]
        return torch.cat(moved).reshape(shape)

    def log_prob(self, value: Tensor) -> Tensor:
        value = value.expand(*torch.broadcast_shapes(value.shape[:-1], self._batch_shape), len(self.zeros))
        found = [self._density(piece) for piece in value.reshape(-1, len(self.zeros)).split(_AT_ONCE)]
        return torch.cat(found).reshape(value.shape[:-1])

    def _density(self, y: Tensor) -> Tensor:
        size = len(self.zeros)
        # Whether anything here is to be differentiated: the values, or what the velocity is made of.
        wanted = torch.is_grad_enabled() and (y.requires_grad or self.velocity(y[:1], 1.0).requires_grad)
        if size <= _EXACT:
            vectors = torch.eye(size, dtype=y.dtype, device=y.device)
        else:
            fixed = torch.Generator().manual_seed(0)
            signs = torch.randint(2, (_PROBES, size), generator=fixed, device="cpu").to(y) * 2 - 1
            vectors = signs / math.sqrt(_PROBES)

        def both(state: Tensor, t: float) -> Tensor:
            """Velocity, and divergence in the last column."""
            with torch.enable_grad():
                at = state[:, :size]
                at = at if wanted and at.requires_grad else at.detach().requires_grad_()
                moved = self.velocity(at, t)
                divergence = torch.zeros_like(at[:, 0])
                for vector in vectors:
                    (row,) = torch.autograd.grad(
                        moved, at, vector.expand_as(moved), retain_graph=True, create_graph=wanted
                    )
                    divergence = divergence + row @ vector
            made = torch.cat([moved, divergence[:, None]], 1)
            return made if wanted else made.detach()

        end = runge_kutta(both, torch.cat([y, torch.zeros_like(y[:, :1])], 1), 1.0, 0.0, self.steps)
        start = end[:, :size]
        # Going back, the last column is minus the integral.
        return -0.5 * start.square().sum(1) - 0.5 * size * math.log(2 * math.pi) + end[:, size]
