"""From values to colours: one tile of pixels for each example."""

import math

import torch
from torch import Tensor

from genmod.data.dataset import DataInfo

__all__ = ["tiles"]

STRIP_WIDTH = 24
_NOT_A_NUMBER = (255, 0, 200)
_DIVERGING = ((33, 102, 172), (146, 197, 222), (238, 238, 238), (244, 165, 130), (178, 24, 43))
_BETWEEN_CHANNELS = 250


def tiles(examples: Tensor, data: DataInfo, scale: int | None = None) -> Tensor:
    """Every example as pixels, ``(N, *data.shape) → (N, height, width, 3)`` ``uint8``.

    Images: one channel is grey, three are red, green and blue; of any other number, each channel is a grey
    image of its own, side by side in as many rows as make a square. Dimensions before the last two count as
    channels, and two dimensions alone are one channel. Tables: each example is a strip of cells from the
    first column at the top to the last at the bottom, from blue (low) over white to red (high).

    Values outside ``[low, high]`` are clipped. Where the data have no bound, the range of what is shown takes
    its place: of all values of images, of each column of a table on its own. NaN is drawn in magenta.

    Args:
        examples: float values, or stored integers.
        data: shape and range of the data.
        scale: pixels on the screen for each pixel, or the height of a table's cell; by default about 64
            pixels for an image, 160 for a strip.
    """
    values = data.values(examples.detach()).float().cpu()
    if len(data.shape) == 1:
        return _strips(values, data, scale)
    values = values.flatten(1, -3) if values.dim() > 3 else values[:, None]
    grey = (_unit(values, data, tuple(range(values.dim()))) * 255).round()
    channels, height, width = grey.shape[1:]
    factor = scale or max(1, round(64 / max(height, width)))
    pixels = grey.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    bad = values.isnan().repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    if channels == 3:
        return _mark(pixels.permute(0, 2, 3, 1), bad.any(1))
    return _mark(_montage(pixels, _BETWEEN_CHANNELS)[..., None].expand(-1, -1, -1, 3), _montage(bad, False))


def _unit(values: Tensor, data: DataInfo, over: tuple[int, ...]) -> Tensor:
    """Values to ``[0, 1]``; missing bounds are those of the finite values over the dimensions ``over``."""
    finite = values.isfinite()
    low = torch.where(finite, values, math.inf).amin(over, keepdim=True)
    high = torch.where(finite, values, -math.inf).amax(over, keepdim=True)
    low = low if math.isinf(data.low) else torch.full_like(low, data.low)
    high = high if math.isinf(data.high) else torch.full_like(high, data.high)
    # Rounding noise of a value that does not vary must not be blown up to full colours.
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


def _montage(channels: Tensor, between: float) -> Tensor:
    """``(N, C, H, W) → (N, rows * (H + 1) - 1, columns * (W + 1) - 1)`` with lines between them."""
    n, c, h, w = channels.shape
    if c == 1:
        return channels[:, 0]
    columns = math.ceil(math.sqrt(c))
    rows = math.ceil(c / columns)
    cells = channels.new_full((n, rows * columns, h + 1, w + 1), between)
    cells[:, :c, :h, :w] = channels
    cells = cells.reshape(n, rows, columns, h + 1, w + 1).transpose(2, 3)
    whole = cells.reshape(n, rows * (h + 1), columns * (w + 1))
    return whole[:, :-1, :-1]


def _mark(pixels: Tensor, bad: Tensor) -> Tensor:
    colour = pixels.new_tensor(_NOT_A_NUMBER)
    return torch.where(bad[..., None], colour, pixels).to(torch.uint8)
