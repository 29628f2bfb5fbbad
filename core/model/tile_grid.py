"""Where the tiles of a picture lie, and how much each of their pixels counts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, sqrt
from typing import Self, final

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from genmod.errors import UsageError

__all__ = ["Axis", "Grid", "Part", "weights_of"]

Part = tuple[tuple[int, int], Tensor]
"""Row and column of a tile, and what became of it."""

_PROBE = 64
"""Least side in pixels of tiles that are only looked at; they are a quarter as long as others where that is more."""


@final
@dataclass(frozen=True)
class Axis:
    """The tiles along one side of a picture.

    Args:
        size: of the picture, in pixels.
        pixels: of a tile.
        places: of the latents, in a tile.
        stride: pixels from one place to the next.
        overlap: places that neighbouring tiles have in common, at least.
        starts: first place of each tile.
        margin: places at the ends of a tile that do not count as its own, but at the edge of the picture.
    """

    size: int
    pixels: int
    places: int
    stride: int
    overlap: int
    starts: tuple[int, ...]
    margin: int = 0

    @classmethod
    def of(cls, size: int, pixels: int, places: int, overlap: int) -> Self:
        """A single tile, or as many as are needed, spread evenly, so that all are of one size.

        Raises:
            UsageError: a place is no whole number of pixels, or neighbouring tiles have all in common.
        """
        if size == pixels:
            return cls(size, pixels, places, 1, 1, (0,))
        stride = pixels // places
        common = -(-overlap // stride)
        if pixels % places or common >= places:
            raise UsageError(
                f"tiles of {pixels} pixels, {places} places of the latents, cannot overlap by {overlap} pixels",
                hint="give a tile that is a multiple of 32, and an overlap of a quarter of it",
            )
        last = -(-size // stride) - places
        return cls(size, pixels, places, stride, max(common, 1), _even(last, places - common))

    @property
    def total(self) -> int:
        """Places of the whole picture."""
        return self.starts[-1] + self.places

    @property
    def probe(self) -> "Axis":
        """Shorter tiles that reach from end to end; what is near to their ends does not count."""
        if len(self.starts) == 1:
            return self
        places = min(self.places, max(self.places // 4, -(-_PROBE // self.stride)))
        starts = _even(self.total - places, max(places // 2, 1))
        return Axis(self.size, places * self.stride, places, self.stride, 1, starts, places // 4)

    def thinned(self, most: int) -> "Axis":
        """At most so many of the tiles, but the first and the last, spread evenly."""
        if len(self.starts) <= max(most, 2):
            return self
        last, steps = self.starts[-1], max(most, 2) - 1
        starts = tuple(round(i * last / steps) for i in range(steps + 1))
        return Axis(self.size, self.pixels, self.places, self.stride, self.overlap, starts, self.margin)

    def own(self) -> list[tuple[float, float]]:
        """The part of each tile that belongs to no other, from 0 to 1: where it reaches furthest beyond."""
        found = []
        for i, weights in enumerate(self.place_weights(cut=True)):
            counted = weights.nonzero().flatten().tolist() or [0, -1]
            start = max(counted[0], self.margin if i else 0)
            end = min(counted[-1] + 1, self.places - (self.margin if i < len(self.starts) - 1 else 0))
            found.append((start / self.places, max(start, end) / self.places))
        return found

    def place_weights(self, *, cut: bool) -> list[Tensor]:
        """How much each place of each tile counts."""
        return weights_of(self.starts, self.places, self.overlap, cut=cut)

    def pixel_weights(self) -> list[Tensor]:
        """How much each pixel of each tile counts."""
        starts = [self.stride * start for start in self.starts]
        return weights_of(starts, self.pixels, self.stride * self.overlap, cut=False)


@final
@dataclass(frozen=True)
class Grid:
    """The tiles of a picture, row by row."""

    down: Axis
    across: Axis

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Row and column of each tile."""
        return iter(product(range(len(self.down.starts)), range(len(self.across.starts))))

    def __len__(self) -> int:
        return len(self.down.starts) * len(self.across.starts)

    @property
    def pixels(self) -> int:
        """Of all tiles together."""
        return len(self) * self.down.pixels * self.across.pixels

    def probe(self, most: int) -> "Grid":
        """Small tiles all over the picture, of so many pixels together at most."""
        down, across = self.down.probe, self.across.probe
        count = most // (down.pixels * across.pixels)
        rows = sqrt(count * down.total * down.stride / (across.total * across.stride))
        down = down.thinned(max(round(rows), ceil(count / len(across.starts))))
        across = across.thinned(count // len(down.starts))
        return Grid(down.thinned(count // len(across.starts)), across)

    def own(self) -> list[tuple[tuple[float, float], tuple[float, float]]]:
        """The part of each tile, of its rows and its columns, that belongs to no other."""
        return list(product(self.down.own(), self.across.own()))

    def cut_pixels(self, x: Tensor, tile: tuple[int, int]) -> Tensor:
        """Of pictures ``(B, channels, height, width)``; beyond the edge their last pixels go on."""
        return _cut(_cut(x, self.down, tile[0], -2), self.across, tile[1], -1)

    def cut_places(self, z: Tensor, tile: tuple[int, int]) -> Tensor:
        """Of latents ``(B, channels, height', width')``."""
        top, left = self.down.starts[tile[0]], self.across.starts[tile[1]]
        return z[..., top : top + self.down.places, left : left + self.across.places]

    def blended_places(self, parts: Iterable[Part], *, cut: bool) -> Tensor:
        """Tiles of latents as one map; cut, each place is that of a single tile."""
        weights = self.down.place_weights(cut=cut), self.across.place_weights(cut=cut)
        starts = self.down.starts, self.across.starts
        return _blended(parts, weights, starts, (self.down.total, self.across.total))

    def blended_pixels(self, parts: Iterable[Part]) -> Tensor:
        """Tiles of pictures as one picture."""
        weights = self.down.pixel_weights(), self.across.pixel_weights()
        down, across = ([each.stride * start for start in each.starts] for each in (self.down, self.across))
        return _blended(parts, weights, (down, across), (self.down.size, self.across.size))


def weights_of(starts: Sequence[int], length: int, overlap: int, *, cut: bool) -> list[Tensor]:
    """Weights of tiles, which add up to 1 everywhere; cut, all is of the tile that reaches furthest beyond.

    Else they rise linearly in the middle quarter of the overlap: what is near to the end of a tile does not know what comes
    beyond, and counts nothing.
    """
    depth = torch.zeros(len(starts), starts[-1] + length, dtype=torch.float64)
    inner = torch.arange(length, dtype=torch.float64) + 0.5
    far = torch.full_like(inner, torch.inf)
    for i, start in enumerate(starts):
        left, right = inner if i else far, inner.flip(0) if i < len(starts) - 1 else far
        depth[i, start : start + length] = torch.minimum(left, right)
    if cut:
        weights = one_hot(depth.argmax(0), len(starts)).T
    else:
        ramp = max(overlap / 4, 1)
        weights = ((depth - (overlap - ramp) / 2) / ramp).clamp(0, 1)
        weights = weights / weights.sum(0)
    return [weights[i, start : start + length] for i, start in enumerate(starts)]


def _even(last: int, most: int) -> tuple[int, ...]:
    """Places from 0 to the last one, not further apart than so many."""
    steps = max(-(-last // most), 1)
    return tuple(round(i * last / steps) for i in range(steps + 1))


def _cut(x: Tensor, axis: Axis, i: int, dim: int) -> Tensor:
    first = axis.stride * axis.starts[i]
    beyond = first + axis.pixels - axis.size
    part = x.narrow(dim, first, axis.pixels - max(beyond, 0))
    if beyond <= 0:
        return part
    return torch.cat([part, part.narrow(dim, -1, 1).repeat_interleave(beyond, dim)], dim)


def _blended(
    parts: Iterable[Part],
    weights: tuple[list[Tensor], list[Tensor]],
    starts: tuple[Sequence[int], Sequence[int]],
    size: tuple[int, int],
) -> Tensor:
    """The weighted sum of tiles, as far as they lie inside."""
    made = torch.zeros(0)
    for number, ((i, j), part) in enumerate(parts):
        if not number:
            made = part.new_zeros(*part.shape[:2], *size)
        there = made[..., starts[0][i] :, starts[1][j] :][..., : part.shape[2], : part.shape[3]]
        height, width = there.shape[2:]
        each = (weights[0][i][:height, None] * weights[1][j][:width]).to(there)
        there += each * part[..., :height, :width]
    return made
