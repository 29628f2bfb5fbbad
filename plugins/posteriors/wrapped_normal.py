"""Wrapped normal posterior, in hyperbolic space."""

import math
from typing import Annotated, Any, ClassVar, final

import torch
from annotated_types import Gt
from torch import Tensor, nn
from torch.distributions import Distribution

from genmod import Doc, Posterior, bounded_log_scale, diagonal_normal
from genmod.distributions import drawn, plain
from genmod.options import same_options
from genmod.plugins.posteriors._ball import PoincareBall, distance_and_log, exp_from, log_stretch, tangent_of
from genmod.plugins.posteriors._sphere import require_vector

__all__ = ["WrappedNormal", "WrappedNormalPosterior"]


@final
class WrappedNormal(Distribution):
    """A normal distribution of the tangent space at a point, wrapped around hyperbolic space.

    ``z = exp_loc(v / λ)``, ``v ~ N(0, scale²)``, ``λ = 2 / (1 - c |loc|²)``,
    ``log p(z) = log N(v; 0, scale²) + (n - 1) log(√c r / sinh(√c r)) + n log(2 / (1 - c |z|²))``,
    ``r`` the hyperbolic distance of ``z`` and ``loc``

    The density refers to the coordinates of ``z`` (Lebesgue measure), not to the volume of hyperbolic space: the
    last term is what the two differ by. ``v / λ`` is the parallel transport of ``v / 2`` from the origin. A draw
    keeps its tangent vector at the origin, and its density is evaluated there.

    Args:
        loc: points of the ball, ``(*batch, n)``.
        log_scale: logarithm of the scales, the same shape.
        curvature: ``c > 0``.

    Reference:
        Continuous Hierarchical Representations with Poincaré Variational Auto-Encoders (Mathieu et al., 2019),
        arXiv:1901.06033; A Wrapped Normal Distribution on Hyperbolic Space for Gradient-Based Learning
        (Nagano et al., 2019), arXiv:1902.02992

    Example:
        >>> WrappedNormal(torch.zeros(2), torch.zeros(2), 1.0).log_prob(torch.zeros(2)).exp()
        tensor(0.6366)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    has_rsample = True

    def __init__(self, loc: Tensor, log_scale: Tensor, curvature: float) -> None:
        self.loc, self.log_scale, self.curvature = loc, log_scale, curvature
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=False)

    @property
    def support(self) -> PoincareBall:
        return PoincareBall(self.curvature)

    def expand(self, batch_shape: Any, _instance: object = None) -> "WrappedNormal":
        shape = (*batch_shape, *self.event_shape)
        return WrappedNormal(self.loc.expand(shape), self.log_scale.expand(shape), self.curvature)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        step = diagonal_normal(torch.zeros_like(self.loc), self.log_scale, 1).rsample(sample_shape)
        z = exp_from(self.loc, step, self.curvature)
        # In double precision, to which the density is computed.
        return drawn(z.to(self.loc.dtype), {"tangent": tangent_of(z, self.curvature)})

    def log_prob(self, value: Tensor) -> Tensor:
        far, step = distance_and_log(self.loc, value, self.curvature)
        flat = diagonal_normal(torch.zeros_like(step), self.log_scale.double().expand_as(step), 1)
        return (flat.log_prob(step) + log_stretch(far, value, self.curvature)).to(self.loc.dtype)


@final
class WrappedNormalPosterior(Posterior):
    """Points of the Poincaré ball around one that is linear in the features, and exponentiated at the origin.

    ``q(z|x)``: ``z = exp_loc(x)(v / λ)``, ``v ~ N(0, scale(x)²)``, ``c |z|² < 1``

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``. Latents are vectors of 2 or more
    numbers. Centres lie within a hyperbolic distance of 8/√c from the origin and scales between e⁻⁴ and e⁴, so that
    single precision distinguishes the draws. The KL is estimated (``kl-mc``) from prior ``wrapped-normal``, which must
    have the same curvature.

    Reference:
        Continuous Hierarchical Representations with Poincaré Variational Auto-Encoders (Mathieu et al., 2019),
        arXiv:1901.06033

    Raises:
        UsageError: the latents are not vectors of 2 or more numbers.

    Example:
        >>> bool((WrappedNormalPosterior((256,), (2,))(torch.randn(5, 256)).rsample().norm(dim=-1) < 1).all())
        True
    """

    migrate = staticmethod(same_options)

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        *,
        curvature: Annotated[float, Gt(0), Doc("c, where the space has the curvature -c")] = 1.0,
    ) -> None:
        require_vector("posterior 'wrapped-normal'", latent_shape)
        super().__init__(feature_shape, latent_shape)
        self.curvature = curvature
        self.support = PoincareBall(curvature)
        self.head = nn.Linear(math.prod(feature_shape), 2 * latent_shape[0])

    def forward(self, features: Tensor) -> WrappedNormal:
        step, log_scale = self.head(features.flatten(1)).chunk(2, 1)
        # Its length saturates, its direction stays.
        length = torch.linalg.vector_norm(step.double(), dim=1, keepdim=True) * (self.curvature**0.5 / 8)
        step = step / torch.hypot(length, torch.ones_like(length))
        loc = plain(exp_from(torch.zeros_like(step), step, self.curvature))
        return WrappedNormal(
            loc.to(log_scale.dtype), 4 / 9 * bounded_log_scale(log_scale * 9 / 4), self.curvature
        )
