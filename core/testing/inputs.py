"""Shapes, data, options and weights with which components are checked."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, transform_to
from torch.distributions.constraints import Constraint

from genmod.data.dataset import DataInfo
from genmod.options.schema import REQUIRED, options_of
from genmod.options.types import Form

__all__ = [
    "DATA_SHAPES",
    "FEATURE_SHAPES",
    "INFOS",
    "LATENT_SHAPES",
    "PARAMETER_SHAPES",
    "examples",
    "jostle",
    "points_in",
    "points_or_draws",
    "tiny_infos",
    "variants",
]

DATA_SHAPES = (
    (1, 8, 8),
    (12,),
    (1, 28, 28),
    (3, 32, 32),
    (3, 33, 20),
    (2, 9, 16),
    (3, 64, 64),
    (1,),
    (3, 16),
)
"""Images of usual, odd and oblong sizes, rows of tables, and sequences of several channels."""

LATENT_SHAPES = ((5,), (1,), (16,), (2, 3), (3, 2, 2))

FEATURE_SHAPES = ((7,), (4, 3, 3))

PARAMETER_SHAPES = ((1, 8, 8), (12,), (1, 28, 28), (2, 3, 32, 32), (3, 33, 20), (3, 64, 64), (1,), (3, 16))

_RANGES: tuple[dict[str, Any], ...] = (
    {"levels": 2},
    {"levels": 256},
    {},
    {"low": -torch.inf, "high": torch.inf},
    {"low": -1.0, "high": 1.0},
    {"low": 0.0, "high": 255.0, "levels": 256},
    {"low": 0.0, "high": torch.inf},
    {"low": 0.0, "high": torch.inf, "counts": True},
)
"""Binary, 8-bit, unit interval, real, symmetric, unscaled and positive data, and counts."""

INFOS = tuple(DataInfo(shape, **limits) for limits in _RANGES for shape in ((1, 8, 8), (12,), (3, 9, 16)))


def tiny_infos(columns: int) -> tuple[DataInfo, ...]:
    """Data of so few values that a density can be integrated over them.

    Example:
        >>> [info.shape for info in tiny_infos(1)][:2]
        [(1,), (1, 1, 1)]
    """
    shapes = ((columns,), (1, 1, columns))
    return tuple(DataInfo(shape, **limits) for limits in _RANGES for shape in shapes)


def examples(info: DataInfo, batch: int, generator: torch.Generator | None = None) -> Tensor:
    """Examples within the declared range, ``(batch, *info.shape)`` float.

    Example:
        >>> examples(DataInfo((2,), levels=2), 3).shape
        torch.Size([3, 2])
    """
    # Always on the CPU: the same values on every default device, of which some have no values.
    if info.levels is not None:
        stored = torch.randint(info.levels, (batch, *info.shape), generator=generator, device="cpu")
        return info.values(stored)
    if info.counts:
        most = int(min(info.high, 20))
        return torch.randint(most + 1, (batch, *info.shape), generator=generator, device="cpu").float()
    low, high = max(info.low, -3.0), min(info.high, 3.0)
    return low + (high - low) * torch.rand((batch, *info.shape), generator=generator, device="cpu")


def points_in(
    support: Constraint | None, shape: tuple[int, ...], generator: torch.Generator | None = None
) -> Tensor | None:
    """Points of a support, of the given shape; None where torch has no transform to it from real numbers.

    Example:
        >>> from torch.distributions import constraints
        >>> points_in(constraints.unit_interval, (4,)).shape
        torch.Size([4])
    """
    if support is None:
        return None
    noise = torch.randn(shape, generator=generator, device="cpu")
    try:
        points: Tensor = transform_to(support)(noise)
    except NotImplementedError:
        return None
    return points if points.shape == noise.shape else None


def variants(cls: Any, given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The given options, then with each value of each choice among the others, one at a time.

    Example:
        >>> from typing import Literal
        >>> def noise(*, shape: Literal["flat", "round"] = "flat", size: int = 3): ...
        >>> list(variants(noise, {"size": 4}))
        [{'size': 4}, {'size': 4, 'shape': 'round'}]
    """
    yield dict(given)
    for option in options_of(cls):
        if option.name in given:
            continue
        for form in option.form.members:
            for value in _closed(form):
                if option.default is REQUIRED or (type(value), value) != (
                    type(option.default),
                    option.default,
                ):
                    yield {**given, option.name: value}


def _closed(form: Form) -> tuple[Any, ...]:
    return form.choices if form.kind == "choice" else (False, True) if form.kind == "bool" else ()


def points_or_draws(
    support: Constraint | None,
    distribution: Distribution,
    batch: tuple[int, ...],
    generator: torch.Generator,
) -> Tensor:
    """Points of a support, ``(*batch, *event_shape)``; draws where torch has no transform to it."""
    points = points_in(support, (*batch, *distribution.event_shape), generator)
    return distribution.sample(batch if not distribution.batch_shape else ()) if points is None else points


@torch.no_grad()
def jostle(part: Any) -> None:
    """Move every parameter a little; laws hold for all values."""
    for parameter in part.parameters() if isinstance(part, nn.Module) else ():
        if parameter.is_floating_point() and not parameter.is_meta:
            parameter.add_(0.1 * torch.randn_like(parameter))
