"""Sampler that explores where a metric says that there are codes."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.distributions import Distribution, constraints

from genmod import Doc, GivenModel, Sampler
from genmod.plugins.posteriors._metric import Metric, log_determinant
from genmod.plugins.samplers._standard import Standard
from genmod.system import seed_for

__all__ = ["Explored", "RiemannianSampler"]

_FLOOR = 1e-4
_LEAPS = 10
_REACH = 2.0
"""Temperatures beyond the outermost centres where the density ends."""


@final
class Explored(Distribution):
    """A density up to a constant, from which Hamiltonian chains draw.

    ``p(z) ∝ √det G⁻¹(z)`` within 2 T of the smallest box around all centres, and 0 elsewhere. Each draw is the end of a
    chain of its own, from a centre that is chosen at random, with steps that are accepted by Metropolis and Hastings.

    Args:
        metric: G.
        transitions: of each chain.
        step: of the leapfrog steps, of which a transition has ten, in units of T.

    Example:
        >>> metric = Metric(torch.zeros(1, 2), torch.eye(2)[None], 1.0, 0.01)
        >>> Explored(metric, 5, 0.1).sample((3,)).shape
        torch.Size([3, 2])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, metric: Metric, transitions: int, step: float) -> None:
        self.metric, self.transitions, self.step = metric, transitions, step * metric.temperature
        super().__init__(torch.Size(), metric.centres.shape[1:], validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.real, 1)

    def expand(self, batch_shape: Any, _instance: object = None) -> "Explored":
        other = Explored(self.metric, self.transitions, self.step / self.metric.temperature)
        other._batch_shape = torch.Size(batch_shape)
        return other

    def unnormalised(self, z: Tensor) -> Tensor:
        """The logarithm of the density up to a constant, ``(N, d) → (N,)``."""
        reach = _REACH * self.metric.temperature
        low, high = self.metric.centres.amin(0) - reach, self.metric.centres.amax(0) + reach
        inside = ((z >= low) & (z <= high)).all(-1)
        return torch.where(inside, 0.5 * log_determinant(self.metric.at(z).inverse), -torch.inf)

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = torch.Size((*sample_shape, *self._batch_shape))
        centres = self.metric.centres
        z = centres[torch.randint(len(centres), (shape.numel(),), device=centres.device)]
        density = self.unnormalised(z)
        for _ in range(self.transitions):
            momentum = torch.randn_like(z)
            to, turned = z, momentum + 0.5 * self.step * self.metric.force(self.metric.at(z))
            for _ in range(_LEAPS):
                to = to + self.step * turned
                turned = turned + self.step * self.metric.force(self.metric.at(to))
            # The last step was half a step too long.
            turned = turned - 0.5 * self.step * self.metric.force(self.metric.at(to))
            there = self.unnormalised(to)
            gain = there - density + 0.5 * (momentum.square() - turned.square()).sum(-1)
            accepted = torch.rand_like(gain).log() < gain
            z, density = torch.where(accepted[:, None], to, z), torch.where(accepted, there, density)
        return z.reshape(*shape, *self.event_shape)


@final
class RiemannianSampler(Sampler):
    """Draws in proportion to the volume that a metric gives to places, by Hamiltonian Monte Carlo.

    ``p(z) ∝ √det G⁻¹(z)``, ``G⁻¹(z) = Σ_i M_i exp(-‖z - c_i‖² / T²) + λ I``, ``batch_shape ()``, ``event_shape latent_shape``

    The metric is that of posterior ``rhvae``. A model without one gets one of its codes in standard units: c are some of
    them, ``M = I / C``, T is twice the mean distance of these from their nearest, ``λ = 0.0001``. The power of the
    determinant makes it the narrower around the codes the more latents there are. There is no density: the constant is not
    known. Outside of 2 T around the box of all centres it is zero.

    Reference:
        Data Augmentation in High Dimensional Low Sample Size Setting Using a Geometry-Based Variational Autoencoder
        (Chadebec et al., 2021), arXiv:2105.00026

    Example:
        >>> sampler = RiemannianSampler((2,), transitions=5)
        >>> sampler.fit(torch.randn(100, 2))
        >>> sampler().sample((5,)).shape
        torch.Size([5, 2])
    """

    has_density = False
    centres: Tensor
    matrices: Tensor
    temperature: Tensor
    floor: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        centroids: Annotated[int, Ge(1), Doc("most codes of which a metric is made")] = 200,
        transitions: Annotated[int, Ge(1), Doc("steps of the chain of each draw")] = 50,
        step: Annotated[float, Gt(0), Doc("size of the leapfrog steps, relative to T")] = 0.1,
    ) -> None:
        super().__init__(latent_shape)
        size = torch.Size(latent_shape).numel()
        self.centroids, self.transitions, self.step = centroids, transitions, step
        self.standard = Standard(latent_shape)
        self.register_buffer("centres", torch.zeros(1, size))
        self.register_buffer("matrices", torch.eye(size)[None])
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("floor", torch.ones(()))
        self._posterior: tuple[Any, ...] = ()

    def bind(self, model: GivenModel) -> None:
        # In a tuple, so that the posterior is not a part of the sampler.
        self._posterior = (model.posterior,) if hasattr(model.posterior, "metric") else ()

    def reserve(self, count: int) -> None:
        count = len(self._posterior[0].centres) if self._posterior else min(count, self.centroids)
        self.centres = self.centres.new_zeros(count, self.centres.shape[1])
        self.matrices = self.matrices.new_zeros(count, *self.matrices.shape[1:])

    def fit(self, codes: Tensor, *, seed: int = 0, on_step: Callable[[int, int], None] | None = None) -> None:
        if self._posterior:
            with torch.no_grad():
                metric = self._posterior[0].metric()
        else:
            self.standard.fit(codes.detach())
            metric = _metric_of(self.standard(codes.detach()), self.centroids, seed)
        self.centres, self.matrices = metric.centres.clone().to(codes), metric.matrices.to(codes)
        self.temperature, self.floor = codes.new_tensor(metric.temperature), codes.new_tensor(metric.floor)

    def forward(self) -> Distribution:
        metric = Metric(self.centres, self.matrices, float(self.temperature), float(self.floor))
        return self.standard.back(Explored(metric, self.transitions, self.step))


def _metric_of(y: Tensor, most: int, seed: int) -> Metric:
    """A metric of codes alone, ``(N, d)``, that is the same in all directions."""
    fixed = torch.Generator().manual_seed(seed_for(seed, "riemannian"))
    centres = y[torch.randperm(len(y), generator=fixed).to(y.device)[:most]]
    apart = torch.cdist(centres, centres).fill_diagonal_(torch.inf).amin(1)
    width = 2 * float(apart.mean()) if len(centres) > 1 else 1.0
    eye = torch.eye(y.shape[1], dtype=y.dtype, device=y.device)
    return Metric(centres, (eye / len(centres)).expand(len(centres), -1, -1), width or 1.0, _FLOOR)
