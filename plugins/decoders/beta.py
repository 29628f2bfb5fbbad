"""Beta likelihood for values between 0 and 1."""

from typing import final

import torch
from torch import Tensor
from torch.distributions import Independent

from genmod import DataInfo, bounded_log_scale
from genmod.distributions import PreciseBeta
from genmod.plugins.decoders._ranges import Dequantize, UnitIntervalDecoder, cells_of_unit_interval

__all__ = ["BetaDecoder"]

_FLOOR = 0.5
"""Concentrations lie above; below, single precision would round a visible part of the mass to exactly 1."""

_MARGIN = 2.0**-10


@final
class BetaDecoder(UnitIntervalDecoder):
    """Independent beta-distributed values with both concentrations from the network.

    ``log p(x|z) = Σ_i (a_i - 1) log x_i + (b_i - 1) log(1 - x_i) - log B(a_i, b_i)``, nats

    ``parameters (*batch, 2, *data.shape) → batch_shape batch, event_shape data.shape``. At 0 and 1 themselves the
    density is zero or infinite, so observations are kept off them: level k of L is observed as the middle of its
    cell, ``(k + ½)/L``, or with ``dequantize`` anywhere in it, and continuous data are squeezed by 1/1,024
    from both sides.

    Reference:
        A Better Lemon Squeezer? Maximum-Likelihood Regression With Beta-Distributed Dependent Variables
        (Smithson and Verkuilen, 2006), doi:10.1037/1082-989X.11.1.54

    Raises:
        UsageError: the data are not between 0 and 1, or have no levels to dequantize.

    Example:
        >>> decoder = BetaDecoder(DataInfo((2,), levels=256))
        >>> decoder.observe(torch.tensor([[0.0, 1.0]]))
        tensor([[0.0020, 0.9980]])
        >>> decoder(torch.zeros(1, 2, 2)).mean
        tensor([[0.5000, 0.5000]])
    """

    def __init__(self, data: DataInfo, *, dequantize: Dequantize = False) -> None:
        super().__init__(data, "beta", dequantize)
        self.parameter_shape = (2, *data.shape)

    @property
    def observed(self) -> DataInfo:
        levels = self.data.levels
        edge = _MARGIN if levels is None else 0.0 if self.dequantize else 0.5 / levels
        return DataInfo(
            self.data.shape,
            low=edge,
            high=1 - edge,
            levels=None if self.dequantize else levels,
            classes=self.data.classes,
            factors=self.data.factors,
        )

    def observe(self, x: Tensor) -> Tensor:
        if self.dequantize:
            return self.dequantized(x)
        if self.data.levels is None:
            return _MARGIN + (1 - 2 * _MARGIN) * x
        return cells_of_unit_interval(x, self.data.levels, 0.5)

    def dequantized(self, x: Tensor) -> Tensor:
        # A draw of exactly 0 would put level 0 at the edge.
        within = torch.rand_like(x).clamp(_MARGIN, 1 - _MARGIN)
        return cells_of_unit_interval(x, self.data.levels or 1, within)

    def forward(self, parameters: Tensor) -> Independent:
        dims = len(self.data.shape)
        a, b = (_FLOOR + bounded_log_scale(parameters).exp()).unbind(-dims - 1)
        return Independent(PreciseBeta(a, b, validate_args=False), dims, validate_args=False)
