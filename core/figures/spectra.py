"""The spectrum of pictures, and of what reconstructions lose of them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from genmod.errors import UndefinedError
from genmod.evaluation.spectrum import Bands, power_spectrum
from genmod.figures.curves import COLOURS
from genmod.figures.draw import INK, QUIET, bare

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

    Rings are as wide as the frequencies of the shorter side are apart; the brightness, at zero, is left out.

    Raises:
        UndefinedError: these are no pictures, or values of them are missing.

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
    inside = bands.counts[1:] > 0
    at_once = max(1, _VALUES // x[0].numel())
    means = []
    for each in (x, x - made):
        total = sum(power_spectrum(part).sum(0) for part in each.split(at_once))
        power = bands.sums(torch.as_tensor(total)[None] / len(x))[0].cpu()
        means.append((power / bands.counts.clamp(min=1))[1:][inside])
    rings = torch.arange(1, len(edges), dtype=torch.float64)[inside] * step
    return Spectra(rings, *means)


def draw_spectra(axes: "Axes", found: Spectra) -> None:
    """Both spectra, on logarithmic scales."""
    for values, name, colour in (
        (found.pictures, "pictures", INK),
        (found.errors, "errors of reconstructions", COLOURS[1]),
    ):
        axes.plot(found.frequencies.tolist(), values.tolist(), label=name, color=colour, linewidth=1.6)
    axes.set_xscale("log", base=2)
    if min(float(found.pictures.min()), float(found.errors.min())) > 0:
        axes.set_yscale("log")
    marks = [2.0**-power for power in range(1, 12) if 2.0**-power >= float(found.frequencies[0]) * 0.99]
    axes.set_xticks(marks, [f"1/{round(1 / mark)}" for mark in marks])
    axes.minorticks_off()
    axes.set_xlabel("cycles per pixel", color=QUIET, fontsize=9)
    axes.set_ylabel("power per frequency", color=QUIET, fontsize=9)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    bare(axes, "What is lost", "where the curves meet, nothing is kept")
