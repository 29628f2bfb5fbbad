"""Laplace likelihood."""

import math
from typing import Annotated, Literal, final

import torch
from annotated_types import Gt
from torch import Tensor, nn
from torch.distributions import Independent, Laplace, constraints

from genmod import DataInfo, Decoder, Doc, bounded_log_scale

__all__ = ["LaplaceDecoder"]


@final
class LaplaceDecoder(Decoder):
    """Independent Laplace distributions with medians from the network.

    ``log p(x|z) = Σ_i -|x_i - median_i|/scale - log(2 scale)``, nats

    ``parameters (*batch, *data.shape) → batch_shape batch, event_shape data.shape``. Errors count by their
    size and not by its square, so single pixels that are far off pull less than under ``gaussian``.

    Reference:
        Image-to-Image Translation with Conditional Adversarial Networks (Isola et al., 2016),
        arXiv:1611.07004, for absolute errors, which blur pictures less

    Example:
        >>> decoder = LaplaceDecoder(DataInfo((2,), low=-math.inf, high=math.inf), scale=1.0)
        >>> decoder(torch.zeros(1, 2)).log_prob(torch.tensor([[0.0, 1.0]]))
        tensor([-2.3863])
    """

    def __init__(
        self,
        data: DataInfo,
        *,
        scale: Annotated[
            Annotated[float, Gt(0)] | Literal["learned"],
            Doc("mean distance from the median: a fixed number, or one that is trained"),
        ] = "learned",
    ) -> None:
        super().__init__(data)
        self.support = constraints.independent(constraints.real, len(data.shape))
        self.parameter_shape = data.shape
        self.scale = scale
        if scale == "learned":
            width = data.high - data.low
            start = math.log(width / 4) if math.isfinite(width) else 0.0
            self.log_scale = nn.Parameter(torch.tensor(start))

    def forward(self, parameters: Tensor) -> Independent:
        scale = bounded_log_scale(self.log_scale).exp() if self.scale == "learned" else self.scale
        noise = Laplace(parameters, scale, validate_args=False)
        return Independent(noise, len(self.data.shape), validate_args=False)
