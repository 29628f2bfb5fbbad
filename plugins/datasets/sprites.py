"""Drawn shapes whose ground-truth factors are known."""

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, final

import numpy as np
import torch
from annotated_types import Interval
from torch import Tensor

from genmod import Batch, DataError, DataInfo, Dataset, Doc, Factor, Split, SplitName
from genmod.data import dealt, mixed

__all__ = ["Sprites"]

_SHAPES = ("square", "ellipse", "heart")
_SYMMETRY = (4, 2, 1)
"""How many rotations of a full turn each shape is unchanged by."""
_MAX_IMAGES = 10_000_000
_IN_MEMORY_BYTES = 2**30
_CHUNK_PIXELS = 2**18


@final
class Sprites(Dataset):
    """White shapes on black, drawn on the fly from five independent factors; pixels are 0 or 1.

    Shape (square, ellipse, heart), scale (½ to 1), rotation (a full turn), x and y of the centre (the middle
    half of the image, x to the right and y downwards); every combination once. By default 92,160 images.
    The sizes of "dSprites" (Matthey, Higgins, Hassabis, Lerchner, 2017), 737,280 images, are
    ``resolution=64 rotations=40 positions=32``.

    Eight tenths of the images are for training, one for validation and one for testing, by a hash of the
    factors; where so few leave a split empty, in the order of these hashes. As in dSprites, a square looks the same
    after a quarter turn and an ellipse after half a turn, so
    their rotation cannot be recovered fully; such twins are always in the same split, and no other two of the
    default images are alike. Where steps of scale and rotation are much finer than pixels, others coincide too, across
    splits: a fifth of the images at a resolution of 16.

    The bits of every image are the same on all machines. Splits of up to 1 GiB are drawn at once, larger
    ones batch by batch.

    Raises:
        DataError: more than 10 million images.

    Example:
        >>> sprites = Sprites(Path("unused"), rotations=1, positions=4)
        >>> sprites.info.shape, [factor.size for factor in sprites.info.factors]
        ((1, 32, 32), [3, 6, 1, 4, 4])
        >>> batch = sprites.split("train").__getitems__([0, 1])
        >>> batch.x.shape, batch.factors.shape
        (torch.Size([2, 1, 32, 32]), torch.Size([2, 5]))
    """

    def __init__(
        self,
        root: Path,
        *,
        resolution: Annotated[int, Doc("height and width in pixels"), Interval(ge=16, le=512)] = 32,
        scales: Annotated[int, Doc("number of scales"), Interval(ge=1, le=64)] = 6,
        rotations: Annotated[int, Doc("number of rotations"), Interval(ge=1, le=360)] = 20,
        positions: Annotated[
            int, Doc("number of positions along x, and along y"), Interval(ge=1, le=256)
        ] = 16,
    ) -> None:
        super().__init__(root)
        self.resolution = resolution
        self.sizes = (len(_SHAPES), scales, rotations, positions, positions)
        if math.prod(self.sizes) > _MAX_IMAGES:
            raise DataError(
                f"sprites of {scales} scales, {rotations} rotations and {positions}² positions are "
                f"{math.prod(self.sizes):,} images; at most {_MAX_IMAGES:,} are allowed",
                hint="choose fewer, for example -s dataset.positions=32",
            )

    @property
    def info(self) -> DataInfo:
        names = ("shape", "scale", "rotation", "x", "y")
        factors = tuple(Factor(name, size) for name, size in zip(names, self.sizes, strict=True))
        return DataInfo((1, self.resolution, self.resolution), levels=2, classes=_SHAPES, factors=factors)

    def split(self, name: SplitName) -> "_SpriteSplit":
        indices = np.flatnonzero(self._splits == name)
        return _SpriteSplit(torch.from_numpy(indices), self.sizes, self.resolution, self.info)

    @cached_property
    def _splits(self) -> np.ndarray:
        """The split of each image; twins have one in common."""
        shape, scale, rotation, x, y = np.unravel_index(np.arange(math.prod(self.sizes)), self.sizes)
        same = rotation * np.array(_SYMMETRY)[shape] % self.sizes[2]
        twins = np.ravel_multi_index((shape, scale, same, x, y), self.sizes)
        chosen = np.array(["train"] * 8 + ["validation", "test"])[mixed(twins) % np.uint64(10)]
        if len(np.unique(chosen)) == 3:
            return chosen
        different, place = np.unique(twins, return_inverse=True)
        return np.array(dealt(mixed(different).tolist(), ["validation", "test"]))[place]


