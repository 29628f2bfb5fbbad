"""Generalised normal likelihood."""

import math
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn
from torch.distributions import Independent, constraints

from genmod import DataInfo, Decoder, Doc, bounded_log_scale
from genmod_gennorm.distribution import GeneralisedNormal

__all__ = ["GeneralisedNormalDecoder"]


@final
class GeneralisedNormalDecoder(Decoder):
    """Independent generalised normal distributions with middles from the network.

    ``log p(x|z) = Σ_i log β - log 2 - log Γ(1/β) - log scale - (|x_i - y_i| / scale)^β``, nats, with ``y`` from the
    network and ``β`` the ``power``

    ``parameters (*batch, *data.shape) → batch_shape batch, event_shape data.shape``. With ``power=1`` errors cost their
    size, with 2 their square, and with 4 small errors cost next to nothing.

    Reference:
        A generalized normal distribution (Nadarajah, 2005), doi:10.1080/02664760500079464

    Example:
        >>> decoder = GeneralisedNormalDecoder(DataInfo((2,), low=-math.inf, high=math.inf), scale=1.0, power=1.0)
        >>> decoder(torch.zeros(1, 2)).log_prob(torch.tensor([[0.0, 2.0]]))
        tensor([-3.3863])
    """

    log_scale: Tensor

    def __init__(
        self,
        data: DataInfo,
        *,
        power: Annotated[
            float, Ge(1), Le(4), Doc("1 for Laplace noise, 2 for normal noise, more for flat tops")
        ] = 1.5,
        scale: Annotated[
            Annotated[float, Gt(0)] | Literal["learned"],
            Doc("width of the noise: a fixed number, or one that is trained"),
        ] = "learned",
    ) -> None:
        super().__init__(data)
        self.support = constraints.independent(constraints.real, len(data.shape))
        self.parameter_shape = data.shape
        self.power = power
        self.learned = scale == "learned"
        if scale == "learned":
            width = data.high - data.low
            self.log_scale = nn.Parameter(torch.tensor(math.log(width / 5) if math.isfinite(width) else 0.0))
        else:
            self.register_buffer("log_scale", torch.tensor(math.log(scale)), persistent=False)

    def forward(self, parameters: Tensor) -> Independent:
        log_scale = bounded_log_scale(self.log_scale) if self.learned else self.log_scale
        noise = GeneralisedNormal(parameters, log_scale, self.power)
        return Independent(noise, len(self.data.shape), validate_args=False)
