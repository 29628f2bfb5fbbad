"""Decoders: likelihoods, from the output of a network to a distribution over data."""

from abc import ABC, abstractmethod

from torch import Tensor, nn
from torch.distributions import Distribution
from torch.distributions.constraints import Constraint

from genmod.dataset import DataInfo

__all__ = ["Decoder"]


class Decoder(nn.Module, ABC):
    """A likelihood ``p(x|z)``, given the output of a network.

    ``parameters (*batch, *parameter_shape) → Distribution`` with ``batch_shape batch`` and ``event_shape
    data.shape``; its ``mean`` is the picture shown of a reconstruction.

    The laws: the density is normalised over :attr:`support`, constants included; parameters of any finite
    size give finite log-densities and gradients.

    Args:
        data: shape and range of the data.
    """

    support: Constraint
    """Which observations have a density, event dimensions included."""

    is_density: bool = True
    """Whether ``log p(x|z)`` is a normalised log-density; a pseudo-likelihood has no NLL and no bits/dim."""

    parameter_shape: tuple[int, ...]
    """Shape of the network's output for one example; set by the constructor."""

    def __init__(self, data: DataInfo) -> None:
        super().__init__()
        self.data = data

    @property
    def observed(self) -> DataInfo:
        """What the observations made by :meth:`observe` look like; the data themselves unless it changes them."""
        return self.data

    def observe(self, x: Tensor) -> Tensor:
        """The observation that is encoded and scored, such as a binarised image.

        ``x (B, *data.shape)`` float → ``(B, *data.shape)`` float; may draw from the global random state.
        """
        return x

    @abstractmethod
    def forward(self, parameters: Tensor) -> Distribution:
        """``parameters (*batch, *parameter_shape)`` → ``p(x|z)``, ``batch_shape batch``."""
