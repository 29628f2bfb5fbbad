"""Divergences: how far a posterior is from the prior."""

from abc import ABC, abstractmethod
from typing import Literal

from torch import Tensor
from torch.distributions import Distribution

from genmod.defaults import NORMAL_LATENTS, USUAL
from genmod.errors import UndefinedError
from genmod.interfaces.part import Part

__all__ = ["Divergence"]


class Divergence(Part, ABC):
    """A divergence of a posterior from a prior, in nats per data point.

    ``q (B,), p (), z (K, B, *latent_shape) → (B,)``

    The laws: zero in expectation where ``q = p``; non-negative in expectation; the value of an example does
    not depend on the size of the batch. One that looks at the distribution of a whole batch of latents says
    so in :attr:`batch_statistics`; it returns a number of the batch for each of its examples, so that their
    mean is that number, and the laws hold for the batch.
    """

    is_kl: bool = False
    """Whether the expected value is ``KL(q‖p)``, so that distortion plus divergence is a bound."""

    needs_prior: bool = True
    """Whether there must be a prior to compare with."""

    needs_densities: bool = True
    """Whether ``q`` and ``p`` must have densities."""

    batch_statistics: Literal["none", "global", "local"] = "none"
    """What else the value of an example depends on: nothing; the batch of all processes, by means of
    :mod:`genmod.system.parallel`; or the batch of its own process, which several processes cannot be trained with."""

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

    def set_dataset_size(self, dataset_size: int) -> None:
        """Called when a run begins or is resumed, with the number of training examples; what depends on it is a buffer."""
        # The name that this had before, in plugins that have it still.
        if type(self).prepare is not Part.prepare and not self.examples_wanted:
            self.prepare(dataset_size)  # type: ignore[arg-type]

    def by_dimension(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        """The parts of :meth:`forward` that belong to each latent, ``(B, *latent_shape)``, nats.

        Where several latents are one variable, as the probabilities of classes are, ``(B, number of variables)``. A
        divergence that adds up over independent latents is taken apart by :func:`genmod.distributions.kl.by_variable`.

        Raises:
            UndefinedError: it does not fall apart into dimensions.
        """
        raise UndefinedError(
            f"{type(self).__name__} between {type(q).__name__} and {type(p).__name__} does not fall apart into dimensions",
            hint=f"use a divergence that does, such as --divergence {USUAL['divergence']} with {NORMAL_LATENTS}",
        )

    def by_part(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        """The parts of :meth:`forward` that belong to each part of latents of several kinds, ``(B, parts)``, nats.

        Latents of one kind are one part.
        """
        return self(q, p, z)[:, None]  # type: ignore[no-any-return]
