"""Decoders: likelihoods, which map the output of a network to a distribution over data."""

from abc import ABC, abstractmethod
from dataclasses import replace

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.distributions.constraints import Constraint

from genmod.data.dataset import DataInfo
from genmod.interfaces.part import Part

__all__ = ["Decoder"]


class Decoder(Part, ABC):
    """A likelihood ``p(x|z)``, given the output of a network.

    ``parameters (*batch, *parameter_shape) → Distribution`` with ``batch_shape batch`` and ``event_shape
    data.shape``; its ``mean`` is shown as the reconstruction.

    The laws: the density is normalised over :attr:`support`, constants included; all finite parameters give finite
    log-densities and gradients; if values are independent, each column of a table is observed and scored as it would
    be alone, unless the columns share an exposure.

    Args:
        data: shape and range of the data.
    """

    support: Constraint
    """Support of ``p(x|z)``, event dimensions included."""

    is_density: bool = True
    """Whether ``log p(x|z)`` is normalised; a pseudo-likelihood has no NLL and no bits/dim."""

    dequantize: bool = False
    """Whether :meth:`observe` adds uniform noise, one step wide, to data with levels; see :meth:`dequantized`."""

    parameter_shape: tuple[int, ...]
    """Shape of the network's output for one example; set by the constructor."""

    exposure: str = ""
    """Name of a number above 0 that the likelihood is given of each example beside its latents, such as its ``depth``.

    ``p(x|z, l)``, so that bounds are on ``log p(x|l)``. Empty for none. A decoder with an exposure has
    :meth:`log_exposure` and :meth:`log_exposures`, and :meth:`forward` takes ``exposure (*batch)``, the logarithm.
    """

    wants_conditions: bool = False
    """Whether :meth:`forward` takes ``conditions (*batch, size)`` of a conditional model; :meth:`bind` tells the size."""

    def __init__(self, data: DataInfo) -> None:
        super().__init__()
        self.data = data

    @property
    def cell(self) -> float | None:
        """Width of the cell of one observed value, in the units of the density, for bits per dimension.

        1 if ``p(x|z)`` is a probability or the data are counts; the step between two levels if it is a density of data
        with levels; None if the data are continuous, because their code length depends on the unit.
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

    def log_exposure(self, x: Tensor) -> Tensor:
        """The logarithm of the exposure of examples, ``x (B, *data.shape)`` float ``→ (B,)``."""
        raise NotImplementedError

    def log_exposures(self, n: int, *, draw: bool) -> Tensor:
        """Logarithms of the exposure of ``n`` new examples, ``(n,)``: draws as in the training data, or a typical one."""
        raise NotImplementedError

    @abstractmethod
    def forward(self, parameters: Tensor) -> Distribution:
        """``parameters (*batch, *parameter_shape)`` → ``p(x|z)``, ``batch_shape batch``.

        What else a decoder wants, its ``exposure`` and ``conditions``, are keyword arguments with a default.
        """
