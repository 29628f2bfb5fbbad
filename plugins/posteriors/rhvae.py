"""Posterior whose draws are moved by Hamiltonian dynamics under a metric that is learned."""

import math
from typing import Annotated, Any, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from genmod import Doc, GivenModel, Joint, UsageError
from genmod.nn import mlp
from genmod.plugins.networks._stages import Widths
from genmod.plugins.posteriors._chain import Beta, Chain, ChainPosterior, Cooling, Step, Steps
from genmod.plugins.posteriors._metric import Metric

__all__ = ["RHVAEPosterior"]

_MOST = 64
"""Latents: a metric has as many numbers as their square, of each centroid."""
_EVERY = 10
"""Steps between two encodings of the centroids."""


@final
class RHVAEPosterior(ChainPosterior):
    """A diagonal normal whose draws are moved along ``log p(x, z)``, with momenta of a metric that is learned.

    ``G⁻¹(z) = Σ_i L_i L_iᵀ exp(-‖z - c_i‖² / T²) + λ I``; ``z_0 ~ N(loc(x), scale(x)²)``, ``ρ_0 ~ N(0, G(z_0)/β)``; K times a
    generalised leapfrog step of ``log p(x, z)`` under G, and ``ρ ← α_k ρ``, as of posterior ``hmc``

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``. The c are the locs of training examples,
    which are kept and encoded anew every 10 steps; the lower triangular L are functions of their features, trained with
    the model, and begin as ``I / √C``. All of it is saved with the weights; sampler ``riemannian`` draws from where G⁻¹ is
    large. A step solves two equations by ``iterations``, and the bound is exact as far as these have converged. The density
    is that of position and momentum together, known for draws alone: train it by ``elbo`` with ``kl-mc``, or by ``iwae``.

    Reference:
        Data Augmentation in High Dimensional Low Sample Size Setting Using a Geometry-Based Variational Autoencoder
        (Chadebec et al., 2021), arXiv:2105.00026;
        Geometry-Aware Hamiltonian Variational Auto-Encoder (Chadebec et al., 2020), arXiv:2010.11518

    Raises:
        UsageError: latents that are no vector or more than 64, a conditional model, or fewer examples than centroids.

    Example:
        >>> q = RHVAEPosterior((256,), (2,), centroids=5)(torch.zeros(2, 256), lambda z: -z.square().sum(-1))
        >>> z = q.rsample((5,))
        >>> z.shape, q.log_prob(z).shape
        (torch.Size([5, 2, 2]), torch.Size([5, 2]))
    """

    centres: Tensor
    features: Tensor
    examples: Tensor
    prepared: Tensor
    steps: Tensor

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        *,
        centroids: Annotated[int, Ge(1), Doc("training examples of which the metric is made")] = 100,
        temperature: Annotated[float, Gt(0), Doc("width of the metric around a centroid, T")] = 1.5,
        floor: Annotated[float, Gt(0), Doc("inverse metric far from all centroids, λ")] = 0.01,
        hidden: Widths = (64,),
        iterations: Annotated[int, Ge(1), Doc("of the equations of each step")] = 6,
        steps: Steps = 3,
        step: Step = 0.05,
        cooling: Cooling = "fixed",
        beta: Beta = 0.3,
    ) -> None:
        super().__init__(feature_shape, latent_shape, steps=steps, step=step, cooling=cooling, beta=beta)
        size = math.prod(latent_shape)
        if len(latent_shape) != 1 or size > _MOST:
            raise UsageError(
                f"posterior 'rhvae' has a metric over vectors of at most {_MOST} latents, not of shape {latent_shape}",
                hint=f"choose fewer (--latent {min(size, 16)}), or --posterior hmc",
            )
        self.examples_wanted, self.iterations = centroids, iterations
        self.temperature, self.floor = temperature, floor
        widths = (math.prod(feature_shape), *hidden, size * (size + 1) // 2)
        self.factors = mlp(widths, "silu", end_with_activation=False)
        with torch.no_grad():
            for parameter in self.factors[-1].parameters():
                parameter.mul_(0.1)
        self.register_buffer("centres", torch.randn(centroids, size))
        self.register_buffer("features", torch.randn(centroids, *feature_shape))
        self.register_buffer("prepared", torch.zeros((), dtype=torch.bool))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self._model: tuple[Any, ...] = ()

    def bind(self, model: GivenModel) -> None:
        if model.conditions is not None:
            raise UsageError(
                "posterior 'rhvae' has a metric of encoded examples, which have no label",
                hint="choose another: --posterior hmc",
            )
        self.register_buffer("examples", torch.zeros(self.examples_wanted, *model.data.shape))
        # In a tuple, so that the model is not a part of its own part.
        self._model = (model,)

    @torch.no_grad()
    def prepare(self, examples: Tensor) -> None:
        # A model that is trained further keeps the examples that it has.
        if self.prepared:
            return
        if len(examples) < self.examples_wanted:
            raise UsageError(
                f"posterior 'rhvae' has {self.examples_wanted} centroids, to be taken from {len(examples)} training examples",
                hint=f"choose fewer: -s posterior.centroids={len(examples)}",
            )
        kept = self.examples
        kept.copy_(self._model[0].data.values(examples.to(kept.device), kept.dtype))
        self.prepared.fill_(True)
        self._encode()

    def after_step(self) -> None:
        self.steps += 1
        if self.steps % _EVERY == 0:
            self._encode()

    @torch.no_grad()
    def _encode(self) -> None:
        """Where the examples are now."""
        model = self._model[0]
        training = model.encoder.training
        model.encoder.eval()
        features = model.features(self.examples)
        model.encoder.train(training)
        self.features.copy_(features)
        self.centres.copy_(self.head(features.flatten(1)).unflatten(1, (2, -1))[:, 0])

    def metric(self) -> Metric:
        """The metric as it is now."""
        factors = _lower(self.factors(self.features.flatten(1)), self.centres.shape[1])
        return Metric(self.centres, factors @ factors.mT / len(factors), self.temperature, self.floor)

    def forward(self, features: Tensor, joint: Joint | None = None) -> Chain:
        return self.chain(features, joint, None if joint is None else self.metric(), self.iterations)


def _lower(raw: Tensor, size: int) -> Tensor:
    """Lower triangular matrices with a positive diagonal, ``(C, d (d + 1) / 2) → (C, d, d)``; I where all is zero."""
    diagonal = torch.diag_embed(raw[:, :size].tanh().exp())
    below = raw.new_zeros(len(raw), size, size)
    rows, columns = torch.tril_indices(size, size, -1, device=raw.device)
    below[:, rows, columns] = raw[:, size:]
    return diagonal + below
