"""Posteriors: from features to a distribution over latents."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor
from torch.distributions import Distribution
from torch.distributions.constraints import Constraint

from genmod.interfaces.part import Part
from genmod.system.explained import explained

__all__ = ["Joint", "Posterior"]

Joint = Callable[[Tensor], Tensor]
"""``z (*samples, B, *latent_shape) → log p(x, z) (*samples, B)``, nats, of the examples that are encoded."""


@explained
class Posterior(Part, ABC):
    """Maps features to an approximate posterior ``q(z|x)``.

    ``features (B, *feature_shape) → Distribution`` with ``batch_shape (B,)`` and ``event_shape latent_shape``.

    The laws: draws are reparametrised (``has_rsample``) and lie in :attr:`support`; the distribution of an
    example depends on its own features only; features of any finite size give finite densities, and rates that agree
    with what is known of them: a draw that rounding puts at the edge of its support keeps what it loses
    (:func:`genmod.distributions.drawn`), and densities are evaluated there.

    Args:
        feature_shape: shape of one example's features.
        latent_shape: the latent shape that was asked for.
    """

    support: Constraint | None
    """Where latents lie, event dimensions included; None where a point can lie anywhere."""

    has_density: bool = True
    """Whether ``log q(z|x)`` exists; not for a point mass."""

    wants_joint: bool = False
    """Whether its draws are moved along ``log p(x, z)``, which :meth:`forward` then takes as a second argument.

    That is ``joint: Joint | None = None``, and None while there is no such density yet, as while a model is checked.
    """

    wants_prior: bool = False
    """Whether it is made relative to ``p(z)``, or ``p(z|context)``, which :meth:`forward` then takes by name.

    That is ``prior: Distribution | None = None``, and None where it is asked by itself.
    """

    def __init__(self, feature_shape: tuple[int, ...], latent_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.feature_shape = feature_shape
        self.latent_shape = latent_shape

    @abstractmethod
    def forward(self, features: Tensor) -> Distribution:
        """``features (B, *feature_shape)`` → ``q(z|x)``, ``batch_shape (B,)``, ``event_shape latent_shape``."""
