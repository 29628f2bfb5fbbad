"""The importance-weighted bound."""

from typing import final

from torch import Tensor

from genmod import GivenModel, Terms
from genmod.plugins.objectives._draws import DrawCount, Weighted, log_mean_exp, weigh

__all__ = ["IWAE"]


@final
class IWAE(Weighted):
    """``loss = -mean_b[log 1/K Σ_k w_k]``, ``w_k = p(x|z_k) p(z_k) / q(z_k|x)``, ``z_k ~ q(z|x)``, nats.

    A bound on ``log p(x)`` that grows with K, from the ELBO at K = 1. Reported as ``iwae``, beside the ELBO of the
    same draws with its distortion and rate.

    Reference:
        Importance Weighted Autoencoders (Burda et al., 2015), arXiv:1509.00519

    Example:
        >>> IWAE(samples=50).samples
        50
    """

    def __init__(self, *, samples: DrawCount = 5) -> None:
        super().__init__(samples)

    def forward(self, model: GivenModel, x: Tensor) -> Terms:
        q = model.encode(x)
        draws = weigh(model, x, q, q.rsample((self.samples,)))
        bound = log_mean_exp(draws.log_weights, 0)
        return Terms(-bound.mean(), {"iwae": bound, **draws.values()})
