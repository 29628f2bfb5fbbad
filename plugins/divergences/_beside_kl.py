"""Divergences of a whole batch of latents, beside which a KL may be weighted."""

from typing import Annotated

from annotated_types import Ge
from torch import Tensor
from torch.distributions import Distribution

from genmod import Divergence, Doc, Schedule
from genmod.distributions import known_kl

__all__ = ["BesideKL", "WeightOfKL"]

WeightOfKL = Annotated[
    Schedule | float, Ge(0), Doc("weight of the KL divergence, may change during training")
]


class BesideKL(Divergence):
    """A number of the batch, the same for each example, plus a weighted KL.

    The KL is in closed form where one is known, else estimated from the draws.
    """

    batch_statistics = "global"

    def __init__(self, kl: Schedule | float) -> None:
        super().__init__()
        self.kl = Schedule.parse(kl)
        self.needs_densities = self.kl.highest > 0

    def with_kl(self, number: Tensor, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        """``number () → (B,)``, the KL added."""
        value = number.expand(z.shape[1])
        return value + float(self.kl) * known_kl(q, p, z) if self.needs_densities else value
