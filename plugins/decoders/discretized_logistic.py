"""Discretized logistic likelihood over the levels of discrete data."""

from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Independent, constraints
from torch.nn.functional import logsigmoid

from genmod import DataInfo, Decoder
from genmod.distributions import precise
from genmod.plugins.decoders._levels import LevelDistribution, Levels
from genmod.plugins.decoders._ranges import require_levels
from genmod.plugins.decoders._scales import LogScale, Scale

__all__ = ["DiscretizedLogistic", "DiscretizedLogisticDecoder"]


@final
class DiscretizedLogistic(LevelDistribution):
    """The mass that a logistic distribution has around each level; the outer two have the tails.

    ``P(k) = σ(p) - σ(q)``, ``p, q = ((2k ± 1)/(levels - 1) - 1 - loc) / scale``, with ``loc`` in units in which the
    data reach from -1 to 1

    Args:
        loc: middle, any shape.
        log_scale: logarithm of the scale, broadcast against ``loc``.
        data: whose levels.

    Example:
        >>> p = DiscretizedLogistic(torch.zeros(()), torch.zeros(()), DataInfo((1,), levels=256))
        >>> p.log_prob(p.enumerate_support()).exp().sum().round(decimals=5)
        tensor(1.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"loc": constraints.real, "log_scale": constraints.real}

    def __init__(self, loc: Tensor, log_scale: Tensor, data: DataInfo) -> None:
        self.loc, self.log_scale = torch.broadcast_tensors(loc, log_scale)
        super().__init__(data, self.loc.shape, self.loc)

    def expand(self, batch_shape: Any, _instance: object = None) -> "DiscretizedLogistic":
        return DiscretizedLogistic(
            self.loc.expand(batch_shape), self.log_scale.expand(batch_shape), self.data
        )

    def log_prob(self, value: Tensor) -> Tensor:
        k, last, steepness = self.indices(value), self.levels - 1, (-self.log_scale).exp()
        # Far from the middle, or where levels are many, single precision cannot distinguish the two edges.
        j, loc, steep = precise(k), precise(self.loc), precise(steepness)
        above, below = (
            (((2 * edge - self.levels) / last - loc) * steep).to(self.loc.dtype) for edge in (j + 1, j)
        )
        # σ(p) - σ(q) = σ(p) σ(-q) (1 - exp(q - p)), none of which cancels.
        inside = -torch.expm1(-2 / last * steepness)
        lower, upper = logsigmoid(above), logsigmoid(-below)
        inner = lower + upper + inside.log()
        return torch.where(k == 0, lower, torch.where(k == last, upper, inner))

    @property
    def mean(self) -> Tensor:
        return self.values(self._survivals()[0]).to(self.loc.dtype)

    @property
    def variance(self) -> Tensor:
        first, second = self._survivals()
        step = (self.data.high - self.data.low) / (self.levels - 1)
        return ((second - first * first) * step**2).to(self.loc.dtype)

    def _survivals(self) -> tuple[Tensor, Tensor]:
        """``E[k] = Σ_j P(k ≥ j)`` and ``E[k²] = Σ_j (2j - 1) P(k ≥ j)``, one level at a time to save memory."""
        loc, steepness = precise(self.loc), precise(-self.log_scale).exp()
        first, second = torch.zeros_like(loc), torch.zeros_like(loc)
        for j in range(1, self.levels):
            survival = ((loc - (2 * j - 1) / (self.levels - 1) + 1) * steepness).sigmoid()
            first, second = first + survival, second + (2 * j - 1) * survival
        return first, second

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        noise = torch.rand(shape, dtype=self.loc.dtype, device=self.loc.device).logit(eps=1e-7)
        point = self.loc + self.log_scale.exp() * noise
        return self.values(((point + 1) * (self.levels - 1) / 2).round().clamp(0, self.levels - 1))


@final
class DiscretizedLogisticDecoder(Decoder):
    """Independent levels, each with the mass of a logistic around it, middles from the network.

    ``log p(x|z) = Σ_i log σ(p_i) + log σ(-q_i) + log(1 - exp(q_i - p_i))``, nats, ``p`` and ``q`` the ends of the
    cell of a level; the first and the last cell are open

    ``parameters (*batch, *parameter_shape) → batch_shape batch, event_shape data.shape``. Middles and scales are in
    units in which the data reach from -1 to 1.

    Reference:
        PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and Other Modifications
        (Salimans et al., 2017), arXiv:1701.05517

    Raises:
        UsageError: the data have no levels.

    Example:
        >>> decoder = DiscretizedLogisticDecoder(DataInfo((2,), levels=256))
        >>> decoder(torch.zeros(1, 2, 2)).mean
        tensor([[0.5000, 0.5000]])
    """

    def __init__(self, data: DataInfo, *, scale: Scale = "per-pixel") -> None:
        levels = require_levels("discretized-logistic", data)
        super().__init__(data)
        self.support = constraints.independent(Levels(data.low, data.high, levels), len(data.shape))
        self.scale = LogScale(data.shape, scale, -1.0)
        self.parameter_shape = self.scale.parameter_shape

    def forward(self, parameters: Tensor) -> Independent:
        loc, log_scale = self.scale(parameters)
        likelihood = DiscretizedLogistic(loc, log_scale, self.data)
        return Independent(likelihood, len(self.data.shape), validate_args=False)
