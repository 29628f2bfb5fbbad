"""What convolutional encoders and networks agree on: stages, sizes and norms."""

from typing import Literal

from torch import nn

from genmod.defaults import VECTORS
from genmod.errors import UsageError
from genmod.nn.pooled import GroupNorm

__all__ = ["Norm", "default_channels", "halvings", "image_shape", "norm_layer"]

Norm = Literal["none", "batch", "group"]


def image_shape(shape: tuple[int, ...], who: str, least: int = 8) -> tuple[int, int, int]:
    """Channels, height and width; all dimensions before the last two count as channels.

    Raises:
        UsageError: not an image, or a side is smaller than ``least``.

    Example:
        >>> image_shape((2, 3, 8, 9), "conv")
        (6, 8, 9)
    """
    if len(shape) < 3 or min(shape[-2:]) < least:
        raise UsageError(
            f"{who} works on images (channels, height, width) of at least {least}×{least}; these data have shape {shape}",
            hint=f"use fully connected layers: {VECTORS}",
        )
    channels = 1
    for n in shape[:-2]:
        channels *= n
    return channels, shape[-2], shape[-1]


def default_channels(height: int, width: int) -> tuple[int, ...]:
    """32, 64, 128, … channels for as many stages as halve the shorter side to between 4 and 7.

    Example:
        >>> default_channels(28, 28), default_channels(64, 64)
        ((32, 64), (32, 64, 128, 256))
    """
    side = min(height, width)
    channels: list[int] = []
    while side >= 8:
        channels.append(min(32 * 2 ** len(channels), 256))
        side //= 2
    return tuple(channels)


def halvings(height: int, width: int, stages: int) -> list[tuple[int, int]]:
    """Height and width before the first stage and after each, rounding down.

    Raises:
        UsageError: the image is too small for so many stages.

    Example:
        >>> halvings(28, 9, 3)
        [(28, 9), (14, 4), (7, 2), (3, 1)]
    """
    most = min(height, width).bit_length() - 1
    if stages > most:
        raise UsageError(
            f"{stages} stages halve {height}×{width} below one pixel; at most {most} fit",
            hint=f"give at most {most} channels, for example -s encoder.channels={','.join(['32', '64', '128', '256'][:most])}",
        )
    return [(height >> i, width >> i) for i in range(stages + 1)]


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """A normalisation of feature maps ``(B, channels, height, width)``, same shape out.

    Example:
        >>> norm_layer("group", 32).num_groups, norm_layer("group", 3).num_groups
        (8, 1)
    """
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "group":
        groups = next(n for n in (8, 4, 2, 1) if channels % n == 0)
        return GroupNorm(groups, channels)
    return nn.Identity()
