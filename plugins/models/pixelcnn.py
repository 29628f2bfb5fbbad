"""Pixels one after the other: gated PixelCNN as a model of pictures."""

from typing import Annotated, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.distributions import constraints

from genmod import DataInfo, Doc, GenerativeModel, ModelSpec, Observations, Terms, UsageError
from genmod.plugins.decoders._levels import Levels
from genmod.plugins.priors.pixelcnn import PixelCNNPrior

__all__ = ["PixelCNNModel"]

_MOST = 256


@final
class PixelCNNModel(GenerativeModel):
    """The levels of a picture drawn row by row, each with probabilities that depend on those above and to the left.

    ``P(x) = Π_i Cat(x_i; softmax(f_i(x_<i, context)))``, exact; the loss is ``-log P(x)``, nats

    ``f`` are gated, masked convolutions as of prior ``pixelcnn``; the channels of a pixel come one after the other.
    Probabilities take one pass, samples as many as there are values. It can be conditional. It has no latents.

    Reference:
        Conditional Image Generation with PixelCNN Decoders (van den Oord et al., 2016), arXiv:1606.05328

    Raises:
        UsageError: the data are no pictures of 2 to 256 levels and of two rows or more, or values may be missing.

    Example:
        >>> model = PixelCNNModel(ModelSpec(), DataInfo((1, 4, 4), levels=2), channels=8, layers=2)
        >>> nats = -model.log_weights(torch.zeros(1, 1, 4, 4))
        >>> model.sample(5, seed=0).shape, round(nats.item(), 3)
        (torch.Size([5, 1, 4, 4]), 11.09)
    """

    takes_conditions = True

    def __init__(
        self,
        spec: ModelSpec,
        data: DataInfo,
        *,
        channels: Annotated[int, Gt(0), Doc("channels of each layer")] = 32,
        layers: Annotated[int, Ge(1), Doc("gated layers")] = 5,
        kernel: Annotated[
            int, Ge(1), Doc("side of the convolutions after the first, rounded up to an odd number")
        ] = 3,
    ) -> None:
        super().__init__(spec, data)
        levels = data.levels
        if not data.is_image or levels is None or levels > _MOST or data.shape[1] < 2 or data.missing:
            raise UsageError(
                f"model 'pixelcnn' is one of pictures of 2 to {_MOST} levels and two rows or more, and the data are of shape "
                f"{data.shape} with {levels or 'no'} levels{', some missing' if data.missing else ''}",
                hint="choose --model flow for other numbers, or build without --model",
            )
        count, height, width = data.shape
        size = self.conditions.size if self.conditions else 0
        self.pixels = PixelCNNPrior(
            (height, width * count, levels), size, channels=channels, layers=layers, kernel=kernel
        )
        self.levels = levels

    @property
    def observations(self) -> Observations:
        levels = Levels(self.data.low, self.data.high, self.levels)
        return Observations(self.data, constraints.independent(levels, len(self.data.shape)))

    def terms(self, x: Tensor, context: Tensor | None = None) -> Terms:
        log_prob = self.log_weights(self.observe(x), 1, context)[0]
        return Terms(-log_prob.mean(), {"elbo": log_prob})

    def log_weights(self, x: Tensor, samples: int = 1, context: Tensor | None = None) -> Tensor:
        steps = (x - self.data.low) * ((self.levels - 1) / (self.data.high - self.data.low))
        codes = steps.round().long().clamp(0, self.levels - 1)
        # The channels of a pixel lie side by side.
        codes = codes.permute(0, 2, 3, 1).flatten(2)
        with torch.autocast(x.device.type, self.autocast_dtype, enabled=self.autocast_dtype is not None):
            found = self.pixels(context).log_prob_of(codes)
        return found.expand(samples, -1)

    def draws(self, n: int, context: Tensor | None = None, *, noise: bool = False) -> Tensor:
        count, height, width = self.data.shape
        p = self.pixels(context)
        codes = p.sample_codes(() if p.batch_shape else (n,)).reshape(n, height, width, count)
        return self.data.values(codes.permute(0, 3, 1, 2).contiguous(), self.dtype)
