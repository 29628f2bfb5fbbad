"""Examples side by side in one labelled picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from genmod.data.dataset import DataInfo
from genmod.errors import UsageError
from genmod.figures.names import printable
from genmod.figures.tiles import enlargement, tiles

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

__all__ = ["GAP", "MARGIN", "PAPER", "STRIP_GAP", "default_font", "grid"]

MARGIN = 12
GAP = 6
STRIP_GAP = 2
PAPER = (250, 250, 248)

_BETWEEN_BLOCKS = 20
_PADDING = 8
_WIDEST = 1400
_INK = (70, 70, 74)
_TITLE_INK = (25, 25, 28)


@dataclass(frozen=True)
class _Plan:
    """The layout, in pixels.

    Args:
        rows: rows in a block.
        columns: columns in a block.
        tile: height and width of a tile.
        pitch: distance of a tile to the one below it and to the one at its right.
        left: of the first column.
        tops: of the first row of each block.
        size: width and height of the whole.
    """

    rows: int
    columns: int
    tile: tuple[int, int]
    pitch: tuple[int, int]
    left: int
    tops: tuple[int, ...]
    size: tuple[int, int]

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """Left and top of a tile; columns are counted on through the blocks."""
        block, place = divmod(column, self.columns)
        return self.left + place * self.pitch[1], self.tops[block] + row * self.pitch[0]


def grid(
    images: Tensor,
    *,
    data: DataInfo,
    columns: int | None = None,
    scale: int | None = None,
    side: int = 64,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    title: str = "",
    blank: Tensor | None = None,
) -> "Image":
    """One picture of many examples, small ones enlarged; where that is by interpolation, a line at the bottom says so.

    The example in row ``r`` and column ``c`` begins ``MARGIN + r * (height + GAP)`` pixels from the top and
    ``MARGIN + c * (width + GAP)`` from the left, with ``height × width`` the size of one tile; the strips of
    tables are ``STRIP_GAP`` apart within a row; labels and title shift everything. For colours of values see
    :mod:`genmod.figures.tiles`.

    Args:
        images: ``(N, *data.shape)``, laid out line by line, or ``(rows, columns, *data.shape)``.
        data: shape and range of the data.
        columns: examples in a line; longer rows are broken and continued below in a further block. By
            default about as many as there are lines, or, of tables and where rows are given, as many as fit
            into 1,400 pixels.
        scale: pixels on the screen for each pixel, without interpolation, or the height of a table's cell.
        side: about the longest side of an image without a scale, in pixels.
        row_labels: to the left of each row.
        column_labels: above each column; where they are too wide, only some of them.
        title: at the top.
        blank: ``(rows, columns)`` bool, where nothing is to be shown.

    Returns:
        A PIL image in RGB; ``.save("grid.png")`` writes it.

    Raises:
        UsageError: images of another shape, or none at all.

    Example:
        >>> picture = grid(torch.rand(10, 1, 8, 8), data=DataInfo((1, 8, 8)), columns=5)
        >>> picture.size  # five times two tiles of 64 pixels
        (368, 180)
    """
    from PIL import Image, ImageDraw

    title, row_labels, column_labels = (
        printable(title),
        [*map(printable, row_labels)],
        [*map(printable, column_labels)],
    )
    rows, across, square = _arrangement(images, data)
    pixels = tiles(images.reshape(rows * across, *data.shape), data, scale, side)
    height, width = pixels.shape[1:3]
    pitch = (height + GAP, width + (STRIP_GAP if len(data.shape) == 1 else GAP))
    if columns is None:
        most = math.ceil(math.sqrt(across)) if square else (_WIDEST - 2 * MARGIN) // pitch[1]
        # Lines of equal length rather than full ones and a rest.
        columns = math.ceil(across / math.ceil(across / max(1, most)))
    columns = min(columns, across)

    title_font, font = default_font(17), default_font(13)
    left = MARGIN + max((math.ceil(font.getlength(text)) + _PADDING for text in row_labels), default=0)
    top = MARGIN + (_line_height(title_font) + _PADDING) * bool(title)
    header = (_line_height(font) + 3) * bool(column_labels)
    block_height = header + rows * pitch[0] - GAP
    between = _BETWEEN_BLOCKS if rows > 1 or column_labels else GAP
    blocks = math.ceil(across / columns)
    note = enlargement(data, scale)
    footer = (_line_height(font) + GAP) * bool(note)
    widest = max(math.ceil(title_font.getlength(title)), math.ceil(font.getlength(note)))
    right = max(left + columns * pitch[1] - pitch[1] + width, MARGIN + widest)
    plan = _Plan(
        rows=rows,
        columns=columns,
        tile=(height, width),
        pitch=pitch,
        left=left,
        tops=tuple(top + header + block * (block_height + between) for block in range(blocks)),
        size=(right + MARGIN, top + blocks * (block_height + between) - between + footer + MARGIN),
    )

    canvas = torch.tensor(PAPER, dtype=torch.uint8).repeat(plan.size[1], plan.size[0], 1)
    hidden = set() if blank is None else set(blank.flatten().nonzero()[:, 0].tolist())
    for number, tile in enumerate(pixels):
        if number in hidden:
            continue
        x, y = plan.corner(*divmod(number, across))
        canvas[y : y + height, x : x + width] = tile
    image = Image.fromarray(canvas.numpy())
    draw = ImageDraw.Draw(image)
    draw.text((MARGIN, MARGIN), title, fill=_TITLE_INK, font=title_font)
    draw.text((MARGIN, plan.size[1] - MARGIN), note, fill=_INK, font=font, anchor="ls")
    for text, place, anchor in _labels(plan, row_labels, column_labels, font):
        draw.text(place, text, fill=_INK, font=font, anchor=anchor)
    return image


def _labels(
    plan: _Plan, row_labels: Sequence[str], column_labels: Sequence[str], font: "FreeTypeFont"
) -> list[tuple[str, tuple[float, float], str]]:
    """Every label with its position and its anchor."""
    height, width = plan.tile
    found: list[tuple[str, tuple[float, float], str]] = []
    for block in range(len(plan.tops)):
        for row, text in enumerate(row_labels):
            x, y = plan.corner(row, block * plan.columns)
            found.append((text, (x - _PADDING, y + height / 2), "rm"))
    widest = max((font.getlength(text) for text in column_labels), default=0) + _PADDING
    every = math.ceil(widest / plan.pitch[1])
    for column, text in enumerate(column_labels):
        if column % plan.columns % every == 0:
            x, y = plan.corner(0, column)
            found.append((text, (x + width / 2, y - 4), "md"))
    return found


def _arrangement(images: Tensor, data: DataInfo) -> tuple[int, int, bool]:
    """Rows, examples in each, and whether they may be laid out in a square."""
    shape = tuple(images.shape)
    leading = len(shape) - len(data.shape)
    if leading not in (1, 2) or shape[leading:] != data.shape or 0 in shape:
        wanted = ", ".join(map(str, data.shape))
        raise UsageError(
            f"a picture is made of examples of shape {data.shape}; the tensor given has shape {shape}",
            hint=f"give (N, {wanted}) or (rows, columns, {wanted}), at least one example",
        )
    return (1, shape[0], len(data.shape) > 1) if leading == 1 else (shape[0], shape[1], False)


def default_font(size: int) -> "FreeTypeFont":
    """The font that comes with Pillow, at ``size`` pixels; it has the signs of ASCII."""
    from PIL import ImageFont

    return cast("FreeTypeFont", ImageFont.load_default(size))


def _line_height(font: "FreeTypeFont") -> int:
    return sum(font.getmetrics())
