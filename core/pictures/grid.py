"""Examples side by side in one labelled picture."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from genmod.dataset import DataInfo
from genmod.errors import UsageError
from genmod.pictures.tiles import tiles

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

__all__ = ["GAP", "MARGIN", "grid"]

MARGIN = 10
GAP = 2
_BETWEEN_BLOCKS = 12
_PADDING = 6
_WIDEST = 1400
_PAPER = (250, 250, 248)
_INK = (70, 70, 74)
_TITLE_INK = (25, 25, 28)


def grid(
    images: Tensor,
    *,
    data: DataInfo,
    columns: int | None = None,
    scale: int | None = None,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    title: str = "",
) -> "Image":
    """One picture of many examples, small ones enlarged without smoothing.

    The example in row ``r`` and column ``c`` begins ``MARGIN + r * (height + GAP)`` pixels from the top and
    ``MARGIN + c * (width + GAP)`` from the left, with ``height × width`` the size of one tile; labels and
    title shift all of them. How values become colours is said in :mod:`genmod.pictures.tiles`.

    Args:
        images: ``(N, *data.shape)``, laid out line by line, or ``(rows, columns, *data.shape)``.
        data: shape and range of the data.
        columns: examples in a line; rows that are longer are broken and go on below as a further block. By
            default about as many as there are lines, or as fit in 1,400 pixels where rows are given.
        scale: pixels on the screen for each pixel, or the height of a table's cell.
        row_labels: to the left of each row.
        column_labels: above each column; where they are too wide, only some of them.
        title: at the top.

    Returns:
        A PIL image in RGB; ``.save("grid.png")`` writes it.

    Raises:
        UsageError: images of another shape, or none at all.

    Example:
        >>> picture = grid(torch.rand(10, 1, 8, 8), data=DataInfo((1, 8, 8)), columns=5)
        >>> picture.size  # five and two tiles of 64 pixels
        (348, 150)
    """
    from PIL import Image, ImageDraw

    rows, across = _layout(images, data)
    pixels = tiles(images.reshape(rows * across, *data.shape), data, scale)
    height, width = pixels.shape[1:3]
    pixels = pixels.unflatten(0, (rows, across))
    pitch = width + GAP
    if columns is None:
        fitting = max(1, (_WIDEST - 2 * MARGIN) // pitch)
        square = (
            math.ceil(math.sqrt(across))
            if rows == 1 and len(data.shape) > 1 and not column_labels
            else across
        )
        # Lines of equal length rather than full ones and a rest.
        columns = math.ceil(across / math.ceil(across / min(fitting, square)))
    columns = min(columns, across)

    title_font, font = _font(17), _font(13)
    left = MARGIN + max((math.ceil(font.getlength(text)) + _PADDING for text in row_labels), default=0)
    title_height = _line_height(title_font) + _PADDING if title else 0
    header = _line_height(font) + 2 if column_labels else 0
    between = _BETWEEN_BLOCKS if rows > 1 or column_labels else GAP
    block_height = header + rows * (height + GAP) - GAP
    blocks = math.ceil(across / columns)
    canvas_width = max(left + columns * pitch - GAP, MARGIN + math.ceil(title_font.getlength(title))) + MARGIN
    canvas_height = 2 * MARGIN + title_height + blocks * (block_height + between) - between

    canvas = torch.tensor(_PAPER, dtype=torch.uint8).repeat(canvas_height, canvas_width, 1)
    tops = [MARGIN + title_height + block * (block_height + between) for block in range(blocks)]
    for block, top in enumerate(tops):
        for row in range(rows):
            y = top + header + row * (height + GAP)
            for column, tile in enumerate(pixels[row, block * columns : (block + 1) * columns]):
                canvas[y : y + height, left + column * pitch : left + column * pitch + width] = tile
    image = Image.fromarray(canvas.numpy())

    draw = ImageDraw.Draw(image)
    draw.text((MARGIN, MARGIN), title, fill=_TITLE_INK, font=title_font)
    every = math.ceil(max((font.getlength(text) + _PADDING for text in column_labels), default=1) / pitch)
    for block, top in enumerate(tops):
        for row, text in enumerate(row_labels):
            middle = top + header + row * (height + GAP) + height / 2
            draw.text((left - _PADDING, middle), text, fill=_INK, font=font, anchor="rm")
        for column, text in enumerate(column_labels[block * columns : (block + 1) * columns]):
            if column % every == 0:
                centre = left + column * pitch + width / 2
                draw.text((centre, top + header - 3), text, fill=_INK, font=font, anchor="md")
    return image


def _layout(images: Tensor, data: DataInfo) -> tuple[int, int]:
    shape = tuple(images.shape)
    leading = len(shape) - len(data.shape)
    if leading not in (1, 2) or shape[leading:] != data.shape or 0 in shape:
        wanted = ", ".join(map(str, data.shape))
        raise UsageError(
            f"a picture is made of examples of shape {data.shape}; the tensor given has shape {shape}",
            hint=f"give (N, {wanted}) or (rows, columns, {wanted}), at least one example",
        )
    return (1, shape[0]) if leading == 1 else (shape[0], shape[1])


def _font(size: int) -> "FreeTypeFont":
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # what a given size always gives
    return font


def _line_height(font: "FreeTypeFont") -> int:
    ascent, descent = font.getmetrics()
    return ascent + descent
