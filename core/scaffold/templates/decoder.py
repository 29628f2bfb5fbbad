"""A Laplace likelihood."""

from typing import Annotated, final

from annotated_types import Gt
from torch import Tensor
from torch.distributions import Independent, Laplace, constraints

from genmod import DataInfo, Decoder, Doc

__all__ = ["TemplateDecoder"]


@final
class TemplateDecoder(Decoder):
    """Independent Laplace distributions around medians from the network.

    ``log p(x|z) = Σ_i -|x_i - median_i|/scale - log(2 scale)``, nats

    ``parameters (*batch, *data.shape) → batch_shape batch, event_shape data.shape``
    """

    def __init__(
        self,
        data: DataInfo,
        *,
        scale: Annotated[float, Gt(0), Doc("mean distance from the median")] = 0.1,
    ) -> None:
        super().__init__(data)
        self.support = constraints.independent(constraints.real, len(data.shape))
        self.parameter_shape = data.shape
        self.scale = scale

    def forward(self, parameters: Tensor) -> Independent:
        noise = Laplace(parameters, self.scale, validate_args=False)
        return Independent(noise, len(self.data.shape), validate_args=False)
