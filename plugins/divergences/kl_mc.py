"""Monte-Carlo Kullback-Leibler divergence."""

from typing import Annotated, final

import torch
from annotated_types import Ge
from torch import Tensor
from torch.distributions import Distribution, Independent

from genmod.divergence import Divergence
from genmod.options import Doc

__all__ = ["MonteCarloKL"]


@final
class MonteCarloKL(Divergence):
    """``KL(q ‖ p) ≈ 1/K Σ_k log q(z_k) - log p(z_k)``, ``z_k ~ q``, nats: unbiased, for any pair with densities.

    ``q (B,), p (), z (K, B, *latent_shape) → (B,)``. The draws are those of the reconstruction term, and
    more where ``samples`` asks for more.

    Reference:
        Auto-Encoding Variational Bayes (Kingma and Welling, 2013), arXiv:1312.6114, estimator A

    Example:
        >>> from genmod.distributions import diagonal_normal
        >>> q = diagonal_normal(torch.ones(3, 2), torch.zeros(3, 2), 1)
        >>> MonteCarloKL()(q, q, q.sample((1,)))
        tensor([0., 0., 0.])
    """

    is_kl = True

    def __init__(self, *, samples: Annotated[int, Ge(1), Doc("draws for each example")] = 1) -> None:
        super().__init__()
        self.samples = samples

    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        z = self._enough(q, z)
        return (q.log_prob(z) - p.log_prob(z)).mean(0)

    def by_dimension(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        if isinstance(q, Independent) and isinstance(p, Independent):
            z = self._enough(q, z)
            return (q.base_dist.log_prob(z) - p.base_dist.log_prob(z)).mean(0)
        return super().by_dimension(q, p, z)

    def _enough(self, q: Distribution, z: Tensor) -> Tensor:
        more = self.samples - z.shape[0]
        return torch.cat([z, q.rsample((more,))]) if more > 0 else z
