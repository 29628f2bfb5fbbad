"""Augmentation: transforms of torchvision by name, with random numbers that can be reproduced for any step."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genmod.data.dataset import DataInfo
from genmod.errors import UsageError
from genmod.options.classes import classes_of, construct, find_class
from genmod.options.text import parse_call, plain_value
from genmod.system.random import seed_for
from genmod.training.flips_and_crops import FlipsAndCrops

__all__ = ["Augmentation"]

_FOR_OTHER_THINGS = re.compile(
    "bounding|clamp|convert|cut-mix|io-u|key-points|mix-up|temporal|to-|^(?:five|ten)-"
)


class Augmentation:
    """Transforms of stored examples: flips and crops of all at once, others one example at a time.

    The result is a function of (seed, step, example): it depends neither on workers nor on other examples.
    A call draws from the global random state and leaves it changed.

    Args:
        texts: transforms in their order, each ``NAME`` or ``NAME:VALUE,OPTION=VALUE,…``; names are those of
            ``torchvision.transforms.v2`` in any spelling.
        data: shape and range of the examples; the transforms must keep them.
        seed: of the run.

    Raises:
        UsageError: the data are not images, a transform does not exist or has no such option, or it rejects a value.

    Example:
        >>> flip = Augmentation(["random-horizontal-flip:1.0"], DataInfo((1, 1, 3), levels=4), seed=0)
        >>> flip(torch.tensor([[[[1, 2, 3]]]], dtype=torch.uint8), [7], step=0).tolist()
        [[[[3, 2, 1]]]]
    """

    def __init__(self, texts: Sequence[str], data: DataInfo, seed: int) -> None:
        self._texts, self._data, self._seed = tuple(texts), data, seed
        if not data.is_image:
            raise UsageError(
                f"--augment needs images; the examples have the shape {data.shape}",
                hint="leave out --augment",
            )
        self._transforms = [_make(text) for text in texts]
        self._moves = FlipsAndCrops.of(self._transforms, data.shape)

    def __call__(self, x: Tensor, indices: Sequence[int], step: int) -> Tensor:
        """The transformed examples, of the same shape and type.

        Args:
            x: the stored examples, ``(B, *data.shape)``.
            indices: their indices in the split, ``(B,)``.
            step: optimizer step, counted from 0.

        Raises:
            UsageError: the transforms change shape, type or range.
        """
        seeds = [seed_for(self._seed, f"augment/{step}", index) for index in indices]
        result = self._together(x, seeds)
        if result is None:
            result = torch.empty_like(x)
            for place, seed in enumerate(seeds):
                result[place] = self._one(x[place], seed)
        low, high = self._bounds(x)
        if len(x) and not low <= float(result.min()) <= float(result.max()) <= high:
            raise self._unfit(
                f"values from {low:g} to {high:g} into {float(result.min()):g} to {float(result.max()):g}",
                "choose transforms that keep the range of the data",
            )
        return result

    def _together(self, x: Tensor, seeds: Sequence[int]) -> Tensor | None:
        """All examples at once; None where that cannot be, or fails: one at a time says why."""
        if self._moves is None or not len(x):
            return None
        try:
            result = self._moves(x, seeds)
        except (TypeError, ValueError, RuntimeError):
            return None
        self._check_kind(x[0], result[0])
        return result

    def _one(self, stored: Tensor, seed: int) -> Tensor:
        """One example, by torchvision alone."""
        torch.default_generator.manual_seed(seed)
        example = stored
        for text, transform in zip(self._texts, self._transforms, strict=True):
            try:
                example = transform(example)
            except (TypeError, ValueError, RuntimeError) as error:
                raise UsageError(
                    f"--augment {text} does not work on examples that are {_kind(stored)}: {error}",
                    hint="choose transforms of values as they are stored, which are scaled later: random-crop, "
                    "random-horizontal-flip, color-jitter; leave out normalize",
                ) from error
        self._check_kind(stored, example)
        return example

    def _check_kind(self, before: Tensor, after: Tensor) -> None:
        if after.shape != before.shape or after.dtype != before.dtype:
            raise self._unfit(f"{_kind(before)} into {_kind(after)}", "crop to the size that the data have")

    def _bounds(self, x: Tensor) -> tuple[float, float]:
        if x.is_floating_point():
            # Rounding in a transform may give values just outside the range.
            slack = 1e-4 * (1 + abs(self._data.low) + abs(self._data.high))
            return self._data.low - slack, self._data.high + slack
        return 0, (self._data.levels or 256) - 1

    def _unfit(self, change: str, hint: str) -> UsageError:
        return UsageError(f"--augment {' --augment '.join(self._texts)} turns {change}", hint=hint)


def _kind(example: Tensor) -> str:
    return f"{str(example.dtype).removeprefix('torch.')} of shape {tuple(example.shape)}"


def _make(text: str) -> Any:
    from torchvision.transforms import InterpolationMode, v2

    name, values, named = parse_call(text)
    # Transforms that take functions or other transforms cannot be written as a name with options.
    every = classes_of(v2, v2.Transform, without=("lambd", "transforms"))
    of_images = {key: cls for key, cls in every.items() if not _FOR_OTHER_THINGS.search(key)}
    cls = find_class("transform", name, of_images)
    arguments = {key: plain_value(value) for key, value in named.items()}
    if "interpolation" in arguments:
        mode = f"interpolation of transform {text!r}"
        arguments["interpolation"] = construct(mode, InterpolationMode, (arguments["interpolation"],), {})
    return construct(f"transform {text!r}", cls, [plain_value(value) for value in values], arguments)
