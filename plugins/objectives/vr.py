"""The variational Rényi bound."""

from typing import Annotated, final

from annotated_types import Ge
from torch import Tensor

from genmod import Doc, GivenModel, Terms
from genmod.plugins.objectives._draws import DrawCount, Weighted, log_mean_exp, weigh

__all__ = ["VR"]


@final
class VR(Weighted):
    """``loss = -mean_b[log(1/K Σ_k w_k^(1-α)) / (1-α)]``, ``w_k = p(x|z_k) p(z_k) / q(z_k|x)``, nats.

    A bound on ``log p(x)`` for every α ≥ 0: that of ``iwae`` at α = 0, the ELBO at α = 1, and lower for larger α.
    Reported as ``vr``, beside the ELBO of the same draws with its distortion and rate.

    Reference:
        Rényi Divergence Variational Inference (Li and Turner, 2016), arXiv:1602.02311

    Example:
        >>> VR(alpha=0.5).alpha
        0.5
    """

    def __init__(
        self,
        *,
        alpha: Annotated[float, Ge(0), Doc("order: 0 is the importance-weighted bound, 1 the ELBO")] = 0.5,
        samples: DrawCount = 5,
    ) -> None:
        super().__init__(samples)
        self.alpha = alpha

    def forward(self, model: GivenModel, x: Tensor) -> Terms:
        q = model.encode(x)
        draws = weigh(model, x, q, q.rsample((self.samples,)))
        bound = self.bound(draws.log_weights)
        return Terms(-bound.mean(), {"vr": bound, **draws.values()})

    def bound(self, log_weights: Tensor) -> Tensor:
        """The bound from log-weights, ``(K, B) → (B,)``."""
        power = 1 - self.alpha
        mean = log_weights.mean(0)
        if power == 0:
            return mean
        # Differences from the mean keep their digits where the power is small.
        return mean + log_mean_exp(power * (log_weights - mean), 0) / power
