"""Layers and options that encoder and network ``autoencoder-2d`` share."""

import math
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import Annotated, final

import torch
from annotated_types import Ge, Gt, MinLen
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, pixel_shuffle, pixel_unshuffle, scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from genmod import Doc, UsageError
from genmod.nn import GroupNorm, Own, PooledLayer

__all__ = [
    "Attend",
    "Attention",
    "Channels",
    "Checkpointed",
    "Down",
    "Groups",
    "Layers",
    "Residual",
    "Shortcuts",
    "Up",
    "averaged",
    "check_shortcuts",
    "group_norm",
    "middle",
    "number_of_groups",
    "repeated",
    "through",
]

Channels = Annotated[
    Sequence[Annotated[int, Gt(0)]],
    MinLen(1),
    Doc("channels of each stage, finest first; between two the sides are halved"),
]
Layers = Annotated[int, Ge(1), Doc("residual blocks in each stage of the encoder; the network has one more")]
Groups = Annotated[
    Annotated[int, Gt(0)] | None,
    Doc(
        "groups of channels that each norm has, or fewer where they do not divide those of all stages; "
        "by default 32, of at least 4 channels"
    ),
]
Attend = Annotated[bool, Doc("attention between all places at the coarsest stage")]
Shortcuts = Annotated[bool, Doc("add what halves and doubles without weights, for high compression")]
Checkpointed = Annotated[bool, Doc("compute activations again on the way back, to save memory")]

_EPSILON = 1e-6
_CHANNELS_OF_A_GROUP = 4
_MOST_PLACES = 2**14
"""That places of a tile look at: their time grows with the product of both."""


