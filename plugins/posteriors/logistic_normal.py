"""Logistic-normal posterior, on the simplex."""

import math
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, constraints, kl_divergence, register_kl
from torch.distributions.constraints import Constraint

from genmod import Posterior, bounded_log_scale, diagonal_normal
from genmod.distributions import contrasts, drawn_on_simplex, kept_of
from genmod.options import same_options
from genmod.plugins.posteriors._simplex import require_classes, stacked

__all__ = ["LogisticNormal", "LogisticNormalPosterior", "contrasts"]


def _log(z: Tensor) -> Tensor:
    """Of probabilities whose logarithm has a gradient, even one times a large number."""
    return z.clamp(min=float(torch.finfo(z.dtype).tiny ** 0.7)).log()


@final
class LogisticNormal(Distribution):
    """The softmax of a normal distribution on the plane of vectors whose sum is zero.

    ``z = softmax(H u)``, ``u ~ N(loc, scale²)``, ``log p(z) = log N(Hᵀ log z; loc, scale²) - Σ_k log z_k - ½ log K``

    ``H`` is the basis of :func:`contrasts`, so that no class is singled out, and the density refers to the first
    ``K - 1`` coordinates, as that of a Dirichlet distribution does. A draw keeps ``log z``, and its density is evaluated
    there.

    Args:
        loc: ``(*batch, *stack, K - 1)``.
        log_scale: logarithm of the scales, the same shape.
        basis: ``H``, ``(K, K - 1)``.

    Reference:
        Logistic-normal distributions: Some properties and uses (Aitchison and Shen, 1980), doi:10.2307/2335470

    Example:
        >>> LogisticNormal(torch.zeros(5, 2), torch.zeros(5, 2), contrasts(3), 1).rsample().sum(-1).round()
        tensor([1., 1., 1., 1., 1.])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    has_rsample = True

    def __init__(self, loc: Tensor, log_scale: Tensor, basis: Tensor, event_dims: int) -> None:
        self.normal = diagonal_normal(loc, log_scale, event_dims)
        self.loc, self.log_scale, self.basis, self.event_dims = loc, log_scale, basis, event_dims
        batch = loc.dim() - event_dims
        event = torch.Size((*loc.shape[batch:-1], len(basis)))
        super().__init__(loc.shape[:batch], event, validate_args=False)

    @property
    def support(self) -> Constraint:
        return stacked(constraints.simplex, tuple(self.event_shape))

    def expand(self, batch_shape: Any, _instance: object = None) -> "LogisticNormal":
        shape = (*batch_shape, *self.normal.event_shape)
        return LogisticNormal(
            self.loc.expand(shape), self.log_scale.expand(shape), self.basis, self.event_dims
        )

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return drawn_on_simplex(self.normal.rsample(sample_shape) @ self.basis.T)

    def log_prob(self, value: Tensor) -> Tensor:
        log_z = kept_of(value, "log", _log)
        log_det = log_z.sum(-1) + 0.5 * math.log(value.shape[-1])
        if self.event_dims > 1:
            log_det = log_det.flatten(log_det.dim() - self.event_dims + 1).sum(-1)
        return self.normal.log_prob(log_z @ self.basis) - log_det


@register_kl(LogisticNormal, LogisticNormal)
def _kl(q: LogisticNormal, p: LogisticNormal) -> Tensor:
    """That of the normals: the softmax is the same for both."""
    return kl_divergence(q.normal, p.normal)


@final
class LogisticNormalPosterior(Posterior):
    """Probabilities: the softmax of a normal whose means and log-scales are linear in the features.

    ``z = softmax(H u)``, ``q(u|x) = N(u; loc(x), scale(x)²)``, ``H`` a basis of the vectors whose sum is zero

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``. The last number of the latent shape
    is the number of classes: 16 is one point of a simplex, 8×16 are eight. Means lie between -9 and 9. The KL from
    prior ``logistic-normal`` is closed, that from ``dirichlet`` is estimated (``kl-mc``).

    Reference:
        Autoencoding Variational Inference For Topic Models (Srivastava and Sutton, 2017), arXiv:1703.01488

    Raises:
        UsageError: there are fewer than two classes.

    Example:
        >>> LogisticNormalPosterior((256,), (4, 3))(torch.zeros(2, 256)).rsample().shape
        torch.Size([2, 4, 3])
    """

    migrate = staticmethod(same_options)

    basis: Tensor

    def __init__(self, feature_shape: tuple[int, ...], latent_shape: tuple[int, ...]) -> None:
        k = require_classes("posterior 'logistic-normal'", latent_shape)
        super().__init__(feature_shape, latent_shape)
        self.support = stacked(constraints.simplex, latent_shape)
        self.plane = (*latent_shape[:-1], k - 1)
        self.register_buffer("basis", contrasts(k), persistent=False)
        self.head = nn.Linear(math.prod(feature_shape), 2 * math.prod(self.plane))

    def forward(self, features: Tensor) -> LogisticNormal:
        loc, log_scale = self.head(features.flatten(1)).unflatten(1, (2, *self.plane)).unbind(1)
        # Far out classes underflow, and logits cannot be recovered from draws.
        loc, log_scale = bounded_log_scale(loc), bounded_log_scale(log_scale)
        return LogisticNormal(loc, log_scale, self.basis, len(self.latent_shape))
