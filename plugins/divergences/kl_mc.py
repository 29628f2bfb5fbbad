"""Monte-Carlo Kullback-Leibler divergence."""

from typing import Annotated, Any, final

import torch
from annotated_types import Ge
from torch import Tensor
from torch.distributions import (
    Distribution,
    Independent,
    Laplace,
    LowRankMultivariateNormal,
    MultivariateNormal,
    Normal,
)

from genmod import Divergence, Doc, UndefinedError
from genmod.distributions import by_part, by_variable, name_of, refuse_draws_alone, through_draws

__all__ = ["MonteCarloKL"]

_SYMMETRIC = (Normal, Laplace, MultivariateNormal, LowRankMultivariateNormal)


@final
class MonteCarloKL(Divergence):
    """``KL(q ‖ p) ≈ 1/K Σ_k log q(z_k) - log p(z_k)``, ``z_k ~ q``, nats: unbiased, for any pair with densities.

    ``q (B,), p (), z (K, B, *latent_shape) → (B,)``. The draws are those of the reconstruction term, and
    more where ``samples`` is larger. ``antithetic`` adds the mirror image ``2 E[z] - z_k`` of every draw,
    whose errors cancel to first order. ``sticking_the_landing`` leaves the score of ``q`` out of the gradient,
    which is zero in expectation: near ``q = p`` the gradient then has no noise at all. In training, a p whose density
    takes long gives an estimate of a lower bound of ``log p(z_k)``, its ``log_prob_estimate``.

    Reference:
        Auto-Encoding Variational Bayes (Kingma and Welling, 2013), arXiv:1312.6114, estimator A;
        Differentiable Antithetic Sampling for Variance Reduction in Stochastic Variational Inference
        (Wu et al., 2019), arXiv:1810.02555;
        Sticking the Landing: Simple, Lower-Variance Gradient Estimators for Variational Inference
        (Roeder et al., 2017), arXiv:1703.09194

    Raises:
        UndefinedError: antithetic draws of a posterior that is not symmetric.

    Example:
        >>> from genmod import diagonal_normal
        >>> q = diagonal_normal(torch.ones(3, 2), torch.zeros(3, 2), 1)
        >>> MonteCarloKL()(q, q, q.sample((1,)))
        tensor([0., 0., 0.])
    """

    is_kl = True

    def __init__(
        self,
        *,
        samples: Annotated[int, Ge(1), Doc("draws for each example, mirror images not counted")] = 1,
        antithetic: Annotated[bool, Doc("add the mirror image of each draw")] = False,
        sticking_the_landing: Annotated[
            bool, Doc("let the gradient flow through the draws alone, not through the density of q")
        ] = False,
    ) -> None:
        super().__init__()
        self.samples = samples
        self.antithetic = antithetic
        self.sticking_the_landing = sticking_the_landing

    def check(self, q: Distribution, p: Distribution) -> None:
        if self.sticking_the_landing:
            refuse_draws_alone(q, "sticking_the_landing=true of divergence 'kl-mc'")
        base: Any = q
        while isinstance(base, Independent):
            base = base.base_dist
        if self.antithetic and not isinstance(base, _SYMMETRIC):
            raise UndefinedError(
                f"draws of {name_of(q)} have no mirror images: it is not known to be symmetric",
                hint="leave -s divergence.antithetic=true out, or choose --posterior normal",
            )

    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        return self._mean_ratio(q, p, self._enough(q, p, z))

    def by_dimension(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        return by_variable(self._mean_ratio, q, p, self._enough(q, p, z))

    def by_part(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        return by_part(self._mean_ratio, q, p, self._enough(q, p, z))

    def _mean_ratio(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        log_q = through_draws(q.log_prob, z) if self.sticking_the_landing else q.log_prob(z)
        # In a loss that is linear in log p(z), an estimate of a bound makes an estimate of a bound.
        estimate = getattr(p, "log_prob_estimate", p.log_prob) if self.training else p.log_prob
        return (log_q - estimate(z)).mean(0)

    def _enough(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        more = self.samples - z.shape[0]
        z = torch.cat([z, q.rsample((more,))]) if more > 0 else z
        if self.antithetic:
            self.check(q, p)
            z = torch.cat([z, 2 * q.mean - z])
        return z
