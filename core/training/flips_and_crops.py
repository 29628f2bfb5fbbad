"""Flips and crops of a whole batch at once, by the draws that torchvision's transforms would make for each example alone.

A transform of torchvision takes 40 to 100 µs for an example, whatever its size, most of it in Python. Here an example costs its
draws, and the pixels of all move together. Which numbers are drawn, and in which order, is what torchvision does, so that the
result has the same bits; a test compares them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
import torch
from torch import Tensor

__all__ = ["FlipsAndCrops"]


class _Move(Protocol):
    """A random move of pictures: what is drawn for one of them, and what becomes of all."""

    def draw(self) -> tuple[int, int]: ...

    def __call__(self, x: Tensor, draws: Sequence[tuple[int, int]]) -> Tensor: ...


@final
class FlipsAndCrops:
    """Some transforms, in their order, of which each is a random flip or crop.

    Args:
        moves: of each transform.

    Example:
        >>> from torchvision.transforms import v2
        >>> moves = FlipsAndCrops.of([v2.RandomHorizontalFlip(1.0)], (1, 1, 3))
        >>> moves(torch.tensor([[[[1, 2, 3]]]]), [5]).tolist()
        [[[[3, 2, 1]]]]
    """

    def __init__(self, moves: Sequence[_Move]) -> None:
        self._moves = tuple(moves)

    @staticmethod
    def of(transforms: Sequence[Any], shape: tuple[int, ...]) -> "FlipsAndCrops | None":
        """The moves of some transforms of torchvision; None where one of them does, or may do, something else.

        Args:
            transforms: in their order.
            shape: of an example, ``(channels, height, width)``.
        """
        moves: list[_Move] = []
        height, width = shape[-2:]
        for transform in transforms:
            move = _move_of(transform, height, width)
            if move is None:
                return None
            moves.append(move)
            if isinstance(move, _Crop):
                height, width = move.height, move.width
        return FlipsAndCrops(moves)

    def __call__(self, x: Tensor, seeds: Sequence[int]) -> Tensor:
        """The moved examples; the global random state is left changed.

        Args:
            x: examples, ``(B, channels, height, width)``.
            seeds: of the draws of each, ``(B,)``.
        """
        draws = []
        for seed in seeds:
            torch.default_generator.manual_seed(seed)
            draws.append([move.draw() for move in self._moves])
        for move, drawn in zip(self._moves, zip(*draws, strict=True), strict=True):
            x = move(x, drawn)
        return x


@dataclass(frozen=True)
class _Flip:
    """A flip of an axis of pictures, with a chance."""

    axis: int
    chance: float

    def draw(self) -> tuple[int, int]:
        return int(torch.rand(1) < self.chance), 0

    def __call__(self, x: Tensor, draws: Sequence[tuple[int, int]]) -> Tensor:
        before, result = x.numpy(), x.clone()
        after = result.numpy()
        for i, (flipped, _) in enumerate(draws):
            if flipped:
                after[i] = np.flip(before[i], self.axis)
        return result


@dataclass(frozen=True)
class _Crop:
    """A part of pictures, after ``padding`` on the left, the top, the right and the bottom; ``room`` is how far it may move."""

    height: int
    width: int
    room: tuple[int, int]
    padding: tuple[int, int, int, int]
    fill: Any
    mode: str

    def draw(self) -> tuple[int, int]:
        down, right = (int(torch.randint(0, room + 1, size=())) if room else 0 for room in self.room)
        return down, right

    def __call__(self, x: Tensor, draws: Sequence[tuple[int, int]]) -> Tensor:
        result = x.new_empty(*x.shape[:2], self.height, self.width)
        if any(self.padding):
            from torchvision.transforms.v2.functional import pad

            x = pad(x, padding=list(self.padding), fill=self.fill, padding_mode=self.mode)
        # Copies of slices take a fifth of the time of one operation of torch with indices.
        before, after = x.numpy(), result.numpy()
        for i, (top, left) in enumerate(draws):
            after[i] = before[i, :, top : top + self.height, left : left + self.width]
        return result


def _move_of(transform: Any, height: int, width: int) -> _Move | None:
    from torchvision.transforms import v2

    if type(transform) in (v2.RandomHorizontalFlip, v2.RandomVerticalFlip):
        return _Flip(-1 if type(transform) is v2.RandomHorizontalFlip else -2, float(transform.p))
    if type(transform) is not v2.RandomCrop or transform.pad_if_needed or isinstance(transform.fill, dict):
        return None
    left, right, top, bottom = transform.padding or (0, 0, 0, 0)  # torchvision keeps them in this order
    tall, wide = transform.size
    room = height + top + bottom - tall, width + left + right - wide
    if min(room) < 0:
        return None
    return _Crop(tall, wide, room, (left, top, right, bottom), transform.fill, transform.padding_mode)
