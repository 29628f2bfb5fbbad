"""Categorical likelihood over the levels of discrete data."""

from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, constraints

from genmod import DataInfo, Decoder
from genmod.plugins.decoders._levels import LevelDistribution, Levels
from genmod.plugins.decoders._ranges import require_levels

__all__ = ["CategoricalDecoder", "LevelCategorical"]


@final
class LevelCategorical(LevelDistribution):
    """A probability for each level.

    Args:
        logits: ``(*batch, levels)``.
        data: whose levels.

    Example:
        >>> LevelCategorical(torch.zeros(4), DataInfo((1,), levels=4)).mean
        tensor(0.5000)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"logits": constraints.real_vector}

    def __init__(self, logits: Tensor, data: DataInfo) -> None:
        self.logits = logits.log_softmax(-1)
        super().__init__(data, logits.shape[:-1], self.logits)

    def expand(self, batch_shape: Any, _instance: object = None) -> "LevelCategorical":
        return LevelCategorical(self.logits.expand(*batch_shape, self.levels), self.data)

    def log_prob(self, value: Tensor) -> Tensor:
        k = self.indices(value).long()[..., None]
        shape = torch.broadcast_shapes(k.shape[:-1], self._batch_shape)
        logits = self.logits.expand(*shape, self.levels)
        return logits.gather(-1, k.expand(*shape, 1))[..., 0]

    @property
    def mean(self) -> Tensor:
        return self.values(self.logits.exp() @ self.numbers())

    @property
    def mode(self) -> Tensor:
        return self.values(self.logits.argmax(-1).to(self.logits.dtype))

    @property
    def variance(self) -> Tensor:
        values = self.values(self.numbers())
        return (self.logits.exp() * (values - self.mean[..., None]).square()).sum(-1)

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        drawn = Categorical(logits=self.logits, validate_args=False).sample(sample_shape)
        return self.values(drawn.to(self.logits.dtype))


@final
class CategoricalDecoder(Decoder):
    """Independent values, each with a probability for each level from the network, such as 256 of 8-bit images.

    ``log p(x|z) = Σ_i log softmax(l_i)[k(x_i)]``, nats, ``k(x)`` the level of a value

    ``parameters (*batch, levels, *data.shape) → batch_shape batch, event_shape data.shape``.

    Reference:
        Pixel Recurrent Neural Networks (van den Oord et al., 2016), arXiv:1601.06759

    Raises:
        UsageError: the data have no levels.

    Example:
        >>> decoder = CategoricalDecoder(DataInfo((2,), levels=4))
        >>> decoder(torch.zeros(1, 4, 2)).log_prob(torch.zeros(1, 2)).exp()
        tensor([0.0625])
    """

    def __init__(self, data: DataInfo) -> None:
        levels = require_levels("categorical", data)
        super().__init__(data)
        self.support = constraints.independent(Levels(data.low, data.high, levels), len(data.shape))
        self.parameter_shape = (levels, *data.shape)

    def forward(self, parameters: Tensor) -> Independent:
        dims = len(self.data.shape)
        logits = parameters.movedim(-dims - 1, -1)
        return Independent(LevelCategorical(logits, self.data), dims, validate_args=False)
