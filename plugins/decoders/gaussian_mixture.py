"""A mixture of Gaussians for real data of several modes."""

import math
from typing import Annotated, final

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, constraints

from genmod import DataInfo, Decoder, Doc, LogScaleNormal, bounded_log_scale
from genmod.plugins.decoders._ranges import Dequantize, require_dequantizable

__all__ = ["GaussianMixtureDecoder"]


@final
class GaussianMixtureDecoder(Decoder):
    """Independent mixtures of normals: shares, means and scales of each value's components from the network.

    ``log p(x|z) = Σ_i log Σ_k π_ik N(x_i; mean_ik, scale_ik²)``, nats

    ``parameters (*batch, 3, components, *data.shape) → batch_shape batch, event_shape data.shape``. The network adds to a
    trained mean and log-scale of each component, which begin at quantiles of the training values.

    Reference:
        Mixture Density Networks (Bishop, 1994), Aston University, NCRG/94/004; for columns of a table, Modeling Tabular
        Data using Conditional GAN (Xu et al., 2019), arXiv:1907.00503

    Raises:
        UsageError: there are no levels to dequantize.

    Example:
        >>> decoder = GaussianMixtureDecoder(DataInfo((2,), low=float("-inf"), high=float("inf")), components=3)
        >>> decoder(torch.zeros(5, 3, 3, 2)).log_prob(torch.zeros(5, 2)).shape
        torch.Size([5])
    """

    examples_wanted = 2000

    def __init__(
        self,
        data: DataInfo,
        *,
        components: Annotated[int, Doc("normals of each value"), Ge(1), Le(100)] = 3,
        dequantize: Dequantize = False,
    ) -> None:
        super().__init__(data)
        self.dequantize = require_dequantizable("gaussian-mixture", data, dequantize)
        self.components = components
        self.support = constraints.independent(constraints.real, len(data.shape))
        self.parameter_shape = (3, components, *data.shape)
        low, high = (data.low, data.high) if data.high - data.low < float("inf") else (-2.0, 2.0)
        step = (high - low) / components
        column = torch.tensor([low + step * (k + 0.5) for k in range(components)])
        shape = (components, *data.shape)
        self.means = nn.Parameter(column.reshape(-1, *[1] * len(data.shape)).expand(shape).clone())
        self.log_scales = nn.Parameter(torch.full(shape, math.log(step / 2)))

    @torch.no_grad()
    def prepare(self, examples: Tensor) -> None:
        """Begin at quantiles of the training values; missing ones do not count."""
        x = self.data.values(examples).to(self.means)
        shares = (torch.arange(self.components).to(x) + 0.5) / self.components
        quantiles = x.nanquantile(shares, 0)
        mean = x.nanmean(0)
        deviation = (x - mean).square().nanmean(0).sqrt()
        seen = quantiles.isfinite()
        self.means.copy_(torch.where(seen, quantiles, self.means))
        start = (deviation / self.components).clamp(min=1e-3).log()
        self.log_scales.copy_(torch.where(start.isfinite(), start, self.log_scales))

    def forward(self, parameters: Tensor) -> Independent:
        dims = len(self.data.shape)
        logits, means, log_scales = parameters.unbind(-dims - 2)
        parts = [logits, means + self.means, bounded_log_scale(log_scales + self.log_scales)]
        logits, means, log_scales = (part.movedim(-dims - 1, -1) for part in parts)
        mixture = MixtureSameFamily(
            Categorical(logits=logits, validate_args=False),
            LogScaleNormal(means, log_scales, validate_args=False),
            validate_args=False,
        )
        return Independent(mixture, dims, validate_args=False)
