"""Draws that are moved along a density by Hamiltonian dynamics, and what is known of their own."""

from collections.abc import Callable
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, constraints

from genmod import Joint, UndefinedError
from genmod.distributions import drawn, own_of, standard_normal

__all__ = ["Chain", "leapfrog"]

Slope = Callable[[Tensor], Tensor]
"""The gradient of a log-density, ``z → z``."""


def leapfrog(
    slope: Slope, z: Tensor, momentum: Tensor, step: Tensor, at: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of Hamiltonian dynamics, which keeps volumes, and leads back when the momentum is turned round.

    ``m' = m + ½ ε ∇log p(z)``, ``z ← z + ε m'``, ``m ← m' + ½ ε ∇log p(z)``

    Args:
        slope: ``∇log p``.
        z: where it begins, ``(*batch, *shape)``.
        momentum: of the same shape.
        step: ε, ``shape``.
        at: the slope at z.

    Returns:
        Where it ends, the momentum, and the slope there.

    Example:
        >>> z, m, slope = torch.ones(2), torch.zeros(2), lambda z: -z
        >>> z, m, at = leapfrog(slope, z, m, torch.tensor(0.1), slope(z))
        >>> leapfrog(slope, z, -m, torch.tensor(0.1), at)[0]
        tensor([1., 1.])
    """
    momentum = momentum + 0.5 * step * at
    z = z + step * momentum
    at = slope(z)
    return z, momentum + 0.5 * step * at, at


@final
class Chain(Distribution):
    """Draws of a normal with a momentum, after leapfrog steps along ``log p(x, z)``, each of which cools the momentum.

    ``z_0 ~ q_0``, ``γ ~ N(0, I)``, ``ρ_0 = γ / Π α_k``; K times a leapfrog step and ``ρ_k ← α_k ρ_k``. All of it together keeps
    volumes, so that the density of ``z_K`` and ``ρ_K`` is ``q_0(z_0) N(γ; 0, I)``. A draw keeps

    ``log q = log q_0(z_0) + log N(γ; 0, I) - log N(ρ_K; 0, I)``

    with which ``log p(x, z_K) - log q`` is the logarithm of an unbiased weight of ``p(x)``, as that of any posterior. Of
    no other value it is known. Where there is nothing to move along, it is ``q_0`` itself.

    Args:
        start: ``q_0``, ``batch_shape (B,)``.
        joint: ``log p(x, z)``, or None.
        step: ε of each latent, ``event_shape``.
        cooling: each α, ``(K,)``.

    Raises:
        UndefinedError: by :meth:`log_prob`, of a value that it did not draw.

    Reference:
        Hamiltonian Variational Auto-Encoder (Caterini et al., 2018), arXiv:1805.11328
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    has_rsample = True
    draws_alone = True

    def __init__(self, start: Independent, joint: Joint | None, step: Tensor, cooling: Tensor) -> None:
        self.start, self.joint, self.step, self.cooling = start, joint, step, cooling
        super().__init__(start.batch_shape, start.event_shape, validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.real, len(self.event_shape))

    def expand(self, batch_shape: Any, _instance: object = None) -> "Chain":
        return Chain(self.start.expand(torch.Size(batch_shape)), self.joint, self.step, self.cooling)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        z: Tensor = self.start.rsample(torch.Size(sample_shape))
        if self.joint is None:
            return z
        noise = torch.randn_like(z)
        normal = standard_normal(torch.zeros_like(self.step), self.step.dim())
        density = self.start.log_prob(z) + normal.log_prob(noise)
        z, momentum = self.moved(z, noise / self.cooling.prod())
        density = density - normal.log_prob(momentum)
        return drawn(z, {self: density.reshape(*density.shape, *(1,) * self.step.dim()).expand(z.shape)})

    def moved(self, z: Tensor, momentum: Tensor) -> tuple[Tensor, Tensor]:
        """Where points and momenta ``(*batch, *event_shape)`` are after all steps."""
        at = self._slope(z)
        for alpha in self.cooling:
            z, momentum, at = leapfrog(self._slope, z, momentum, self.step, at)
            momentum = alpha * momentum
        return z, momentum

    def _slope(self, z: Tensor) -> Tensor:
        assert self.joint is not None
        wanted = torch.is_grad_enabled()
        with torch.enable_grad():
            at = z if wanted and z.requires_grad else z.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.joint(at).sum(), at, create_graph=wanted)
        return slope

    def log_prob(self, value: Tensor) -> Tensor:
        if self.joint is None:
            return self.start.log_prob(value)  # type: ignore[no-any-return]
        # Draws that were made without a gradient have a density all the same.
        with torch.no_grad():
            own = own_of(value, self)
        if own is None:
            raise UndefinedError(
                "the density of a posterior that moves its draws (posterior 'hmc') is known for its own draws alone",
                hint="estimate from draws (--divergence kl-mc, metrics elbo and nll), or choose --posterior normal",
            )
        density = own.flatten(-len(self.event_shape))[..., 0]
        return density if torch.is_grad_enabled() else density.detach()
