"""Mixture of discretized logistics over the colours of pixels, each colour's middle linear in those before it."""

from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, constraints
from torch.distributions.constraints import Constraint

from genmod import DataInfo, bounded_log_scale
from genmod.plugins.decoders._levels import Levels
from genmod.plugins.decoders.discretized_logistic import DiscretizedLogistic

__all__ = ["CoupledLogisticMixture"]

COLOURS = 3


@final
class CoupledLogisticMixture(Distribution):
    """Pixels of three colours, each pixel from a mixture of components.

    ``log p(x) = Σ_pixels log Σ_m w_m P(r; loc_r) P(g; loc_g + a r) P(b; loc_b + b r + c g)``, with discretized logistics
    ``P`` and levels ``r, g, b`` scaled to between -1 and 1; ``a, b, c`` between -1 and 1

    The ``mean`` takes each colour's mean given the means of those before it, in every component; that is exact
    where no mass is cut off at the darkest and the brightest level. The exact mean would be a sum over all levels of
    two colours.

    Args:
        parameters: ``(*batch, 10, components, height, width)``: logits of the weights, then three middles, three
            log-scales and three unbounded coefficients.
        data: whose levels.

    Reference:
        PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and Other Modifications
        (Salimans et al., 2017), arXiv:1701.05517

    Example:
        >>> data = DataInfo((3, 1, 1), levels=2)
        >>> p = CoupledLogisticMixture(torch.randn(10, 5, 1, 1), data)
        >>> every = torch.cartesian_prod(*3 * [torch.tensor([0.0, 1.0])]).reshape(8, 3, 1, 1)
        >>> p.log_prob(every).exp().sum().round(decimals=5)
        tensor(1.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, parameters: Tensor, data: DataInfo) -> None:
        self.parameters, self.data = parameters, data
        # Components come last, as in the mixtures of single values.
        each = parameters.movedim(-3, -1)
        self.log_weights = each[..., 0, :, :, :].log_softmax(-1)
        self.locs = each[..., 1:4, :, :, :].unbind(-4)
        self.log_scales = bounded_log_scale(each[..., 4:7, :, :, :]).unbind(-4)
        self.coefficients = each[..., 7:10, :, :, :].tanh().unbind(-4)
        super().__init__(parameters.shape[:-4], torch.Size(data.shape), validate_args=False)

    @property
    def support(self) -> Constraint:  # type: ignore[override]
        return constraints.independent(Levels(self.data.low, self.data.high, self.data.levels or 1), 3)

    def expand(self, batch_shape: Any, _instance: object = None) -> "CoupledLogisticMixture":
        return CoupledLogisticMixture(
            self.parameters.expand(*batch_shape, *self.parameters.shape[-4:]), self.data
        )

    def _parts(self, colour: int, before: list[Tensor]) -> DiscretizedLogistic:
        """The logistics of a colour, ``(*batch, height, width, components)``, given the values of those before it."""
        first = colour * (colour - 1) // 2
        loc = self.locs[colour]
        for coefficient, value in zip(self.coefficients[first : first + colour], before, strict=True):
            loc = loc + coefficient * self._scaled(value)
        log_scale = self.log_scales[colour].expand(loc.shape)
        return DiscretizedLogistic(loc, log_scale, self.data)

    def _scaled(self, value: Tensor) -> Tensor:
        return 2 * (value - self.data.low) / (self.data.high - self.data.low) - 1

    def log_prob(self, value: Tensor) -> Tensor:
        colours = [colour[..., None] for colour in value.unbind(-3)]
        total = self.log_weights
        for i, colour in enumerate(colours):
            total = total + self._parts(i, colours[:i]).log_prob(colour)
        # Rounding alone would make it more than one.
        return total.logsumexp(-1).clamp(max=0).sum((-2, -1))

    @property
    def mean(self) -> Tensor:
        means: list[Tensor] = []
        for i in range(COLOURS):
            means.append(self._parts(i, means).mean)
        weights = self.log_weights.exp()
        return torch.stack([(weights * mean).sum(-1) for mean in means], -3)

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        chosen = Categorical(logits=self.log_weights, validate_args=False).sample(sample_shape)[..., None]
        drawn: list[Tensor] = []
        for i in range(COLOURS):
            parts = self._parts(i, drawn)
            # Values that were drawn already bring the dimensions of the sample with them.
            drawn.append(parts.sample(() if drawn else sample_shape).gather(-1, chosen))
        return torch.stack([colour[..., 0] for colour in drawn], -3)
