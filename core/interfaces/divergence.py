"""Divergences: how far a posterior is from the prior."""

from abc import ABC, abstractmethod
from typing import Literal

from torch import Tensor
from torch.distributions import Distribution

from genmod.defaults import NORMAL_LATENTS, USUAL
from genmod.errors import UndefinedError
from genmod.interfaces.part import Part
from genmod.system.explained import explained

__all__ = ["Divergence"]


@explained
class Divergence(Part, ABC):
    """A divergence of a posterior from a prior, in nats per data point.

    ``q (B,), p (), z (K, B, *latent_shape) → (B,)``

    The laws: zero in expectation if ``q = p``; non-negative in expectation; the value of an example does not depend
    on the other examples. A divergence of a whole batch of latents declares :attr:`batch_statistics`; it returns the
    number of the batch for each example, so that their mean is that number, and the laws hold for the batch.
    """

    is_kl: bool = False
    """Whether the expected value is ``KL(q‖p)``, so that distortion plus divergence is a bound."""

    needs_prior: bool = True
    """Whether the model must have a prior."""

    needs_densities: bool = True
    """Whether ``q`` and ``p`` must have densities."""

    batch_statistics: Literal["none", "global", "local"] = "none"
    """What the value of an example depends on beside the example: ``none``; ``global``, the batch of all processes,
    by :mod:`genmod.system.parallel`; or ``local``, the batch of one process, with which only one process can train."""

    zero_at_prior: bool = True
    """Whether it is zero, but for the error of a finite batch, where every posterior is the prior; not where it is a penalty
    on something else, or an estimate that is off by what the size of a batch sets."""

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
        """Called once with distributions of the types and shapes that :meth:`forward` will be given, without values.

        Raises:
            UndefinedError: the divergence is undefined for this pair; the hint names one that is defined.
        """
        return

    def set_dataset_size(self, dataset_size: int) -> None:
        """Called when a run begins or is resumed, with the number of training examples; keep what depends on it in buffers."""
        # Older plugins define this method under the name `prepare`.
        if type(self).prepare is not Part.prepare and not self.examples_wanted:
            self.prepare(dataset_size)  # type: ignore[arg-type]

    def by_dimension(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        """The contribution of each latent to :meth:`forward`, ``(B, *latent_shape)``, nats.

        ``(B, number of variables)`` if several values are one variable, as the probabilities of classes are. A
        divergence that is a sum over independent latents is decomposed by :func:`genmod.distributions.kl.by_variable`.

        Raises:
            UndefinedError: it does not decompose into dimensions.
        """
        raise UndefinedError(
            f"{type(self).__name__} between {type(q).__name__} and {type(p).__name__} does not decompose into dimensions",
            hint=f"use a divergence that does, such as --divergence {USUAL['divergence']} with {NORMAL_LATENTS}",
        )

    def by_part(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        """The contribution of each part of the latents to :meth:`forward`, ``(B, parts)``, nats.

        Latents of several kinds have one part for each kind; others are a single part.
        """
        return self(q, p, z)[:, None]  # type: ignore[no-any-return]
