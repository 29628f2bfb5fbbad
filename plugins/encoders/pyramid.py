"""Residual encoder that hands on features of several resolutions."""

import math
from itertools import pairwise
from typing import Annotated, final

from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from genmod import Activation, ComponentSpec, Doc, Encoder
from genmod.nn import Maps, default_channels, halvings, image_shape
from genmod.nn import activation as activation_layer
from genmod.plugins.posteriors._top_down import Bottleneck

__all__ = ["PyramidEncoder"]


@final
class PyramidEncoder(Encoder):
    """Residual blocks at each of several resolutions, until one row or column is left; the features are those of all of them.

    ``x (B, channels, height, width) → features (B, n)``, maps ``(width, height', width')`` one after the other, the finest
    first; their shapes are ``feature_shape.parts``

    Posterior ``top-down`` takes them apart; any other takes them as a vector. Images of any size from 8×8 work, odd and oblong
    ones too.

    Reference:
        Very Deep VAEs Generalize Autoregressive Models and Can Outperform Them on Images (Child, 2021), arXiv:2011.10650

    Raises:
        UsageError: the data are no images of at least 8×8, or too small for so many halvings.

    Example:
        >>> import torch
        >>> encoder = PyramidEncoder((1, 28, 28), width=8)
        >>> encoder(torch.zeros(2, 1, 28, 28)).shape, encoder.feature_shape.parts
        (torch.Size([2, 472]), ((8, 7, 7), (8, 3, 3), (8, 1, 1)))
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        *,
        width: Annotated[int, Gt(0), Doc("channels of the maps")] = 64,
        halve: Annotated[
            Annotated[int, Ge(0)] | None,
            Doc(
                "how often the image is halved before the first map; by default until 4 to 7 pixels are left"
            ),
        ] = None,
        blocks: Annotated[int, Gt(0), Doc("residual blocks at each resolution")] = 1,
        activation: Annotated[Activation, Doc("function before each convolution")] = "silu",
        checkpointed: Annotated[
            bool, Doc("compute activations again on the way back, to save memory")
        ] = False,
    ) -> None:
        super().__init__(data_shape)
        inputs, height, across = image_shape(data_shape, "encoder pyramid")
        halve = len(default_channels(height, across)) if halve is None else halve
        self.sizes = halvings(height, across, max(halve, min(height, across).bit_length() - 1))[halve:]
        widths = [inputs, *(max(width >> i, 1) for i in reversed(range(max(halve, 1))))]
        start: list[nn.Module] = []
        for a, b in pairwise(widths):
            # A kernel of 4 with stride 2 covers every pixel equally often.
            layer = nn.Conv2d(a, b, 4, stride=2, padding=1) if halve else nn.Conv2d(a, b, 3, padding=1)
            start += [layer, activation_layer(activation)]
        self.start = nn.Sequential(*start[:-1])
        gain = 1 / math.sqrt(blocks * len(self.sizes))
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(
                    Bottleneck(
                        width, width, size, activation, gain=gain, added=True, checkpointed=checkpointed
                    )
                    for _ in range(blocks)
                )
            )
            for size in self.sizes
        )
        self.feature_shape: Maps = Maps.of((width, *size) for size in self.sizes)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.start(x.flatten(1, -3))
        found: list[Tensor] = []
        for stage, size in zip(self.stages, self.sizes, strict=True):
            maps = stage(adaptive_avg_pool2d(maps, size) if found else maps)
            found.append(maps)
        return self.feature_shape.join(found)

    def mirror(self) -> ComponentSpec:
        return ComponentSpec("conv", {})
