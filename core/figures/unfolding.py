"""Maps of codes that move while a model is trained."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from genmod.figures.grids import MARGIN, PAPER, default_font
from genmod.figures.names import printable
from genmod.figures.palette import CLASSES, INK, LINE, QUIET
from genmod.figures.plane import principal_axes

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["code_map", "on_last_axes"]

_FINE = 3
"""Pixels drawn for each that is kept, so that round dots are round."""
_RADIUS = 3.2
_SHARE = 0.995
_SMALLEST = 200


def on_last_axes(codes: Sequence[Tensor]) -> tuple[list[Tensor], str]:
    """Codes of the same examples at several times, on one plane: that in which the last ones vary most.

    Two numbers are the plane. More are projected on the two principal components of the last codes, around their mean,
    so that a code moves only where the encoder moved it.

    Args:
        codes: of each time, ``(N, D)``.

    Returns:
        Places of each time, ``(N, 2)``, nearly all within -1 and 1, in one scale; and how they were found.

    Example:
        >>> early, late = torch.zeros(3, 2), torch.tensor([[4.0, 0.0], [-4.0, 0.0], [0.0, 2.0]])
        >>> on_last_axes([early, late])[0][1].tolist()
        [[1.0, 0.0], [-1.0, 0.0], [0.0, 0.5]]
    """
    last = codes[-1].double()
    size = last.shape[1]
    if size == 1:
        aside = torch.rand(len(last), 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        places, how = [torch.cat([each.double(), aside], 1) for each in codes], "height at random"
    elif size == 2:
        places, how = [each.double() for each in codes], ""
    else:
        axes, shares = principal_axes(last)
        places = [(each.double() - last.mean(0)) @ axes.T for each in codes]
        how = f"two principal components at the end, {100 * float(shares.sum()):.0f} % of the variance"
    # A few codes far away would leave the others a dot in the middle.
    reach = float(places[-1].abs().flatten().quantile(_SHARE)) or 1.0
    return [(each / reach).float() for each in places], how


def code_map(
    places: Tensor,
    classes: Tensor | None,
    names: Sequence[str],
    *,
    height: int,
    title: str,
    note: str = "",
) -> "Image":
    """Places of codes as dots, coloured by class, with a legend.

    Args:
        places: ``(N, 2)``, within -1 and 1; those outside are left out.
        classes: of the examples, ``(N,)``; None for one colour.
        names: of the classes.
        height: of the picture, in pixels; at least 200.
        title: at the top.
        note: below it, small.

    Returns:
        A PIL image in RGB, as wide as it is high.
    """
    from PIL import Image, ImageDraw

    side = max(height, _SMALLEST)
    fine = Image.new("RGB", (side * _FINE, side * _FINE), PAPER)
    draw = ImageDraw.Draw(fine)
    title_font, font = default_font(17), default_font(11)
    top = MARGIN + 26 + 14 * bool(note)
    legend = 20 * (classes is not None and len(names) <= len(CLASSES))
    box = (MARGIN, top, side - MARGIN, side - MARGIN - legend)
    draw.rectangle([_FINE * edge for edge in box], outline=LINE, fill="white", width=_FINE)
    centre, reach = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), min(box[2] - box[0], box[3] - box[1]) / 2
    r = _RADIUS * _FINE
    for number in torch.randperm(len(places), generator=torch.Generator().manual_seed(0)).tolist():
        x, y = (0.94 * reach * value for value in places[number].tolist())
        x, y = centre[0] + x, centre[1] - y
        if not (box[0] < x < box[2] and box[1] < y < box[3]):
            continue
        colour = CLASSES[0 if classes is None else int(classes[number]) % len(CLASSES)]
        x, y = _FINE * x, _FINE * y
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour, outline=INK, width=1)
    marks, x, y = [], float(MARGIN), float(side - MARGIN - 6)
    for number, name in enumerate(names if legend else ()):
        draw.ellipse([_FINE * edge for edge in (x, y - 4, x + 8, y + 4)], fill=CLASSES[number])
        marks.append((x + 11, printable(name)))
        x += 11 + font.getlength(printable(name)) + 9
    image = fine.resize((side, side), Image.Resampling.BOX)
    draw = ImageDraw.Draw(image)
    draw.text((MARGIN, MARGIN), printable(title), fill=INK, font=title_font)
    draw.text((MARGIN, MARGIN + 23), printable(note), fill=QUIET, font=font)
    for place, name in marks:
        draw.text((place, y), name, fill=QUIET, font=font, anchor="lm")
    return image
