"""Curves drawn in letters: each cell of a terminal has two by four dots."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["Track", "plot", "thinned"]

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bits of the dots of a cell: column by column, from the top."""

_MOST = 2000


@dataclass(frozen=True)
class Track:
    """A curve: its points, with increasing x, and its style."""

    x: Sequence[float]
    y: Sequence[float]
    style: str


def plot(tracks: Sequence[Track], width: int, height: int) -> "list[Text]":
    """Lines of text with curves in them, and the highest and the lowest value at the left.

    Args:
        tracks: the later ones are drawn over the earlier ones.
        width: of the lines, in letters.
        height: number of lines.

    Example:
        >>> [line.plain for line in plot([Track((0, 1), (0.0, 1.0), "")], 7, 2)]
        ['1 ⠀⠀⢀⠤⠊', '0 ⡠⠒⠁⠀⠀']
    """
    from rich.text import Text

    values = [value for track in tracks for value in track.y]
    if not values:
        return [Text(" " * width) for _ in range(height)]
    low, high = min(values), max(values)
    names = [f"{high:.4g}", *[""] * (height - 2), f"{low:.4g}"] if height > 1 else [f"{high:.4g}"]
    margin = max(map(len, names)) + 1
    cells = _cells(tracks, max(1, width - margin), height, low, high)
    lines = []
    for name, row in zip(names, cells, strict=True):
        line = Text(name.rjust(margin - 1) + " ", style="dim")
        for bits, style in row:
            line.append(chr(0x2800 + bits), style=style)
        lines.append(line)
    return lines


def thinned(x: list[float], y: list[float]) -> None:
    """Leave out every other point, once there are more than a terminal can show."""
    if len(x) > _MOST:
        del x[1::2]
        del y[1::2]


def _cells(
    tracks: Sequence[Track], width: int, height: int, low: float, high: float
) -> list[list[tuple[int, str]]]:
    import numpy as np

    first = min(track.x[0] for track in tracks if track.x)
    last = max(track.x[-1] for track in tracks if track.x)
    places = np.linspace(first, last, 2 * width)
    bits = [[0] * width for _ in range(height)]
    styles = [[""] * width for _ in range(height)]
    for track in tracks:
        before = None
        if not track.x:
            continue
        for column, value in enumerate(np.interp(places, track.x, track.y, left=np.nan, right=np.nan)):
            if math.isnan(value):
                continue
            row = round((4 * height - 1) * ((high - value) / (high - low) if high > low else 0.5))
            # A steep piece is drawn through, so that a curve has no holes.
            start = row if before is None or row == before else before + (1 if row > before else -1)
            for dot in range(min(start, row), max(start, row) + 1):
                bits[dot // 4][column // 2] |= _DOTS[column % 2][dot % 4]
                styles[dot // 4][column // 2] = track.style
            before = row
    return [list(zip(*rows, strict=True)) for rows in zip(bits, styles, strict=True)]
