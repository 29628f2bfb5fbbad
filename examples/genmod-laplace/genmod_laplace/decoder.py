"""Asymmetric Laplace likelihood."""

import math
from typing import Annotated, Literal, final

import torch
from annotated_types import Gt, Lt
from torch import Tensor, nn
from torch.distributions import Independent, constraints

from genmod import DataInfo, Decoder, Doc, bounded_log_scale
from genmod_laplace.distribution import AsymmetricLaplace

__all__ = ["AsymmetricLaplaceDecoder"]


@final
class AsymmetricLaplaceDecoder(Decoder):
    """Independent asymmetric Laplace distributions: the network learns a quantile of each value.

    ``log p(x|z) = Σ_i log(q (1-q)) - log scale - max(q d_i, (q-1) d_i)``, ``d_i = (x_i - y_i)/scale``, nats, with
    ``y`` from the network and ``q`` the ``quantile``

    ``parameters (*batch, *data.shape) → batch_shape batch, event_shape data.shape``. At ``quantile=0.5`` errors
    count by their size; at 0.9 those above ``y`` count nine times as much as those below, so that 90 % of the
    data come to lie below it.

    Reference:
        Addressing Variance Shrinkage in Variational Autoencoders using Quantile Regression
        (Akrami et al., 2020), arXiv:2010.09042

    Example:
        >>> decoder = AsymmetricLaplaceDecoder(DataInfo((2,), low=-math.inf, high=math.inf), scale=1.0)
        >>> decoder(torch.zeros(1, 2)).log_prob(torch.tensor([[0.0, 2.0]]))
        tensor([-3.7726])
    """

    log_scale: Tensor

    def __init__(
        self,
        data: DataInfo,
        *,
        quantile: Annotated[float, Gt(0), Lt(1), Doc("which part of the data is to lie below")] = 0.5,
        scale: Annotated[
            Annotated[float, Gt(0)] | Literal["learned"],
            Doc("width of the noise: a fixed number, or one that is trained"),
        ] = "learned",
    ) -> None:
        super().__init__(data)
        self.support = constraints.independent(constraints.real, len(data.shape))
        self.parameter_shape = data.shape
        self.quantile = quantile
        self.learned = scale == "learned"
        if scale == "learned":
            width = data.high - data.low
            self.log_scale = nn.Parameter(torch.tensor(math.log(width / 8) if math.isfinite(width) else 0.0))
        else:
            self.register_buffer("log_scale", torch.tensor(math.log(scale)), persistent=False)

    def forward(self, parameters: Tensor) -> Independent:
        log_scale = bounded_log_scale(self.log_scale) if self.learned else self.log_scale
        noise = AsymmetricLaplace(parameters, log_scale, self.quantile)
        return Independent(noise, len(self.data.shape), validate_args=False)
