"""Figures that notebooks show by themselves. Imports matplotlib."""

import io
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ShownFigure", "figure_of"]

_DPI = 100


class ShownFigure(Figure):
    """A matplotlib figure that a notebook draws where it is the last value of a cell, without ``pyplot``."""

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        self.savefig(stream, format="png")
        return stream.getvalue()


def figure_of(image: "Image") -> ShownFigure:
    """A picture pixel by pixel as a figure, of which ``savefig`` writes the same picture."""
    import numpy as np

    figure = ShownFigure(figsize=(image.width / _DPI, image.height / _DPI), dpi=_DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(np.asarray(image), interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    return figure
