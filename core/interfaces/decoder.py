"""Decoders: likelihoods, which map the output of a network to a distribution over data."""

from abc import ABC, abstractmethod

from torch import Tensor
from torch.distributions import Distribution

from genmod.data.dataset import DataInfo
from genmod.interfaces.observations import Observations
from genmod.interfaces.part import Part
from genmod.system.explained import explained

__all__ = ["Decoder"]


@explained
class Decoder(Part, Observations, ABC):
    """A likelihood ``p(x|z)``, given the output of a network.

    ``parameters (*batch, *parameter_shape) → Distribution`` with ``batch_shape batch`` and ``event_shape
    data.shape``; its ``mean`` is shown as the reconstruction.

    The laws: the density is normalised over :attr:`support`, constants included; all finite parameters give finite
    log-densities and gradients; if values are independent, each column of a table is observed and scored as it would
    be alone, unless the columns share an exposure.

    Args:
        data: shape and range of the data.
    """

    is_density: bool = True
    """Whether ``log p(x|z)`` is normalised; a pseudo-likelihood has no NLL and no bits/dim."""

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
