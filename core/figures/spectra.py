"""The spectrum of pictures, and of what reconstructions lose of them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from genmod.errors import UndefinedError
from genmod.evaluation.spectrum import NO_POWER, Bands, power_spectrum
from genmod.figures.axes import log_scale
from genmod.figures.draw import bare, name_axes
from genmod.figures.palette import INK, RUNS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Spectra", "draw_spectra", "spectra"]

_VALUES = 2**22
"""Values of pictures that are transformed at a time."""


@dataclass(frozen=True)
class Spectra:
    """Mean power per frequency, around rings of equal distance from zero.

    Args:
        frequencies: of each ring, cycles per pixel, ``(R,)``.
        pictures: of the examples, ``(R,)``, squared units of the data.
        errors: of the errors of their reconstructions, ``(R,)``.
    """

    frequencies: Tensor
    pictures: Tensor
    errors: Tensor


def spectra(x: Tensor, made: Tensor) -> Spectra:
    """The spectra of pictures and of the errors of their reconstructions, both ``(N, channels, height, width)``.

    Rings are as wide as the frequencies of the shorter side are apart; the brightness, at zero, is left out, and so are
    rings at which the pictures have no power.

    Raises:
        UndefinedError: these are no pictures, or each is of one colour, or values of them are missing.

    Example:
        >>> found = spectra(torch.rand(5, 1, 8, 8), torch.zeros(5, 1, 8, 8))
        >>> bool((found.pictures == found.errors).all()), len(found.frequencies)
        (True, 10)
    """
    if x.dim() != 4 or min(x.shape[-2:]) < 2:
        raise UndefinedError("spectra are of images of two pixels or more a side")
    if not x.isfinite().all():
        raise UndefinedError("spectra are of whole images, and values of the data are missing")
    height, width = x.shape[-2:]
    step = 1 / (2 * min(height, width))
    # A little below half a step, so that frequencies between two rings belong to the same one everywhere.
    edges = [0.0, *((0.5 - 1e-9 + ring) * step for ring in range(2 * min(height, width)))]
    bands = Bands(edges, height, width)
    at_once = max(1, _VALUES // x[0].numel())
    pictures, errors = (
        bands.sums(torch.as_tensor(sum(power_spectrum(part).sum(0) for part in each.split(at_once)))[None])[
            0
        ].cpu()
        / len(x)
        for each in (x, x - made)
    )
    inside = pictures > NO_POWER * pictures.sum()
    inside[0] = False
    if not inside.any():
        raise UndefinedError("there is no spectrum: each of the pictures is of one colour")
    rings = torch.arange(len(edges), dtype=torch.float64) * step
    return Spectra(rings[inside], *((each / bands.counts)[inside] for each in (pictures, errors)))


def draw_spectra(axes: "Axes", found: Spectra) -> None:
    """Both spectra, on logarithmic scales."""
    for values, name, colour in (
        (found.pictures, "pictures", INK),
        (found.errors, "errors of reconstructions", RUNS[1]),
    ):
        axes.plot(found.frequencies.tolist(), values.tolist(), label=name, color=colour, linewidth=1.6)
    axes.set_xscale("log", base=2)
    powers = [*found.pictures.tolist(), *found.errors.tolist()]
    if min(powers) > 0:
        log_scale(axes, powers)
    marks = [2.0**-power for power in range(1, 12) if 2.0**-power >= float(found.frequencies[0]) * 0.99]
    axes.set_xticks(marks, [f"1/{round(1 / mark)}" for mark in marks])
    axes.minorticks_off()
    name_axes(axes, "cycles per pixel", "power per frequency")
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    bare(axes, "What is lost", "where the curves meet, nothing is kept")
