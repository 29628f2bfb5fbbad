"""Faults in densities and draws, of whatever makes a distribution."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from genmod.system.random import reseed
from genmod.testing.mutation.distributions import Change, makes
from genmod.testing.mutation.mutator import Attributes, NoChange, Seen, constructed, mutates

__all__: list[str] = []

_DENSITIES = ("decoder", "posterior", "prior", "sampler")
_DRAWN = ("posterior", "prior", "sampler")


def _scored(cls: Any, seen: Seen, change: Change) -> Attributes:
    """``log_prob`` with another result: ``change(distribution, result)``."""
    if not getattr(cls, "has_density", True):
        raise NoChange("it has no density")
    return makes(
        cls, seen, {"log_prob": lambda d, original, value: seen(found := original(), change(d, found))}
    )


def _asked(cls: Any, seen: Seen, change: Change) -> Attributes:
    """``log_prob`` of another value: ``change(distribution, value)``."""
    if not getattr(cls, "has_density", True):
        raise NoChange("it has no density")

    def log_prob(distribution: Any, original: Change, value: Any) -> Any:
        return seen(original(), original(change(distribution, value)))

    return makes(cls, seen, {"log_prob": log_prob})


def _drawn(cls: Any, seen: Seen, change: Change) -> Attributes:
    """Draws: ``change(distribution, original)``."""

    def draw(distribution: Any, original: Change, *shape: Any) -> Any:
        return seen.surely(change(distribution, original))

    return makes(cls, seen, {"sample": draw, "rsample": draw})


def _count(distribution: Any) -> int:
    return int(distribution.event_shape.numel())


@mutates("log_prob is doubled", *_DENSITIES, check="check_normalised")
def _doubled(cls: Any, seen: Seen) -> Attributes:
    return _scored(cls, seen, lambda d, found: 2 * found)


@mutates("a constant is missing from log_prob", *_DENSITIES, check="check_normalised")
def _constant(cls: Any, seen: Seen) -> Attributes:
    return _scored(cls, seen, lambda d, found: found + 0.5 * math.log(2 * math.pi) * _count(d))


@mutates("log-densities are averaged over values, not summed", *_DENSITIES, check="check_normalised")
def _averaged(cls: Any, seen: Seen) -> Attributes:
    return _scored(cls, seen, lambda d, found: found / max(_count(d), 1))


@mutates("one value is not scored", *_DENSITIES, check="check_normalised")
def _left_out(cls: Any, seen: Seen) -> Attributes:
    def without(distribution: Any, value: Tensor) -> Tensor:
        if not distribution.event_shape or distribution.event_shape[-1] < 2:
            return value
        return torch.cat([value[..., 1:2], value[..., 1:]], -1)

    return _asked(cls, seen, without)


@mutates("values are scored in another order", *_DENSITIES, check="check_draws")
def _flipped(cls: Any, seen: Seen) -> Attributes:
    return _asked(cls, seen, lambda d, value: value.flip(-1) if d.event_shape else value)


@mutates("values far out are scored as nearer ones", *_DENSITIES, check="check_normalised")
def _cut(cls: Any, seen: Seen) -> Attributes:
    return _asked(cls, seen, lambda d, value: value.clamp(-1.5, 1.5))


@mutates("log_prob is that of the whole batch", "decoder", "posterior", check="check_batch_independence")
def _of_batch(cls: Any, seen: Seen) -> Attributes:
    def mean(distribution: Any, found: Tensor) -> Tensor:
        return found.mean(-1, keepdim=True).expand(found.shape) if distribution.batch_shape else found

    return _scored(cls, seen, mean)


@mutates("no gradient flows through log_prob", "decoder", check=("check_gradient", "check_density_gradient"))
def _detached(cls: Any, seen: Seen) -> Attributes:
    return _scored(cls, seen, lambda d, found: found.detach())


@mutates("draws are averages of two", *_DRAWN, "decoder", check="check_draws")
def _narrow(cls: Any, seen: Seen) -> Attributes:
    return _drawn(cls, seen, lambda d, original: (original() + original()) / 2)


@mutates("draws are the same each time", *_DRAWN, check="check_randomness")
def _seeded(cls: Any, seen: Seen) -> Attributes:
    def draw(distribution: Any, original: Change) -> Any:
        reseed(3)
        return original()

    return _drawn(cls, seen, draw)


@mutates("no gradient flows through draws", "posterior", check="check_rsample_gradient")
def _cut_off(cls: Any, seen: Seen) -> Attributes:
    def draw(distribution: Any, original: Change, *shape: Any) -> Any:
        found = original()
        return seen(found, found.detach())

    return makes(cls, seen, {"rsample": draw})


@mutates("the mean is half of what it is", *_DENSITIES, check="check_mean")
def _mean(cls: Any, seen: Seen) -> Attributes:
    return makes(cls, seen, {"mean": lambda d, found: found / 2})


@mutates("another support is declared", *_DENSITIES[:3], check="check_support")
def _support(cls: Any, seen: Seen) -> Attributes:
    def declare(part: Any) -> None:
        own = part.support
        if own is not None:
            real = bool(own.check(torch.full((2,) * own.event_dim, -3.25)).all())
            wrong = constraints.nonnegative if real else constraints.real
            part.support = constraints.independent(wrong, own.event_dim)

    return constructed(cls, declare, seen)
