"""Spectra of pictures: how their power is spread over frequencies."""

import math

import torch
from torch import Tensor

__all__ = ["NO_POWER", "Bands", "frequencies", "octaves", "power_spectrum"]

NO_POWER = 1e-24
"""Share of the power of pictures below which they have none at some frequencies: that of rounding."""


def power_spectrum(x: Tensor) -> Tensor:
    """The power of pictures at each frequency; its sum is the mean of the squares of a picture's values.

    ``|c_kl|² / (height · width)``, mean over the channels, with the coefficients ``c`` of the orthonormal cosine transform
    (DCT-II). It takes pictures to go on mirrored at their edges; for a Fourier transform, to which they go on at the
    opposite edge, the jump there would have power at all frequencies.

    Args:
        x: ``(N, channels, height, width)``.

    Returns:
        ``(N, height, width)`` float64; at ``[k, l]`` waves of ``k / (2 height)`` and ``l / (2 width)`` cycles per pixel.

    Reference:
        Discrete Cosine Transform (Ahmed, Natarajan and Rao, 1974), doi:10.1109/T-C.1974.223784

    Example:
        >>> power_spectrum(torch.ones(1, 3, 4, 4))[0, 0, 0].round(decimals=6)
        tensor(1., dtype=torch.float64)
    """
    down, across = (_cosines(size).to(x.device) for size in x.shape[-2:])
    return (down @ x.double() @ across.T).square().mean(1) / (x.shape[-2] * x.shape[-1])


def _cosines(size: int) -> Tensor:
    """The orthonormal matrix of the transform of rows, ``(size, size)``."""
    places = torch.arange(size, dtype=torch.float64)
    waves = torch.cos(torch.pi / size * places[:, None] * (places + 0.5))
    waves[0] /= math.sqrt(2)
    return waves * math.sqrt(2 / size)


def frequencies(height: int, width: int) -> Tensor:
    """The distance of each frequency from zero, cycles per pixel, ``(height, width)`` float64; from 0 to below √½.

    Example:
        >>> frequencies(2, 2)
        tensor([[0.0000, 0.2500],
                [0.2500, 0.3536]], dtype=torch.float64)
    """
    down, across = (torch.arange(size, dtype=torch.float64) / (2 * size) for size in (height, width))
    return torch.hypot(down[:, None], across[None])


class Bands:
    """Frequencies in bands.

    Args:
        edges: of the bands, rising; a frequency belongs to the last band that begins at it or below.
        height: of pictures.
        width: of pictures.

    Example:
        >>> Bands([0.0, 0.2], 2, 2).sums(torch.ones(1, 2, 2))
        tensor([[1., 3.]])
    """

    def __init__(self, edges: list[float], height: int, width: int) -> None:
        self.edges = edges
        starts = torch.tensor(edges, dtype=torch.float64)
        self.places = torch.bucketize(frequencies(height, width), starts, right=True).flatten() - 1
        self.counts = torch.bincount(self.places, minlength=len(edges))

    def sums(self, power: Tensor) -> Tensor:
        """Power in each band, ``(N, height, width) → (N, bands)``."""
        found = power.new_zeros(len(power), len(self.edges))
        return found.index_add_(1, self.places.to(power.device), power.flatten(1))


def octaves(height: int, width: int) -> dict[str, float]:
    """Names and lower edges of bands: zero, octaves up to half a cycle per pixel, and the corners above.

    Example:
        >>> octaves(8, 8)
        {'mean': 0.0, '1/16-1/8': 0.0625, '1/8-1/4': 0.125, '1/4-1/2': 0.25, '1/2-': 0.5}
    """
    lowest = math.ceil(math.log2(2 * max(height, width)))
    steps = [2**power for power in range(lowest, 0, -1)]
    names = {f"1/{step}-1/{step // 2}" if step > 2 else "1/2-": 1 / step for step in steps}
    present = Bands([0.0, *names.values()], height, width).counts[1:]
    return {
        "mean": 0.0,
        **{name: edge for (name, edge), count in zip(names.items(), present, strict=True) if count},
    }
