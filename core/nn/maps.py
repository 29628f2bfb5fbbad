"""Vectors that are made of several maps."""

import math
from collections.abc import Iterable, Sequence
from typing import Self

import torch
from torch import Tensor

__all__ = ["Maps"]


class Maps(tuple[int, ...]):
    """The shape ``(n,)`` of a vector of several maps, one after the other, which knows the shapes of these.

    Features of several resolutions, and latents of several groups, are such vectors: what takes any vector takes them,
    and what knows of maps takes them apart. Any other shape is one of a single map.

    Example:
        >>> shape = Maps.of([(2, 4, 4), (3, 1, 1)])
        >>> shape, shape == (35,), shape.parts
        ((35,), True, ((2, 4, 4), (3, 1, 1)))
        >>> [tuple(part.shape) for part in shape.split(torch.zeros(7, 35))]
        [(7, 2, 4, 4), (7, 3, 1, 1)]
        >>> Maps.in_shape((5,)).parts, Maps.in_shape((5, 3, 2)).parts
        (((5, 1, 1),), ((5, 3, 2),))
    """

    parts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, parts: Iterable[Sequence[int]]) -> Self:
        """The shape of a vector of maps of these shapes, ``(channels, height, width)`` each."""
        found = tuple(tuple(part) for part in parts)
        made = cls((sum(map(math.prod, found)),))
        made.parts = found
        return made

    @classmethod
    def in_shape(cls, shape: tuple[int, ...]) -> "Maps":
        """What a shape says of itself; a vector is one map of a single place, and so is what has no two dimensions."""
        if isinstance(shape, Maps) and hasattr(shape, "parts"):
            return shape
        return cls.of([shape if len(shape) == 3 else (math.prod(shape), 1, 1)])

    def split(self, vectors: Tensor) -> list[Tensor]:
        """``(B, …)``, n numbers in each row, as maps ``(B, channels, height, width)``."""
        pieces = vectors.flatten(1).split([math.prod(part) for part in self.parts], 1)
        return [piece.unflatten(1, part) for piece, part in zip(pieces, self.parts, strict=True)]

    def join(self, maps: Iterable[Tensor]) -> Tensor:
        """Maps ``(B, channels, height, width)`` as vectors ``(B, n)``."""
        return torch.cat([each.flatten(1) for each in maps], 1)
