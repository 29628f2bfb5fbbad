"""A standard normal distribution carried along by a velocity, and the ordinary differential equations that this takes."""

import math
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from genmod import UndefinedError

__all__ = ["EXACT", "Carried", "Velocity", "runge_kutta"]

Velocity = Callable[..., Tensor]
"""``y (N, d)`` at a time ``t`` → ``dy/dt (N, d)``, of each row by itself; of a conditional one, the context ``(N, size)``
of each row comes third."""

EXACT = 64
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


class Carried(Distribution):
    """What becomes of a standard normal between times 0 and 1.

    ``dy/dt = v(y, t)``, ``y(0) ~ N(0, I)``, ``log p(y(1)) = log N(y(0); 0, I) - ∫ ∇·v(y(t), t) dt``

    ``batch_shape ()``, or that of the context; v moves flat rows. The divergence ``∇·v`` is exact up to 64 numbers; of more
    it is estimated by 16 vectors of signs, ``1/16 Σ sᵀ (∂v/∂y) s`` (Hutchinson), the same ones for all values, so that a
    density is the same whenever it is asked for.

    Args:
        velocity: v.
        zeros: ``event_shape``, of the precision and on the device of the draws.
        steps: of the Runge-Kutta method.
        context: of each distribution of the batch, ``(*batch_shape, size)``, where the velocity depends on one.

    Raises:
        UndefinedError: its density is to be exported as a program.

    Reference:
        FFJORD: Free-form Continuous Dynamics for Scalable Reversible Generative Models (Grathwohl et al., 2018),
        arXiv:1810.01367

    Example:
        >>> Carried(lambda y, t: 0 * y, torch.zeros(2), 1).log_prob(torch.zeros(2))
        tensor(-1.8379)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, velocity: Velocity, zeros: Tensor, steps: int, context: Tensor | None = None) -> None:
        self.velocity, self.zeros, self.steps, self.context = velocity, zeros, steps, context
        batch = torch.Size() if context is None else context.shape[:-1]
        super().__init__(batch, zeros.shape, validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.real, self.zeros.dim())

    def expand(self, batch_shape: Any, _instance: object = None) -> "Carried":
        context = None if self.context is None else self.context.expand(*batch_shape, -1)
        other = Carried(self.velocity, self.zeros, self.steps, context)
        other._batch_shape = torch.Size(batch_shape)
        return other

    def rows(self, value: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Values ``(*samples, *batch_shape, *event_shape)`` as rows ``(N, d)``, and the context of each where there is one."""
        batch = value.shape[: value.dim() - self.zeros.dim()]
        flat = value.reshape(-1, self.zeros.numel())
        if self.context is None:
            return flat, ()
        return flat, (self.context.expand(*batch, -1).reshape(flat.shape[0], self.context.shape[-1]),)

    def _pieces(self, value: Tensor) -> Iterator[tuple[Velocity, Tensor]]:
        """Rows, as many as are moved at a time, and their velocity."""
        flat, given = self.rows(value)
        # A program that is exported is for any number of rows.
        exported = torch.compiler.is_compiling()
        pieces = ([part] if exported else part.split(_AT_ONCE) for part in (flat, *given))
        for each in zip(*pieces, strict=True):
            yield _of(self.velocity, each[1:]), each[0]

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        noise = torch.randn(shape, dtype=self.zeros.dtype, device=self.zeros.device)
        moved = [runge_kutta(velocity, rows, 0.0, 1.0, self.steps) for velocity, rows in self._pieces(noise)]
        return torch.cat(moved).reshape(shape)

    def log_prob(self, value: Tensor) -> Tensor:
        batch = value.shape[: value.dim() - self.zeros.dim()]
        batch = torch.broadcast_shapes(batch, self._batch_shape)
        found = [self._density(*each) for each in self._pieces(value.expand(*batch, *self.zeros.shape))]
        return torch.cat(found).reshape(batch)

    def _density(self, velocity: Velocity, y: Tensor) -> Tensor:
        # `is_exporting` says it in one word from torch 2.7 on.
        if torch.compiler.is_compiling() and not torch.compiler.is_dynamo_compiling():
            raise UndefinedError(
                "torch.export takes no derivatives, of which this density is made",
                hint="export the encoder or the network alone",
            )
        size = self.zeros.numel()
        # Whether anything here is to be differentiated: the values, or what the velocity is made of.
        wanted = torch.is_grad_enabled() and (y.requires_grad or velocity(y, 1.0).requires_grad)
        if size <= EXACT:
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
                moved = velocity(at, t)
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


def _of(velocity: Velocity, given: tuple[Tensor, ...]) -> Velocity:
    return lambda y, t: velocity(y, t, *given)
