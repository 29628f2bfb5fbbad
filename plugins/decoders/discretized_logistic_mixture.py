"""Mixture of discretized logistics over the levels of discrete data."""

from typing import Annotated, Any, ClassVar, final

import torch
from annotated_types import Ge
from torch import Tensor
from torch.distributions import Categorical, Distribution, Independent, constraints

from genmod import DataInfo, Decoder, Doc, UsageError, bounded_log_scale
from genmod.plugins.decoders._coupled_logistics import COLOURS, CoupledLogisticMixture
from genmod.plugins.decoders._levels import LevelDistribution, Levels
from genmod.plugins.decoders._ranges import require_levels
from genmod.plugins.decoders.discretized_logistic import DiscretizedLogistic

__all__ = ["DiscretizedLogisticMixture", "DiscretizedLogisticMixtureDecoder"]


@final
class DiscretizedLogisticMixture(LevelDistribution):
    """A weighted sum of discretized logistics for each value.

    Args:
        logits: of the weights, ``(*batch, components)``.
        parts: the logistics, ``batch_shape (*batch, components)``.

    Example:
        >>> parts = DiscretizedLogistic(torch.zeros(3, 2), torch.zeros(3, 2), DataInfo((3,), levels=4))
        >>> DiscretizedLogisticMixture(torch.zeros(3, 2), parts).mean
        tensor([0.5000, 0.5000, 0.5000])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, logits: Tensor, parts: DiscretizedLogistic) -> None:
        self.log_weights = logits.log_softmax(-1)
        self.parts = parts
        super().__init__(parts.data, parts.batch_shape[:-1], self.log_weights)

    def expand(self, batch_shape: Any, _instance: object = None) -> "DiscretizedLogisticMixture":
        shape = (*batch_shape, self.log_weights.shape[-1])
        return DiscretizedLogisticMixture(self.log_weights.expand(shape), self.parts.expand(shape))

    def log_prob(self, value: Tensor) -> Tensor:
        # Rounding alone would make it more than one.
        return (self.log_weights + self.parts.log_prob(value[..., None])).logsumexp(-1).clamp(max=0)

    @property
    def mean(self) -> Tensor:
        return (self.log_weights.exp() * self.parts.mean).sum(-1)

    @property
    def variance(self) -> Tensor:
        spread = (self.parts.mean - self.mean[..., None]).square()
        return (self.log_weights.exp() * (self.parts.variance + spread)).sum(-1)

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        chosen = Categorical(logits=self.log_weights, validate_args=False).sample(sample_shape)
        return self.parts.sample(sample_shape).gather(-1, chosen[..., None])[..., 0]


@final
class DiscretizedLogisticMixtureDecoder(Decoder):
    """Independent levels, each with the mass of a mixture of logistics around it, all from the network.

    ``log p(x|z) = Σ_i log Σ_m w_im P(k(x_i) | loc_im, scale_im)``, nats

    ``parameters (*batch, 3, components, *data.shape) → batch_shape batch, event_shape data.shape``: logits of the
    weights, middles and log-scales. Channels are independent given the latents, unless they are ``coupled``: then each
    pixel is from one component, in which the middle of a colour is linear in the colours before it, and
    ``parameters (*batch, 10, components, height, width)`` are logits, three middles, three log-scales and three
    coefficients for each pixel.

    Reference:
        PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and Other Modifications
        (Salimans et al., 2017), arXiv:1701.05517

    Raises:
        UsageError: the data have no levels, or are to be coupled and have other than three channels.

    Example:
        >>> decoder = DiscretizedLogisticMixtureDecoder(DataInfo((2,), levels=256), components=5)
        >>> decoder(torch.zeros(1, 3, 5, 2)).mean
        tensor([[0.5000, 0.5000]])
    """

    def __init__(
        self,
        data: DataInfo,
        *,
        components: Annotated[int, Ge(1), Doc("logistics for each value, or for each pixel if coupled")] = 5,
        coupled: Annotated[
            bool, Doc("let the middle of a colour depend on the colours before it, for 3 channels")
        ] = False,
    ) -> None:
        levels = require_levels("discretized-logistic-mixture", data)
        if coupled and (not data.is_image or data.shape[0] != COLOURS):
            raise UsageError(
                f"decoder 'discretized-logistic-mixture' couples images of 3 channels; these data have shape {data.shape}",
                hint="leave -s decoder.coupled out",
            )
        super().__init__(data)
        self.coupled = coupled
        self.support = constraints.independent(Levels(data.low, data.high, levels), len(data.shape))
        self.parameter_shape = (
            (1 + 3 * COLOURS, components, *data.shape[1:]) if coupled else (3, components, *data.shape)
        )

    def forward(self, parameters: Tensor) -> Distribution:
        if self.coupled:
            return CoupledLogisticMixture(parameters, self.data)
        dims = len(self.data.shape)
        logits, loc, log_scale = parameters.movedim(-dims - 1, -1).unbind(-dims - 2)
        parts = DiscretizedLogistic(loc, bounded_log_scale(log_scale), self.data)
        return Independent(DiscretizedLogisticMixture(logits, parts), dims, validate_args=False)
