"""Divergences: how far a posterior is from the prior."""

from abc import ABC, abstractmethod

from torch import Tensor, nn
from torch.distributions import Distribution

from genmod.errors import UndefinedError

__all__ = ["Divergence"]


class Divergence(nn.Module, ABC):
    """A divergence of a posterior from a prior, in nats per data point.

    ``q (B,), p (), z (K, B, *latent_shape) → (B,)``

    The laws: zero in expectation where ``q = p``; non-negative in expectation; the value of an example does
    not depend on the size of the batch.
    """

    is_kl: bool = False
    """Whether the expected value is ``KL(q‖p)``, so that distortion plus divergence is a bound."""

    needs_prior: bool = True
    """Whether there must be a prior to compare with."""

    needs_densities: bool = True
    """Whether ``q`` and ``p`` must have densities."""

    @abstractmethod
    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        """Divergence of each example.

        Args:
            q: posterior, ``batch_shape (B,)``.
            p: prior, ``batch_shape ()`` or ``(B,)``.
            z: draws from ``q``, ``(K, B, *latent_shape)``, shared with the reconstruction term.

        Returns:
            ``(B,)``, nats.
        """

    def check(self, q: Distribution, p: Distribution) -> None:
        """Called once with distributions of the types and shapes that :meth:`forward` will get, without values.

        Raises:
            UndefinedError: this pair has no such divergence; the hint says which has.
        """
        return

    def by_dimension(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        """The parts of :meth:`forward` that belong to each latent dimension, ``(B, *latent_shape)``, nats.

        Raises:
            UndefinedError: it does not fall apart into dimensions.
        """
        raise UndefinedError(
            f"{type(self).__name__} between {type(q).__name__} and {type(p).__name__} does not fall apart into dimensions",
            hint="use a divergence that does, such as --divergence kl with --posterior normal --prior normal",
        )
