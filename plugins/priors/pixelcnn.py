"""Gated PixelCNN as a prior over codes."""

import math
from typing import Annotated, Any, final

from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.distributions import constraints

from genmod import Doc, Prior, UsageError
from genmod.plugins.posteriors._simplex import require_classes, stacked
from genmod.plugins.priors._raster import RasterCodes

__all__ = ["PixelCNNPrior"]


@final
class PixelCNNPrior(Prior):
    """Classes of a map drawn row by row, each with probabilities that depend on those above and to the left.

    ``p(z) = Π_i Cat(z_i; softmax(f_i(z_<i, context)))``, ``event_shape latent_shape``

    The last number of the latent shape is that of classes, those before are height and width.
    ``f`` are gated, masked convolutions, a vertical and a horizontal stack without a blind spot, 1×1 outputs. In a
    conditional model each layer is given the condition, and ``batch_shape`` is that of the conditions. For posteriors that
    draw codes (``vq``, ``fsq``, …) or exact classes. It starts with all classes alike.

    Reference:
        Conditional Image Generation with PixelCNN Decoders (van den Oord et al., 2016), arXiv:1606.05328

    Raises:
        UsageError: there are fewer than two classes, or less than two rows.

    Example:
        >>> PixelCNNPrior((4, 4, 8))().sample((5,)).shape
        torch.Size([5, 4, 4, 8])
    """

    wants_context = True

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        context: int = 0,
        *,
        channels: Annotated[int, Gt(0), Doc("channels of each layer")] = 32,
        layers: Annotated[int, Ge(1), Doc("gated layers")] = 5,
        kernel: Annotated[
            int, Ge(1), Doc("side of the convolutions after the first, rounded up to an odd number")
        ] = 3,
    ) -> None:
        classes = require_classes("prior 'pixelcnn'", latent_shape)
        super().__init__(latent_shape)
        self.support = stacked(constraints.one_hot, latent_shape)
        self.shape, self.classes, self.context = latent_shape[:-1], classes, context
        if len(self.shape) < 2 or self.shape[0] < 2:
            raise UsageError(
                f"prior 'pixelcnn' is one over maps of classes, and latents of shape {latent_shape} are no map",
                hint="keep a map: --encoder conv-map; or choose --prior transformer or --prior autoregressive",
            )
        # Further dimensions, as of several codes in a place, lie along the width.
        self.size = (self.shape[0], math.prod(self.shape[1:]))
        self.embedding = nn.Embedding(classes, channels)
        self.layers = nn.ModuleList(
            _GatedLayer(channels, 7 if i == 0 else kernel | 1, context, first=i == 0) for i in range(layers)
        )
        self.out = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.SiLU(), nn.Conv2d(channels, classes, 1))
        last: Any = self.out[-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, context: Tensor | None = None) -> RasterCodes:
        device = self.embedding.weight.device
        return RasterCodes(self.logits, self.shape, self.classes, context if self.context else None, device)

    def logits(self, codes: Tensor, context: Tensor | None) -> Tensor:
        """Of each place, ``(N, n)`` int64 and ``(N, size)`` → ``(N, n, classes)``."""
        vertical = horizontal = self.embedding(codes).mT.unflatten(-1, self.size)
        for layer in self.layers:
            vertical, horizontal = layer(vertical, horizontal, context)
        return self.out(horizontal).flatten(2).mT  # type: ignore[no-any-return]


class _GatedLayer(nn.Module):
    """``(N, C, H, W)`` twice → the same: what lies above each place, and what lies above or to the left of it."""

    def __init__(self, channels: int, kernel: int, context: int, *, first: bool) -> None:
        super().__init__()
        half = kernel // 2
        self.first, self.reach = first, half
        # The first looks at what comes before each place alone, so that the others may look at the place itself.
        self.vertical = nn.Conv2d(channels, 2 * channels, (half + (not first), kernel))
        self.horizontal = nn.Conv2d(channels, 2 * channels, (1, half + (not first)))
        self.across = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.condition = nn.Linear(context, 4 * channels) if context else None

    def forward(self, vertical: Tensor, horizontal: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        half, pad = self.reach, nn.functional.pad
        above = self.vertical(pad(vertical, (half, half, half, 0)))[:, :, : vertical.shape[2]]
        left = self.horizontal(pad(horizontal, (half, 0, 0, 0)))[..., : horizontal.shape[3]]
        beside = left + self.across(above)
        if self.condition is not None and context is not None:
            given_above, given_beside = self.condition(context)[:, :, None, None].chunk(2, 1)
            above, beside = above + given_above, beside + given_beside
        made = self.mix(_gated(beside))
        return _gated(above), made if self.first else horizontal + made


def _gated(x: Tensor) -> Tensor:
    signal, gate = x.chunk(2, 1)
    return signal.tanh() * gate.sigmoid()
