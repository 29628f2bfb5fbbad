"""From values to colours: one tile of pixels for each example."""

import math

import torch
from torch import Tensor

from genmod.data.dataset import DataInfo

__all__ = ["enlargement", "side_by_side", "tiles"]

STRIP_WIDTH = 24
_NOT_A_NUMBER = (255, 0, 200)
_DIVERGING = ((33, 102, 172), (146, 197, 222), (238, 238, 238), (244, 165, 130), (178, 24, 43))
_BETWEEN_CHANNELS = 250
_SMALL = 16
"""Longest side of images that are enlarged by interpolation: of so few pixels, the edges are seen and not the picture."""


def enlargement(data: DataInfo, scale: int | None = None) -> str:
    """How images are enlarged at this scale, for a caption, where it is by interpolation; else nothing.

    Example:
        >>> enlargement(DataInfo((1, 8, 8))), enlargement(DataInfo((1, 28, 28)))
        ('8x8 pixels, enlarged by interpolation', '')
    """
    small = scale is None and len(data.shape) > 1 and 1 < max(data.shape[-2:]) <= _SMALL
    return f"{data.shape[-2]}x{data.shape[-1]} pixels, enlarged by interpolation" if small else ""


def tiles(examples: Tensor, data: DataInfo, scale: int | None = None, side: int = 64) -> Tensor:
    """Every example as pixels, ``(N, *data.shape) → (N, height, width, 3)`` ``uint8``.

    Images: one channel is grey, three are red, green and blue; of any other number, each channel is a grey
    image of its own, side by side in as many rows as make a square. Dimensions before the last two count as
    channels, and two dimensions alone are one channel. Tables: each example is a strip of cells from the
    first column at the top to the last at the bottom, from blue (low) over white to red (high).

    Values outside ``[low, high]`` are clipped. Where the data have no bound, the range of what is shown takes
    its place: of all values of images, of each column of a table on its own. NaN is drawn in magenta.

    Where no scale is given, images of at most 16 pixels are enlarged by bicubic interpolation, which captions say, see
    :func:`enlargement`. Else nothing is smoothed.

    Args:
        examples: float values, or stored integers.
        data: shape and range of the data.
        scale: pixels on the screen for each pixel, or the height of a table's cell; by default what makes an image as
            large as ``side``, and a strip 160 pixels high.
        side: about the longest side of an image, in pixels on the screen.
    """
    values = data.values(examples.detach()).float().cpu()
    if len(data.shape) == 1:
        return _strips(values, data, scale)
    values = values.flatten(1, -3) if values.dim() > 3 else values[:, None]
    grey = (_unit(values, data, tuple(range(values.dim()))) * 255).round()
    channels, height, width = grey.shape[1:]
    factor = scale or max(1, round(side / max(height, width)))
    pixels = _enlarged(grey, factor, smooth=bool(enlargement(data, scale)))
    bad = values.isnan().repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    if channels == 3:
        return _mark(pixels.permute(0, 2, 3, 1), bad.any(1))
    return _mark(_montage(pixels, _BETWEEN_CHANNELS)[..., None].expand(-1, -1, -1, 3), _montage(bad, False))


def _enlarged(grey: Tensor, factor: int, *, smooth: bool) -> Tensor:
    """Each pixel ``factor`` times as wide and high: ``(N, C, H, W) → (N, C, factor * H, factor * W)``."""
    if not smooth or factor == 1:
        return grey.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    size = [factor * side for side in grey.shape[2:]]
    return torch.nn.functional.interpolate(grey, size, mode="bicubic").round().clamp(0, 255)


def _unit(values: Tensor, data: DataInfo, over: tuple[int, ...]) -> Tensor:
    """Values to ``[0, 1]``; missing bounds are those of the finite values over the dimensions ``over``."""
    finite = values.isfinite()
    low = torch.where(finite, values, math.inf).amin(over, keepdim=True)
    high = torch.where(finite, values, -math.inf).amax(over, keepdim=True)
    low = low if math.isinf(data.low) else torch.full_like(low, data.low)
    high = high if math.isinf(data.high) else torch.full_like(high, data.high)
    # Rounding errors of a constant must not be stretched to full colours.
    varies = high - low > 1e-5 * torch.maximum(low.abs(), high.abs())
    unit = torch.where(varies, (values - low) / torch.where(varies, high - low, 1.0), 0.5)
    return unit.nan_to_num(0.5).clamp(0, 1)


def _strips(values: Tensor, data: DataInfo, scale: int | None) -> Tensor:
    colours = torch.tensor(_DIVERGING, dtype=torch.float32)
    position = _unit(values, data, (0,)) * (len(colours) - 1)
    below = position.long().clamp(max=len(colours) - 2)
    cells = torch.lerp(colours[below], colours[below + 1], (position - below)[..., None]).round()
    height = scale or min(max(1, round(160 / data.size)), 16)
    return _mark(
        cells[:, :, None].expand(-1, -1, STRIP_WIDTH, -1).repeat_interleave(height, 1),
        values.isnan()[:, :, None].expand(-1, -1, STRIP_WIDTH).repeat_interleave(height, 1),
    )


def side_by_side(tiles: Tensor, columns: int, gap: int, fill: float) -> Tensor:
    """Tiles as one picture, line by line: ``(N, H, W, C) → (rows * (H + gap) - gap, columns * (W + gap) - gap, C)``.

    Args:
        tiles: of one size.
        columns: tiles in a line.
        gap: pixels between two tiles.
        fill: value between the tiles, and where the last line is not full.
    """
    count, height, width, channels = tiles.shape
    rows, high, wide = -(-count // columns), height + gap, width + gap
    cells = tiles.new_full((rows * columns, high, wide, channels), fill)
    cells[:count, :height, :width] = tiles
    whole = cells.unflatten(0, (rows, columns)).transpose(1, 2).reshape(rows * high, columns * wide, channels)
    return whole[: rows * high - gap, : columns * wide - gap]


def _montage(channels: Tensor, between: float) -> Tensor:
    """Channels in about a square with lines between them, ``(N, C, H, W) → (N, height, width)``."""
    columns = math.ceil(math.sqrt(channels.shape[1]))
    return side_by_side(channels.permute(1, 2, 3, 0), columns, 1, between).permute(2, 0, 1)


def _mark(pixels: Tensor, bad: Tensor) -> Tensor:
    colour = pixels.new_tensor(_NOT_A_NUMBER)
    return torch.where(bad[..., None], colour, pixels).to(torch.uint8)
