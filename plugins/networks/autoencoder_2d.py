"""Convolutional network of the autoencoders under latent diffusion."""

import math
from typing import Annotated, final

from annotated_types import Gt
from torch import Tensor, nn
from torch.nn.functional import silu

from genmod import Doc, Network
from genmod.nn import image_shape
from genmod.plugins.networks._autoencoder_2d import (
    Attend,
    Channels,
    Checkpointed,
    Groups,
    Layers,
    Residual,
    Shortcuts,
    Up,
    check_shortcuts,
    group_norm,
    middle,
    number_of_groups,
    repeated,
    through,
)

__all__ = ["Autoencoder2dNetwork"]


@final
class Autoencoder2dNetwork(Network):
    """Stages of residual blocks that each double a map, with the layout of ``AutoencoderKL``: the mirror of that encoder.

    ``z (B, D, height', width') → parameters (B, *out_shape)``, ``height' = ⌈height / 2^(stages-1)⌉``; what lies beyond the
    right and lower edge is cut off. A convolution of one pixel comes first, the ``post_quant_conv`` of ``AutoencoderKL``.
    Latents that are no map of that size become one by a linear layer instead.

    With ``shortcuts`` the layers that double change the channels too, and what they make is added to channels as the pixels of
    a square, each repeated; the first channels are repeated likewise, where those of the last stage are a multiple of them.

    Reference:
        High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2021), arXiv:2112.10752; shortcuts: Deep
        Compression Autoencoder for Efficient High-Resolution Diffusion Models (Chen et al., 2024), arXiv:2410.10733

    Raises:
        UsageError: the parameters are no image of at least 8×8, or shortcuts do not fit the channels.

    Example:
        >>> import torch
        >>> Autoencoder2dNetwork((4, 8, 7), (3, 32, 25), channels=[8, 16, 16])(torch.zeros(2, 4, 8, 7)).shape
        torch.Size([2, 3, 32, 25])
    """

    def __init__(
        self,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        *,
        channels: Channels = (32, 64, 128),
        layers: Layers = 1,
        features: Annotated[
            Annotated[int, Gt(0)] | None,
            Doc("channels that the latents are mapped to first; by default as many as they have"),
        ] = None,
        groups: Groups = None,
        attention: Attend = True,
        shortcuts: Shortcuts = False,
        checkpointed: Checkpointed = False,
    ) -> None:
        super().__init__(in_shape, out_shape)
        outputs, self.height, self.width = image_shape(out_shape, "network autoencoder-2d")
        groups = number_of_groups(channels, groups)
        stride, last = 2 ** (len(channels) - 1), channels[-1]
        places = (math.ceil(self.height / stride), math.ceil(self.width / stride))
        on_map = len(in_shape) == 3 and tuple(in_shape[1:]) == places
        latent = features or (in_shape[0] if on_map else last)
        self.start: nn.Module
        if on_map:
            self.start = nn.Conv2d(in_shape[0], latent, 1)
        else:
            self.start = nn.Sequential(
                nn.Flatten(),
                nn.Linear(math.prod(in_shape), latent * math.prod(places)),
                nn.Unflatten(1, (latent, *places)),
            )
        self.checkpointed = checkpointed
        self.shortcut_in = shortcuts and last % latent == 0
        if shortcuts:
            check_shortcuts(channels)
        self.conv_in = nn.Conv2d(latent, last, 3, padding=1)
        self.middle = middle(last, groups, attention=attention)
        self.stages = nn.ModuleList()
        previous = last
        for i, now in reversed(list(enumerate(channels))):
            blocks: list[nn.Module] = [Residual(previous, now, groups)]
            blocks += [Residual(now, now, groups) for _ in range(layers)]
            previous = now
            if i:
                previous = channels[i - 1] if shortcuts else now
                blocks.append(Up(now, previous, shortcut=shortcuts))
            self.stages.append(nn.Sequential(*blocks))
        self.norm_out = group_norm(previous, groups)
        self.conv_out = nn.Conv2d(previous, outputs, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        start = self.start(z)
        maps = self.conv_in(start)
        if self.shortcut_in:
            maps = maps + repeated(start, maps.shape[1])
        maps = through([self.middle, *self.stages], maps, checkpointed=self.checkpointed)
        parameters: Tensor = self.conv_out(silu(self.norm_out(maps)))
        return parameters[..., : self.height, : self.width].reshape(-1, *self.out_shape)
