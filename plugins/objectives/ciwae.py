"""ELBO and importance-weighted bound, mixed."""

from typing import Annotated, final

from annotated_types import Ge, Le
from torch import Tensor

from genmod import Doc, GivenModel, Schedule, Terms
from genmod.plugins.objectives._draws import DrawCount, Weighted, log_mean_exp, weigh

__all__ = ["CIWAE"]


@final
class CIWAE(Weighted):
    """``loss = -mean_b[β/K Σ_k log w_k + (1-β) log 1/K Σ_k w_k]``, ``w = p(x|z) p(z) / q(z|x)``, nats.

    Between the bound of ``iwae`` at β = 0, which is tight, and the ELBO at β = 1, which trains the encoder better.
    Reported as ``iwae`` and ``elbo``, both of the same draws.

    Reference:
        Tighter Variational Bounds are Not Necessarily Better (Rainforth et al., 2018), arXiv:1802.04537

    Example:
        >>> float(CIWAE(beta=0.05).beta)
        0.05
    """

    def __init__(
        self,
        *,
        beta: Annotated[
            Schedule | float, Ge(0), Le(1), Doc("share of the ELBO, may change during training")
        ] = 0.5,
        samples: DrawCount = 5,
    ) -> None:
        super().__init__(samples)
        self.beta = Schedule.parse(beta)

    def forward(self, model: GivenModel, x: Tensor) -> Terms:
        q = model.encode(x)
        draws = weigh(model, x, q, q.rsample((self.samples,)))
        tight, values = log_mean_exp(draws.log_weights, 0), draws.values()
        beta = float(self.beta)
        return Terms(-(beta * values["elbo"] + (1 - beta) * tight).mean(), {"iwae": tight, **values})
