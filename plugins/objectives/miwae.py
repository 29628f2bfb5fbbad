"""The mean of several importance-weighted bounds."""

from typing import Annotated, final

from annotated_types import Ge
from torch import Tensor

from genmod import Doc, GivenModel, Terms
from genmod.plugins.objectives._draws import Weighted, log_mean_exp, weigh

__all__ = ["MIWAE"]


@final
class MIWAE(Weighted):
    """``loss = -mean_b[1/M Σ_m log 1/K Σ_k w_mk]``, ``w = p(x|z) p(z) / q(z|x)``, nats.

    The bound of ``iwae`` with K draws, estimated M times: larger K makes it tighter, larger M its gradient less noisy.
    M = 1 is ``iwae``, K = 1 the ELBO. Reported as ``miwae``, beside the ELBO of the same draws.

    Reference:
        Tighter Variational Bounds are Not Necessarily Better (Rainforth et al., 2018), arXiv:1802.04537

    Example:
        >>> MIWAE(estimates=8, samples=8).estimates
        8
    """

    def __init__(
        self,
        *,
        estimates: Annotated[int, Ge(1), Doc("how often the bound is estimated, M")] = 8,
        samples: Annotated[int, Ge(1), Doc("draws of the latents for each estimate, K")] = 8,
    ) -> None:
        super().__init__(samples)
        self.estimates = estimates

    def forward(self, model: GivenModel, x: Tensor) -> Terms:
        q = model.encode(x)
        draws = weigh(model, x, q, q.rsample((self.estimates, self.samples)))
        # Dimensions: estimate, draw, example.
        bound = log_mean_exp(draws.log_weights, 1).mean(0)
        return Terms(-bound.mean(), {"miwae": bound, **draws.values()})
