"""The evidence lower bound with a weight on the divergence."""

from typing import Annotated, final

from annotated_types import Ge
from torch import Tensor

from genmod import Doc, GivenModel, Objective, Schedule, Terms

__all__ = ["TemplateObjective"]


@final
class TemplateObjective(Objective):
    """Distortion plus weighted divergence.

    ``loss = mean_b[distortion_b + weight · rate_b]``, ``distortion_b = -log p(x_b|z_b)``, ``z_b ~ q(z|x_b)``, nats
    """

    def __init__(
        self,
        *,
        weight: Annotated[
            Schedule | float, Ge(0), Doc("weight of the divergence, may change during training")
        ] = 1.0,
    ) -> None:
        super().__init__()
        self.weight = Schedule.parse(weight)

    def forward(self, model: GivenModel, x: Tensor) -> Terms:
        q, p = model.encode(x), model.prior()
        z = q.rsample((1,))
        distortion = -model.decode(z).log_prob(x)[0]
        rate = model.divergence(q, p, z)
        values = {"distortion": distortion, "rate": rate}
        if model.divergence.is_kl and not model.missing_densities():
            values["elbo"] = -(distortion + rate)
        return Terms((distortion + float(self.weight) * rate).mean(), values)
