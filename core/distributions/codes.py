"""Codebooks, and distributions of latents that are entries of one: point masses, and priors over their codes."""

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints, register_kl
from torch.distributions.constraints import Constraint
from torch.nn.functional import one_hot

from genmod.distributions.point import PointMass

__all__ = ["Codebook", "Coded", "CodedPrior", "InCodebook", "IntegerCodes"]


class Codebook(ABC):
    """Finitely many vectors of which latents consist, numbered by integer codes.

    A posterior that draws such vectors is a codebook too. Its prior is then a prior over the codes, built for one-hot
    latents of shape ``(*shape, classes)``.
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of the codes of one latent."""

    @property
    @abstractmethod
    def classes(self) -> int:
        """Number of values of a code."""

    @property
    def codebooks(self) -> int:
        """How many sets of vectors lie side by side in each place; in the flattened codes their places alternate."""
        return 1

    @abstractmethod
    def codes(self, z: Tensor) -> Tensor:
        """The codes of latents, ``(*batch, *latent_shape) → (*batch, *shape)`` int64: those of the nearest vectors."""

    @abstractmethod
    def embed(self, codes: Tensor) -> Tensor:
        """The latents of codes, ``(*batch, *shape)`` int64 → ``(*batch, *latent_shape)``."""


class InCodebook(Constraint):
    """Constraint: latents that consist of vectors of a codebook.

    Args:
        codebook: the codebook.
        dims: number of dimensions of one latent.
    """

    is_discrete = True

    def __init__(self, codebook: Codebook, dims: int) -> None:
        # In a tuple: a codebook may be a module, which torch would register as a submodule of whatever has the support.
        self._codebook, self._dims = (codebook,), dims
        super().__init__()

    @property
    def codebook(self) -> Codebook:
        """The codebook."""
        return self._codebook[0]

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return self._dims

    def check(self, value: Tensor) -> Tensor:  # type: ignore[override]
        nearest = self.codebook.embed(self.codebook.codes(value)).to(value)
        # Latents may have been saved in another precision.
        close = (value - nearest).abs() <= 1e-3 * (1e-3 + nearest.abs())
        return close.flatten(value.dim() - self._dims).all(-1)

    def quadrature(self, event_shape: tuple[int, ...], count: int) -> tuple[Tensor, Tensor] | None:
        """All latents, each with weight 1; None if there are more than 5,000."""
        classes, places = self.codebook.classes, math.prod(self.codebook.shape)
        if places * math.log(classes) > math.log(5000):
            return None
        every = torch.cartesian_prod(*[torch.arange(classes)] * places).reshape(-1, *self.codebook.shape)
        points = self.codebook.embed(every).detach().double()
        return points, torch.ones(len(points), dtype=torch.float64)

    def __str__(self) -> str:
        return f"a codebook of {self.codebook.classes} vectors"


class Coded(PointMass):
    """A point mass at one latent of a codebook.

    ``log q(z) = 0`` if z is that latent, else ``-inf``; a log-probability, like that of a prior over codes.

    Args:
        encoded: the vector before quantisation, ``(*batch, *latent_shape)``.
        codes: ``(*batch, *codebook.shape)`` int64.
        point: the latent of these codes, whose gradient flows to ``encoded``, ``(*batch, *latent_shape)``.
        codebook: the codebook.
    """

    def __init__(self, encoded: Tensor, codes: Tensor, point: Tensor, codebook: Codebook) -> None:
        self.encoded, self.codes, self.codebook = encoded, codes, codebook
        super().__init__(point, point.dim() - codes.dim() + len(codebook.shape))

    @property
    def support(self) -> Constraint:  # type: ignore[override]
        return InCodebook(self.codebook, len(self.event_shape))

    def expand(self, batch_shape: Any, _instance: object = None) -> "Coded":
        encoded, point = (each.expand(*batch_shape, *self.event_shape) for each in (self.encoded, self.point))
        return Coded(encoded, self.codes.expand(*batch_shape, *self.codebook.shape), point, self.codebook)

    def log_prob(self, value: Tensor) -> Tensor:
        same = _all(self.codebook.codes(value) == self.codes, len(self.codebook.shape))
        # The point itself counts, even if rounding makes the vector of another code the nearest.
        same = same | _all(value == self.point, len(self.event_shape))
        return torch.zeros_like(same, dtype=value.dtype).masked_fill(~same, -math.inf)


class IntegerCodes(Distribution, ABC):
    """A distribution of integer codes; its events are their one-hot vectors.

    Args:
        shape: shape of the codes of one latent.
        classes: number of values of a code.
        batch_shape: batch shape of the distribution.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, shape: tuple[int, ...], classes: int, batch_shape: Any = ()) -> None:
        self.shape, self.classes = shape, classes
        super().__init__(torch.Size(batch_shape), torch.Size((*shape, classes)), validate_args=False)

    @property
    def support(self) -> Constraint:  # type: ignore[override]
        return constraints.independent(constraints.one_hot, len(self.shape))

    @abstractmethod
    def log_prob_of(self, codes: Tensor) -> Tensor:
        """``(*batch, *shape)`` int64 → ``(*batch,)``, nats."""

    @abstractmethod
    def sample_codes(self, sample_shape: Any = ()) -> Tensor:
        """Draws, ``(*sample_shape, *batch_shape, *shape)`` int64."""

    def log_prob(self, value: Tensor) -> Tensor:
        return self.log_prob_of(value.argmax(-1))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return one_hot(self.sample_codes(sample_shape), self.classes).to(torch.get_default_dtype())


class CodedPrior(Distribution):
    """A prior over the latents of a codebook, from a distribution of their codes.

    ``p(z) = P(codes(z))``, a probability

    Args:
        codes: :class:`IntegerCodes`, or any distribution of one-hot vectors, ``(*codebook.shape, classes)``.
        codebook: the codebook.
        latent_shape: shape of one latent.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, codes: Distribution, codebook: Codebook, latent_shape: tuple[int, ...]) -> None:
        self.of, self.codebook = codes, codebook
        super().__init__(codes.batch_shape, torch.Size(latent_shape), validate_args=False)

    @property
    def support(self) -> Constraint:  # type: ignore[override]
        return InCodebook(self.codebook, len(self.event_shape))

    def expand(self, batch_shape: Any, _instance: object = None) -> "CodedPrior":
        return CodedPrior(self.of.expand(batch_shape), self.codebook, tuple(self.event_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        found = self.log_prob_of(self.codebook.codes(value))
        # Anything that is not a latent of the codebook has probability 0.
        return found.masked_fill(~self.support.check(value), -math.inf)

    def log_prob_of(self, codes: Tensor) -> Tensor:
        """``log P`` of codes ``(*batch, *codebook.shape)`` int64, ``(*batch,)``, nats."""
        if isinstance(self.of, IntegerCodes):
            return self.of.log_prob_of(codes)
        return self.of.log_prob(one_hot(codes, self.codebook.classes).to(torch.get_default_dtype()))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        if isinstance(self.of, IntegerCodes):
            return self.codebook.embed(self.of.sample_codes(sample_shape))
        return self.codebook.embed(self.of.sample(sample_shape).argmax(-1))


def _all(holds: Tensor, dims: int) -> Tensor:
    """``all`` over the last ``dims`` dimensions."""
    return holds.flatten(-dims).all(-1) if dims else holds


@register_kl(Coded, CodedPrior)
def _kl(q: Coded, p: CodedPrior) -> Tensor:
    """``-log P(codes)``, exact, because q is a point mass."""
    return -p.log_prob_of(q.codes)
