"""Gaussian likelihood for real data."""

import math
from typing import Annotated, Any, Literal, final

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn
from torch.distributions import Independent, constraints

from genmod import DataInfo, Decoder, Doc, LogScaleNormal, bounded_log_scale, diagonal_normal
from genmod.plugins.decoders._ranges import Dequantize, require_dequantizable
from genmod.plugins.decoders._scales import LARGEST, SMALLEST, log_share
from genmod.system import batch_mean

__all__ = ["GaussianDecoder"]


@final
class GaussianDecoder(Decoder):
    """Independent normals with means from the network.

    ``log p(x|z) = Σ_i -½ ((x_i - mean_i)/scale_i)² - log scale_i - ½ log 2π``, nats

    ``parameters (*batch, *parameter_shape) → batch_shape batch, event_shape data.shape``. The scale is

    - a number: fixed to it;
    - ``learned``: one trained number;
    - ``per-dimension``: one trained number for each dimension of the data;
    - ``per-pixel``: from the network, for each dimension of each example;
    - ``optimal``: the maximum-likelihood scale, which is the root mean squared error, of the batch at hand in
      training and a running mean of those otherwise.

    Reference:
        Simple and Effective VAE Training with Calibrated Decoders (Rybkin et al., 2021), arXiv:2006.13202

    Raises:
        UsageError: there are no levels to dequantize.

    Example:
        >>> decoder = GaussianDecoder(DataInfo((2,), low=-math.inf, high=math.inf), scale=1.0)
        >>> decoder(torch.zeros(1, 2)).log_prob(torch.zeros(1, 2))
        tensor([-1.8379])
    """

    mean_square: Tensor
    updates: Tensor

    def __init__(
        self,
        data: DataInfo,
        *,
        scale: Annotated[
            Annotated[float, Ge(SMALLEST), Le(LARGEST)]
            | Literal["learned", "per-dimension", "per-pixel", "optimal"],
            Doc("standard deviation around the mean: a fixed number, or how it is found"),
        ] = "learned",
        dequantize: Dequantize = False,
    ) -> None:
        super().__init__(data)
        self.dequantize = require_dequantizable("gaussian", data, dequantize)
        self.scale = scale
        self.support = constraints.independent(constraints.real, len(data.shape))
        self.parameter_shape = (2, *data.shape) if scale == "per-pixel" else data.shape
        start = log_share(data, 4)
        if scale in ("learned", "per-dimension"):
            shape = data.shape if scale == "per-dimension" else ()
            self.log_scale = nn.Parameter(torch.full(shape, start))
        elif scale == "optimal":
            self.register_buffer("mean_square", torch.tensor(math.exp(2 * start)))
            self.register_buffer("updates", torch.tensor(0))

    def forward(self, parameters: Tensor) -> Independent:
        dims = len(self.data.shape)
        if self.scale == "per-pixel":
            mean, log_scale = parameters.unbind(-dims - 1)
            return diagonal_normal(mean, bounded_log_scale(log_scale), dims)
        if self.scale == "optimal":
            if self.training:
                return Independent(_Calibrating(parameters, self), dims, validate_args=False)
            return diagonal_normal(parameters, 0.5 * self.mean_square.log(), dims)
        if isinstance(self.scale, float | int):
            return diagonal_normal(parameters, parameters.new_full((), math.log(self.scale)), dims)
        return diagonal_normal(parameters, bounded_log_scale(self.log_scale), dims)

    @torch.no_grad()
    def calibrate(self, mean_square: Tensor) -> None:
        """Take the mean squared error of a training batch, ``()``, into the running mean."""
        self.updates += 1
        # The first hundred count equally, so that the start does not linger; then a window of a hundred.
        self.mean_square.lerp_(mean_square, (1 / self.updates.clamp(max=100)).to(mean_square))


@final
class _Calibrating(LogScaleNormal):
    """Normals that take their common scale from the values whose density is computed.

    At the maximum-likelihood scale the derivative with respect to the scale is zero, so its own gradient
    can be left out.
    """

    def __init__(self, mean: Tensor, decoder: GaussianDecoder) -> None:
        super().__init__(mean, 0.5 * decoder.mean_square.log(), validate_args=False)
        self._decoder = decoder

    def expand(self, batch_shape: Any, _instance: object = None) -> "_Calibrating":
        return _Calibrating(self.loc.expand(batch_shape), self._decoder)

    def log_prob(self, value: Tensor) -> Tensor:
        floor = math.exp(-18.0)
        mean_square = batch_mean((value - self.loc).detach().square().reshape(-1)).clamp(min=floor)
        self._decoder.calibrate(mean_square)
        return LogScaleNormal(self.loc, 0.5 * mean_square.log(), validate_args=False).log_prob(value)
