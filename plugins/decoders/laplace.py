"""Laplace likelihood for real data with outliers."""

from typing import final

from torch import Tensor
from torch.distributions import Independent, Laplace, constraints

from genmod import DataInfo, Decoder
from genmod.plugins.decoders._ranges import Dequantize, require_dequantizable
from genmod.plugins.decoders._scales import LogScale, Scale, log_share

__all__ = ["LaplaceDecoder"]


@final
class LaplaceDecoder(Decoder):
    """Independent Laplace values with medians from the network: an absolute error with a scale.

    ``log p(x|z) = Σ_i -|x_i - loc_i| / scale_i - log scale_i - log 2``, nats

    ``parameters (*batch, *parameter_shape) → batch_shape batch, event_shape data.shape``.

    Reference:
        What Uncertainties Do We Need in Bayesian Deep Learning for Computer Vision?
        (Kendall and Gal, 2017), arXiv:1703.04977, for a Laplace likelihood with a scale from the network

    Raises:
        UsageError: there are no levels to dequantize.

    Example:
        >>> import torch
        >>> decoder = LaplaceDecoder(DataInfo((2,), low=-torch.inf, high=torch.inf), scale=1.0)
        >>> decoder(torch.zeros(1, 2)).log_prob(torch.zeros(1, 2))
        tensor([-1.3863])
    """

    def __init__(self, data: DataInfo, *, scale: Scale = "learned", dequantize: Dequantize = False) -> None:
        super().__init__(data)
        self.dequantize = require_dequantizable("laplace", data, dequantize)
        self.support = constraints.independent(constraints.real, len(data.shape))
        self.scale = LogScale(data.shape, scale, log_share(data, 6))
        self.parameter_shape = self.scale.parameter_shape

    def forward(self, parameters: Tensor) -> Independent:
        loc, log_scale = self.scale(parameters)
        return Independent(
            Laplace(loc, log_scale.exp(), validate_args=False), len(self.data.shape), validate_args=False
        )
