"""What likelihoods require of the data, with the errors where it is missing."""

from typing import Annotated

from torch import Tensor
from torch.distributions import constraints

from genmod import DataInfo, Decoder, Doc, UsageError

__all__ = [
    "Dequantize",
    "UnitIntervalDecoder",
    "cells_of_unit_interval",
    "require_counts",
    "require_dequantizable",
    "require_levels",
    "require_unit_interval",
]

Dequantize = Annotated[bool, Doc("spread levels evenly over their cells, anew each time")]


def require_unit_interval(name: str, data: DataInfo) -> None:
    """Refuse data that are not between 0 and 1.

    Raises:
        UsageError: they are not.
    """
    if (data.low, data.high) != (0, 1):
        raise UsageError(
            f"decoder {name!r} needs data from 0 to 1; these reach from {data.low:g} to {data.high:g}",
            hint="choose a likelihood for such data: --decoder gaussian",
        )


def require_levels(name: str, data: DataInfo) -> int:
    """The number of levels of the data.

    Raises:
        UsageError: they are continuous.
    """
    if data.levels is None:
        raise UsageError(
            f"decoder {name!r} gives a probability to each level of the data, and these have none",
            hint="choose a likelihood for such data: --decoder gaussian",
        )
    return data.levels


def require_counts(name: str, data: DataInfo) -> None:
    """Refuse data that are not counts.

    Raises:
        UsageError: they are not.
    """
    if not data.counts:
        raise UsageError(
            f"decoder {name!r} is for counts, whole numbers from 0 on, and these data were not declared as such",
            hint="if they are: -s dataset.counts=true (with --data npz); else --decoder gaussian",
        )


def require_dequantizable(name: str, data: DataInfo, dequantize: bool) -> bool:
    """``dequantize``, once it is known that there are levels to spread.

    Raises:
        UsageError: the data have no levels.
    """
    if dequantize and data.levels is None:
        raise UsageError(
            f"decoder {name!r} was given dequantize=true, and the data have no levels to spread",
            hint="leave -s decoder.dequantize out",
        )
    return dequantize


def cells_of_unit_interval(x: Tensor, levels: int, within: Tensor | float) -> Tensor:
    """Level ``k / (levels - 1)`` to the point ``(k + within) / levels`` of its cell, any shape → the same.

    Example:
        >>> import torch
        >>> cells_of_unit_interval(torch.tensor([0.0, 1.0]), 2, 0.5)
        tensor([0.2500, 0.7500])
    """
    return (x * (levels - 1) + within) / levels


class UnitIntervalDecoder(Decoder):
    """A likelihood with a density on the unit interval, for data from 0 to 1.

    Raises:
        UsageError: the data are not between 0 and 1, or have no levels to dequantize.
    """

    def __init__(self, data: DataInfo, name: str, dequantize: bool) -> None:
        require_unit_interval(name, data)
        super().__init__(data)
        self.dequantize = require_dequantizable(name, data, dequantize)
        self.support = constraints.independent(constraints.unit_interval, len(data.shape))

    @property
    def cell(self) -> float | None:
        return None if self.data.levels is None else 1 / self.data.levels
