"""Draws that are moved along a density by Hamiltonian dynamics, and what is known of their own."""

import math
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, final

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, constraints

from genmod import Doc, Joint, Posterior, UndefinedError, bounded_log_scale, diagonal_normal
from genmod.distributions import drawn, own_of, standard_normal
from genmod.plugins.posteriors._metric import Metric, generalised_leapfrog

__all__ = ["Beta", "Chain", "ChainPosterior", "Cooling", "Step", "Steps", "leapfrog"]

_LARGEST = 0.5
"""Steps are shorter than this."""

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
    no other value it is known. Where there is nothing to move along, it is ``q_0`` itself. Under a metric G momenta have the
    covariance ``G(z)`` in place of I, where they are drawn and where they end, and the steps are the generalised ones.

    Args:
        start: ``q_0``, ``batch_shape (B,)``.
        joint: ``log p(x, z)``, or None.
        step: ε of each latent, ``event_shape``.
        cooling: each α, ``(K,)``.
        metric: G, of latents that are vectors, or None.
        iterations: of each equation of a step under a metric.

    Raises:
        UndefinedError: by :meth:`log_prob`, of a value that it did not draw.

    Reference:
        Hamiltonian Variational Auto-Encoder (Caterini et al., 2018), arXiv:1805.11328
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    has_rsample = True
    draws_alone = True

    def __init__(
        self,
        start: Independent,
        joint: Joint | None,
        step: Tensor,
        cooling: Tensor,
        metric: Metric | None = None,
        iterations: int = 1,
    ) -> None:
        self.start, self.joint, self.step, self.cooling = start, joint, step, cooling
        self.metric, self.iterations = metric, iterations
        super().__init__(start.batch_shape, start.event_shape, validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.real, len(self.event_shape))

    def expand(self, batch_shape: Any, _instance: object = None) -> "Chain":
        start = self.start.expand(torch.Size(batch_shape))
        return Chain(start, self.joint, self.step, self.cooling, self.metric, self.iterations)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        z: Tensor = self.start.rsample(torch.Size(sample_shape))
        if self.joint is None:
            return z
        momentum = torch.randn_like(z)
        if self.metric is not None:
            momentum = self.metric.drawn(self.metric.at(z), momentum)
        density = self.start.log_prob(z) + self._of_momentum(z, momentum)
        z, momentum = self.moved(z, momentum / self.cooling.prod())
        density = density - self._of_momentum(z, momentum)
        return drawn(z, {self: density.reshape(*density.shape, *(1,) * self.step.dim()).expand(z.shape)})

    def _of_momentum(self, z: Tensor, momentum: Tensor) -> Tensor:
        """Log-density of the momentum of a point at temperature one, ``(*batch,)``."""
        if self.metric is not None:
            return self.metric.log_density(self.metric.at(z), momentum)
        return standard_normal(torch.zeros_like(self.step), self.step.dim()).log_prob(momentum)

    def moved(self, z: Tensor, momentum: Tensor) -> tuple[Tensor, Tensor]:
        """Where points and momenta ``(*batch, *event_shape)`` are after all steps."""
        at = self._slope(z)
        for alpha in self.cooling:
            if self.metric is None:
                z, momentum, at = leapfrog(self._slope, z, momentum, self.step, at)
            else:
                z, momentum, at = generalised_leapfrog(
                    self._slope, self.metric, z, momentum, self.step, at, self.iterations
                )
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
                "the density of a posterior that moves its draws is known for its own draws alone",
                hint="estimate from draws (--divergence kl-mc, metrics elbo and nll), or choose --posterior normal",
            )
        density = own.flatten(-len(self.event_shape))[..., 0]
        return density if torch.is_grad_enabled() else density.detach()


Steps = Annotated[int, Ge(1), Doc("leapfrog steps, K")]
Step = Annotated[float, Gt(0), Le(0.4), Doc("size of the steps before training")]
Cooling = Annotated[Literal["fixed", "learned"], Doc("whether the cooling of each step stays or is trained")]
Beta = Annotated[float, Gt(0), Le(1), Doc("inverse temperature at which momenta are drawn")]


class ChainPosterior(Posterior):
    """A normal from the encoder, with the sizes of the steps and the cooling by which its draws are moved.

    Args:
        feature_shape: shape of one example's features.
        latent_shape: shape of one latent.
        steps: K.
        step: size of the steps before training, below 0.5.
        cooling: ``fixed`` or ``learned``.
        beta: inverse temperature at which momenta are drawn.
    """

    alphas: Tensor

    wants_joint = True

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        *,
        steps: Steps = 3,
        step: Step = 0.05,
        cooling: Cooling = "fixed",
        beta: Beta = 0.3,
    ) -> None:
        super().__init__(feature_shape, latent_shape)
        self.support = constraints.independent(constraints.real, len(latent_shape))
        self.head = nn.Linear(math.prod(feature_shape), 2 * math.prod(latent_shape))
        self.raw_step = nn.Parameter(torch.full(latent_shape, math.log(step / (_LARGEST - step))))
        roots = 1 / ((1 - beta**-0.5) * (torch.arange(steps + 1) / steps).square() + beta**-0.5)
        alphas = roots[:-1] / roots[1:]
        if cooling == "learned":
            self.raw_cooling = nn.Parameter(alphas.clamp(max=0.999).logit())
        else:
            self.register_buffer("alphas", alphas, persistent=False)
        self.learned = cooling == "learned"

    def chain(
        self, features: Tensor, joint: Joint | None, metric: Metric | None = None, iterations: int = 1
    ) -> Chain:
        """The chain of examples with these features."""
        loc, log_scale = self.head(features.flatten(1)).unflatten(1, (2, *self.latent_shape)).unbind(1)
        start = diagonal_normal(loc, bounded_log_scale(log_scale), len(self.latent_shape))
        cooling = self.raw_cooling.sigmoid() if self.learned else self.alphas
        return Chain(start, joint, _LARGEST * self.raw_step.sigmoid(), cooling, metric, iterations)
