"""Energy distance between aggregate posterior and prior."""

from typing import Annotated, final

import torch
from annotated_types import Ge
from torch import Tensor
from torch.distributions import Distribution

from genmod import Divergence, Doc, Schedule, UndefinedError
from genmod.system import gather_batch

__all__ = ["Energy", "energy_distance"]


@final
class Energy(Divergence):
    """``weight · (2 E|z - y| - E|z - z'| - E|y - y'|)``, ``z, z' ~ E_x[q(z|x)]``, ``y, y' ~ p``, by a U-statistic.

    ``q (B,), p (), z (K, B, *latent_shape) → (B,)``, the same number for each example: it is one of the whole batch, of all
    processes. It is zero only where both distributions are the same. Pairs of a draw with itself are left out, so that the
    estimate is unbiased, and negative about half of the time where they are. A batch of one example has no pairs, and
    counts as zero.

    Reference:
        Energy statistics: A class of statistics based on distances (Székely and Rizzo, 2013), doi:10.1016/j.jspi.2013.03.018

    Raises:
        UndefinedError: the prior is learned, and its draws cannot be differentiated.

    Example:
        >>> from genmod import diagonal_normal
        >>> q, p = diagonal_normal(torch.ones(3, 2), torch.zeros(3, 2), 1), diagonal_normal(torch.zeros(2), torch.zeros(2), 1)
        >>> Energy()(q, p, q.sample((5,))).shape
        torch.Size([3])
    """

    needs_densities = False
    batch_statistics = "global"

    def __init__(
        self,
        *,
        weight: Annotated[
            Schedule | float, Ge(0), Doc("weight of the distance, may change during training")
        ] = 10.0,
    ) -> None:
        super().__init__()
        self.weight = Schedule.parse(weight)

    def check(self, q: Distribution, p: Distribution) -> None:
        if not p.has_rsample and p.log_prob(torch.zeros(1, *q.batch_shape, *q.event_shape)).requires_grad:
            raise UndefinedError(
                f"the prior, a {type(p).__name__}, is learned, but its draws cannot be differentiated",
                hint="choose a divergence that uses its density, --divergence kl-mc, or a prior that is not learned",
            )

    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        shape = z.shape[:1] if p.batch_shape else z.shape[:2]
        y = p.rsample(shape) if p.has_rsample else p.sample(shape)
        # Draws of all processes, (K, n, D): the distance is one of the whole batch.
        z_points, y_points = (gather_batch(t.flatten(2).transpose(0, 1)).transpose(0, 1) for t in (z, y))
        value = float(self.weight) * energy_distance(z_points, y_points).mean()
        return value.expand(z.shape[1])


def energy_distance(z: Tensor, y: Tensor) -> Tensor:
    """The U-statistic of each of ``K`` pairs of samples, ``z (K, n, D), y (K, n, D) → (K,)``.

    Example:
        >>> energy_distance(torch.tensor([[[0.0], [1.0]]]), torch.tensor([[[3.0], [3.0]]]))
        tensor([4.])
    """
    n = z.shape[1]
    if n < 2:
        return 0 * z.sum((1, 2))
    within = (_distances(z, z) + _distances(y, y)).sum((1, 2)) / (n * (n - 1))
    return 2 * _distances(z, y).mean((1, 2)) - within


def _distances(a: Tensor, b: Tensor) -> Tensor:
    # Differences, not products: those lose the digits of small distances. The gradient of none is none.
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
