"""Observations: how stored examples become what a density scores, and on what the density is."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint

from genmod.data.dataset import DataInfo
from genmod.system.explained import explained

__all__ = ["Observations"]


@explained
class Observations:
    """What a density of data is of: its support, and how examples become the observations that it scores.

    Args:
        data: shape and range of the data.
        support: of the density, event dimensions included.
        dequantize: whether :meth:`observe` adds uniform noise to data with levels.

    Example:
        >>> from torch.distributions import constraints
        >>> pixels = Observations(DataInfo((1, 8, 8), levels=17), constraints.independent(constraints.real, 3), dequantize=True)
        >>> pixels.cell, pixels.observed.low
        (0.0625, -0.03125)
    """

    data: DataInfo
    """Shape and range of the data."""

    support: Constraint
    """Support of the density, event dimensions included."""

    dequantize: bool = False
    """Whether :meth:`observe` adds uniform noise, one step wide, to data with levels; see :meth:`dequantized`."""

    exposure: str = ""
    """Name of a number above 0 that the density is given of each example, see :attr:`Decoder.exposure`; empty for none."""

    def __init__(self, data: DataInfo, support: Constraint, *, dequantize: bool = False) -> None:
        self.data, self.support, self.dequantize = data, support, dequantize

    @property
    def cell(self) -> float | None:
        """Width of the cell of one observed value, in the units of the density, for bits per dimension.

        1 if it is a probability or the data are counts; the step between two levels if it is a density of data with
        levels; None if the data are continuous, because their code length depends on the unit.
        """
        if self.support.is_discrete or self.data.counts:
            return 1.0
        return None if self.data.levels is None else (self.data.high - self.data.low) / (self.data.levels - 1)

    @property
    def observed(self) -> DataInfo:
        """Shape and range of the observations that :meth:`observe` returns."""
        if not self.dequantize or self.cell is None:
            return self.data
        half = self.cell / 2
        return replace(self.data, low=self.data.low - half, high=self.data.high + half, levels=None)

    def observe(self, x: Tensor) -> Tensor:
        """The observation that is encoded and scored, such as a binarised image.

        ``x (B, *data.shape)`` float → ``(B, *data.shape)`` float; may draw from the global random state.
        """
        return self.dequantized(x) if self.dequantize else x

    def dequantized(self, x: Tensor) -> Tensor:
        """Data with levels, ``x (B, *data.shape)``, with uniform noise added: their density bounds the probability.

        ``E_u[log p(x + u)] ≤ log (P(x) / cell)``, ``u`` uniform in ``±cell/2``, ``P(x)`` the probability of that cell

        Reference:
            A note on the evaluation of generative models (Theis et al., 2015), arXiv:1511.01844
        """
        return x + (self.cell or 0.0) * (torch.rand_like(x) - 0.5)
