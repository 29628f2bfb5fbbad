"""Pictures inside a page: small PNGs that are enlarged where they are shown."""

import base64
from dataclasses import dataclass

import torch
from torch import Tensor

from genmod.data.dataset import DataInfo
from genmod.figures.picture import png_of
from genmod.figures.tiles import enlargement, side_by_side, tiles

__all__ = ["Shown", "most_pixels", "of_pixels", "pixels_of"]

_SIDE = 60
"""Approximate pixels on the screen of a small image."""

_BUDGET = 1_300_000
"""Bytes that all pictures of a page may have before they are compressed."""

_LEAST_SIDE = 16


@dataclass(frozen=True)
class Shown:
    """A picture and the size in which it is shown.

    Args:
        uri: the picture itself, ``data:image/png;base64,…``.
        width: pixels on the screen.
        height: pixels on the screen.
        alt: description of the picture.
        crisp: whether it is enlarged without smoothing.
    """

    uri: str
    width: int
    height: int
    alt: str
    crisp: bool = True


def most_pixels(data: DataInfo, count: int) -> int:
    """The longest side of the images of a page that shows ``count`` of them, so that the page stays small.

    Example:
        >>> most_pixels(DataInfo((1, 28, 28)), 300), most_pixels(DataInfo((3, 256, 256)), 300)
        (65, 38)
    """
    channels = 3 if len(data.shape) == 3 and data.shape[0] == 3 else 1
    return max(_LEAST_SIDE, int((_BUDGET / (channels * max(1, count))) ** 0.5))


def pixels_of(examples: Tensor, data: DataInfo, most: int) -> Tensor:
    """Examples in colours, ``(N, *data.shape) → (N, height, width, 3)`` ``uint8``, no side longer than ``most``.

    All of them at once, so that values without bounds have one scale of colours.
    """
    # Strips of tables and images of few pixels are drawn as they are shown; others have one pixel for each of their own.
    found = tiles(examples, data, None if len(data.shape) == 1 or enlargement(data) else 1)
    height, width = found.shape[1:3]
    if len(data.shape) == 1 or max(height, width) <= most:
        return found
    size = max(1, height * most // max(height, width)), max(1, width * most // max(height, width))
    smaller = torch.nn.functional.interpolate(
        found.permute(0, 3, 1, 2).float(), size, mode="bilinear", antialias=True
    )
    return smaller.round().clamp(0, 255).byte().permute(0, 2, 3, 1)


def of_pixels(pixels: Tensor, alt: str, *, columns: int | None = None, ends: bool = False) -> Shown:
    """Examples side by side, with transparent gaps.

    Args:
        pixels: ``(N, height, width, 3)`` ``uint8``.
        alt: description of the picture.
        columns: examples in a line; all by default.
        ends: whether the first and the last of a single line stand apart from the rest.
    """
    from PIL import Image

    count, height, width = pixels.shape[:3]
    columns = min(columns or count, count)
    factor = max(1, round(_SIDE / max(height, width)))
    gap = max(1, round(4 / factor))
    opaque = torch.cat([pixels, pixels.new_full((*pixels.shape[:3], 1), 255)], -1)
    canvas = side_by_side(opaque, columns, gap, 0)
    if ends:
        first, last = width + gap, canvas.shape[1] - width
        apart = canvas.new_zeros(len(canvas), 3 * gap, 4)
        canvas = torch.cat([canvas[:, :first], apart, canvas[:, first:last], apart, canvas[:, last:]], 1)
    grey = torch.equal(canvas[..., 0], canvas[..., 1]) and torch.equal(canvas[..., 0], canvas[..., 2])
    image = Image.fromarray((canvas[..., [0, 3]] if grey else canvas).numpy(), "LA" if grey else "RGBA")
    return Shown(_uri(png_of(image)), image.width * factor, image.height * factor, alt, crisp=factor > 1)


def _uri(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()
