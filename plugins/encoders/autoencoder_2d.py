"""Convolutional encoder of the autoencoders under latent diffusion."""

import math
from typing import Annotated, Any, final

from annotated_types import Gt
from torch import Tensor, nn
from torch.nn.functional import pad, silu

from genmod import ComponentSpec, Doc, Encoder
from genmod.nn import image_shape
from genmod.plugins.networks._autoencoder_2d import (
    Attend,
    Channels,
    Checkpointed,
    Down,
    Groups,
    Layers,
    Residual,
    Shortcuts,
    averaged,
    check_shortcuts,
    group_norm,
    middle,
    number_of_groups,
    through,
)

__all__ = ["Autoencoder2dEncoder"]


@final
class Autoencoder2dEncoder(Encoder):
    """Stages of residual blocks that each halve the picture, with the layout of ``AutoencoderKL``, for latents with places.

    ``x (B, channels, height, width) → features (B, features, height', width')``, ``height' = ⌈height / 2^(stages-1)⌉``

    Values from ``low`` to ``high`` of the data are mapped to -1 … 1 first, unless they have no bounds. Pictures of a size that
    is no multiple of ``2^(stages-1)`` are continued at the right and lower edge by their last pixels. No weight depends on the
    size: :func:`genmod.resized` has those of a model that was trained on crops for pictures of any size.

    With ``shortcuts`` the layers that halve change the channels too, and what they make is added to the pixels of each square
    as channels, averaged in groups; the channels of the last stage are averaged in groups likewise, where the features are
    as many groups. Then many stages train, such as five for sides of a 32nd: ``channels=64,128,256,512,512,512``.

    Reference:
        High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2021), arXiv:2112.10752; shortcuts: Deep
        Compression Autoencoder for Efficient High-Resolution Diffusion Models (Chen et al., 2024), arXiv:2410.10733

    Raises:
        UsageError: the data are no images of at least 8×8, or shortcuts do not fit the channels.

    Example:
        >>> import torch
        >>> Autoencoder2dEncoder((3, 32, 25), channels=[8, 16, 16])(torch.zeros(2, 3, 32, 25)).shape
        torch.Size([2, 16, 8, 7])
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        *,
        channels: Channels = (32, 64, 128),
        layers: Layers = 1,
        features: Annotated[
            Annotated[int, Gt(0)] | None,
            Doc(
                "channels of the features, for example twice the latents; by default those of the last stage"
            ),
        ] = None,
        groups: Groups = None,
        attention: Attend = True,
        shortcuts: Shortcuts = False,
        checkpointed: Checkpointed = False,
    ) -> None:
        super().__init__(data_shape)
        inputs, height, width = image_shape(data_shape, "encoder autoencoder-2d")
        self.options: dict[str, Any] = {
            "channels": list(channels),
            "layers": layers,
            "groups": groups,
            "attention": attention,
            "shortcuts": shortcuts,
            "checkpointed": checkpointed,
        }
        self.stride, self.low, self.high = 2 ** (len(channels) - 1), 0.0, 1.0
        groups = number_of_groups(channels, groups)
        last, made = channels[-1], features or channels[-1]
        self.conv_in = nn.Conv2d(inputs, channels[0], 3, padding=1)
        self.stages = nn.ModuleList()
        if shortcuts:
            check_shortcuts(channels)
        previous = channels[0]
        for i, now in enumerate(channels):
            blocks: list[nn.Module] = [Residual(previous, now, groups)]
            blocks += [Residual(now, now, groups) for _ in range(layers - 1)]
            previous = now
            if i < len(channels) - 1:
                previous = channels[i + 1] if shortcuts else now
                blocks.append(Down(now, previous, shortcut=shortcuts))
            self.stages.append(nn.Sequential(*blocks))
        self.middle = middle(last, groups, attention=attention)
        self.norm_out = group_norm(last, groups)
        self.conv_out = nn.Conv2d(last, made, 3, padding=1)
        self.shortcut_out = shortcuts and last % made == 0
        self.feature_shape = (made, math.ceil(height / self.stride), math.ceil(width / self.stride))

    def bind(self, model: Any) -> None:
        if math.isfinite(model.data.high - model.data.low):
            self.low, self.high = model.data.low, model.data.high
        else:
            self.low, self.high = -1.0, 1.0

    def forward(self, x: Tensor) -> Tensor:
        maps = (x.flatten(1, -3) - self.low) * (2 / (self.high - self.low)) - 1
        beyond = [-side % self.stride for side in maps.shape[2:]]
        if any(beyond):
            maps = pad(maps, (0, beyond[1], 0, beyond[0]), mode="replicate")
        maps = through(
            [*self.stages, self.middle], self.conv_in(maps), checkpointed=self.options["checkpointed"]
        )
        features: Tensor = self.conv_out(silu(self.norm_out(maps)))
        return features + averaged(maps, features.shape[1]) if self.shortcut_out else features

    def mirror(self) -> ComponentSpec:
        return ComponentSpec("autoencoder-2d", dict(self.options))