@final
class _SpriteSplit(Split):
    def __init__(self, indices: Tensor, sizes: tuple[int, ...], resolution: int, info: DataInfo) -> None:
        self.info: DataInfo = info
        self.indices = indices
        self.sizes = sizes
        self.resolution = resolution

    def __len__(self) -> int:
        return len(self.indices)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        return self._drawn(self.indices[torch.as_tensor(indices, dtype=torch.int64)])

    def in_memory(self) -> Batch | None:
        return self._drawn(self.indices) if len(self) * self.resolution**2 <= _IN_MEMORY_BYTES else None

    def _drawn(self, indices: Tensor) -> Batch:
        factors = torch.stack(torch.unravel_index(indices, self.sizes), dim=1)
        images = torch.empty(len(indices), 1, self.resolution, self.resolution, dtype=torch.uint8)
        for shape, symmetry in enumerate(_SYMMETRY):
            rows = (factors[:, 0] == shape).nonzero().squeeze(1)
            for chunk in torch.split(rows, max(1, _CHUNK_PIXELS // self.resolution**2)):
                placement = _placement(factors[chunk], self.sizes, symmetry, self.resolution)
                images[chunk, 0] = _inside(shape, *_coordinates(placement, self.resolution)).to(torch.uint8)
        return Batch(images, labels=factors[:, 0].clone(), factors=factors)


def _placement(factors: Tensor, sizes: Sequence[int], symmetry: int, resolution: int) -> tuple[Tensor, ...]:
    """Factors ``(B, 5)`` → cosine and sine over the scale, x and y of the centre, ``(B, 1, 1)`` each."""
    _, scales, rotations, positions, _ = sizes
    _, scale, rotation, x, y = factors.T
    # All else is arithmetic that IEEE 754 rounds alike everywhere; cosines are not, in their last bits.
    angles = torch.arange(rotations, dtype=torch.float64) * (2 * math.pi / (rotations * symmetry))
    cosines, sines = ((table * 2**20).round() / 2**20 for table in (angles.cos(), angles.sin()))
    same = rotation * symmetry % rotations
    size = 0.5 + 0.5 * _spaced(scales)[scale]
    # A quarter of a pixel off: about the middle or the corner of a pixel, unlike shapes can cover the same ones.
    centre = 0.25 + 0.5 * (torch.arange(positions).double() + 0.5) / positions - 0.25 / resolution
    values = (cosines[same] / size, sines[same] / size, centre[x], centre[y])
    return tuple(value.float()[:, None, None] for value in values)


def _spaced(n: int) -> Tensor:
    """``n`` numbers from 0 to 1, ``(n,)``; a single one is 1/2."""
    return torch.arange(n, dtype=torch.float64) / (n - 1) if n > 1 else torch.full((1,), 0.5).double()


def _coordinates(placement: tuple[Tensor, ...], resolution: int) -> tuple[Tensor, Tensor]:
    """Where pixels are, seen from the shape in the unit circle: right and down, ``(B, height, width)``."""
    cosine, sine, x, y = placement
    grid = (torch.arange(resolution, dtype=torch.float32) + 0.5) / resolution
    right, down = 4 * (grid[None, None, :] - x), 4 * (grid[None, :, None] - y)
    return cosine * right + sine * down, cosine * down - sine * right


def _inside(shape: int, u: Tensor, v: Tensor) -> Tensor:
    """Whether pixels are in the square, ellipse or heart whose farthest points are on the unit circle."""
    match _SHAPES[shape]:
        case "square":
            return torch.maximum(u.abs(), v.abs()) <= math.sqrt(0.5)
        case "ellipse":
            return u * u + 4 * v * v <= 1
        case _:
            u, v = 1.25 * u, 0.25 - 1.25 * v
            uu, vv = u * u, v * v
            ring = uu + vv - 1
            return ring * ring * ring <= uu * vv * v