def number_of_groups(channels: Sequence[int], most: int | None) -> int:
    """The largest number of groups that divides the channels of every stage, and is not above ``most``.

    Example:
        >>> [number_of_groups(*given) for given in (((128, 256), None), ((32, 64), None), ((6, 9), None), ((48, 96), 32))]
        [32, 8, 1, 24]
    """
    most = most or min(32, min(channels) // _CHANNELS_OF_A_GROUP)
    return max(n for n in range(1, max(most, 1) + 1) if math.gcd(*channels) % n == 0)


def group_norm(channels: int, groups: int) -> GroupNorm:
    """Normalisation over groups of channels, ``(B, channels, H, W) → the same``."""
    return GroupNorm(groups, channels, eps=_EPSILON)


def averaged(maps: Tensor, channels: int) -> Tensor:
    """Means of channels side by side, ``(B, n · channels, H, W) → (B, channels, H, W)``.

    Example:
        >>> averaged(torch.arange(6.0).reshape(1, 6, 1, 1), 3).flatten().tolist()
        [0.5, 2.5, 4.5]
    """
    return maps.unflatten(1, (channels, -1)).mean(2)


def repeated(maps: Tensor, channels: int) -> Tensor:
    """Each channel several times, ``(B, C, H, W) → (B, channels, H, W)``.

    Example:
        >>> repeated(torch.arange(3.0).reshape(1, 3, 1, 1), 6).flatten().tolist()
        [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]
    """
    return maps.repeat_interleave(channels // maps.shape[1], 1)


def check_shortcuts(channels: Sequence[int]) -> None:
    """Refuse stages that shortcuts cannot connect.

    Raises:
        UsageError: four times the channels of a stage are no multiple of those of the next.
    """
    for fine, coarse in pairwise(channels):
        if 4 * fine % coarse:
            raise UsageError(
                f"shortcuts make 4 × {fine} channels of {fine}, which are no multiple of the {coarse} of the next stage",
                hint="let the channels stay or double: -s encoder.channels=64,128,256; or leave out the shortcuts",
            )


@final
class Residual(nn.Module):
    """Norm, function and convolution, twice, added to the input.

    ``maps (B, inputs, H, W) → (B, outputs, H, W)``

    Reference:
        Taming Transformers for High-Resolution Image Synthesis (Esser et al., 2020), arXiv:2012.09841

    Example:
        >>> Residual(8, 16, 2)(torch.zeros(2, 8, 5, 6)).shape
        torch.Size([2, 16, 5, 6])
    """

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.norm1 = group_norm(inputs, groups)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = group_norm(outputs, groups)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, maps: Tensor) -> Tensor:
        added = self.conv1(nn.functional.silu(self.norm1(maps)))
        added = self.conv2(nn.functional.silu(self.norm2(added)))
        direct: Tensor = self.shortcut(maps)
        return direct + added


@final
class Attention(PooledLayer):
    """Attention of one head between all places of a map, added to the input.

    ``maps (B, channels, H, W) → the same``; places of a tile look at those of the whole picture, or at 16,384 of them that are
    spread evenly.

    Example:
        >>> Attention(8, 2)(torch.zeros(2, 8, 3, 4)).shape
        torch.Size([2, 8, 3, 4])
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = group_norm(channels, groups)
        self.query = nn.Linear(channels, channels)
        # Without an offset: of keys it would shift all scores of a query alike, which changes no attention.
        self.key = nn.Linear(channels, channels, bias=False)
        self.value = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, maps: Tensor) -> Tensor:
        places = self.norm(maps).flatten(2).mT
        query, key, value = (layer(places).unsqueeze(1) for layer in (self.query, self.key, self.value))
        if self.pool is not None:
            key, value = self.pool.of_all(
                self,
                (maps.shape[2], maps.shape[3]),
                lambda own: tuple(_spread(each, own, maps.shape[2:]) for each in (key, value)),
            )
            key, value = (each.expand(len(query), -1, -1, -1) for each in (key, value))
        mixed = self.out(scaled_dot_product_attention(query, key, value).squeeze(1))
        return maps + mixed.mT.unflatten(2, maps.shape[2:])


def _spread(values: Tensor, own: Own, size: Sequence[int]) -> Tensor:
    """Places that count, as many as attention can bear, ``(tiles, 1, H · W, channels) → (1, 1, n, channels)``."""
    tiles = zip(values.unflatten(2, tuple(size)), own, strict=True)
    found = torch.cat([each[:, rows, columns].flatten(1, 2) for each, (rows, columns) in tiles], 1)
    return found[None, :, :: -(-found.shape[1] // _MOST_PLACES)]


@final
class Down(nn.Module):
    """A convolution that halves a map, and the pixels of each square as channels, averaged, where that shortcut is wanted.

    ``maps (B, inputs, H, W) → (B, outputs, H/2, W/2)``

    Reference:
        Deep Compression Autoencoder for Efficient High-Resolution Diffusion Models (Chen et al., 2024), arXiv:2410.10733

    Example:
        >>> Down(8, 16, shortcut=True)(torch.zeros(2, 8, 6, 4)).shape
        torch.Size([2, 16, 3, 2])
    """

    def __init__(self, inputs: int, outputs: int, *, shortcut: bool) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=2)

    def forward(self, maps: Tensor) -> Tensor:
        # Zeros at the right and lower edge alone, as published weights have it.
        made: Tensor = self.conv(pad(maps, (0, 1, 0, 1)))
        return made + averaged(pixel_unshuffle(maps, 2), made.shape[1]) if self.shortcut else made


@final
class Up(nn.Module):
    """Each pixel four times and a convolution, and channels as the pixels of a square where that shortcut is wanted.

    ``maps (B, inputs, H, W) → (B, outputs, 2 H, 2 W)``

    Reference:
        Deep Compression Autoencoder for Efficient High-Resolution Diffusion Models (Chen et al., 2024), arXiv:2410.10733

    Example:
        >>> Up(16, 8, shortcut=True)(torch.zeros(2, 16, 3, 2)).shape
        torch.Size([2, 8, 6, 4])
    """

    def __init__(self, inputs: int, outputs: int, *, shortcut: bool) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        made: Tensor = self.conv(interpolate(maps, scale_factor=2.0))
        return made + pixel_shuffle(repeated(maps, 4 * made.shape[1]), 2) if self.shortcut else made


def middle(channels: int, groups: int, *, attention: bool) -> nn.Sequential:
    """The layers between encoder and network: two residual blocks, and attention between them where it is wanted.

    Example:
        >>> len(middle(8, 2, attention=True)), len(middle(8, 2, attention=False))
        (3, 2)
    """
    between = [Attention(channels, groups)] if attention else []
    return nn.Sequential(Residual(channels, channels, groups), *between, Residual(channels, channels, groups))


def through(parts: Iterable[nn.Module], maps: Tensor, *, checkpointed: bool) -> Tensor:
    """What layers in a row make of maps, each computed again on the way back where it is wanted."""
    # Without values nothing is kept, and torch cannot import what computes it again.
    again = checkpointed and torch.is_grad_enabled() and not maps.is_meta
    for part in parts:
        for layer in part if isinstance(part, nn.Sequential) else (part,):
            run = (
                partial(checkpoint, layer, use_reentrant=False, preserve_rng_state=False) if again else layer
            )
            maps = run(maps)
    return maps
