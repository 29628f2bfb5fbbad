"""A normal distribution transported by invertible maps: a normalising flow."""

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, final

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, constraints

from genmod.distributions import drawn, own_of

__all__ = ["Map", "Transported"]


class Map(Protocol):
    """An invertible map of vectors, ``(*sample, *batch, n)``, with the logarithm of its determinant ``(*sample, *batch)``."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` → ``y`` and ``log |det dy/dx|``."""

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """``y`` → ``x`` and ``log |det dy/dx|``."""


@final
class Transported(Distribution):
    """The distribution of draws of another after invertible maps.

    ``z = f_T(… f_1(ε))``, ``log p(z) = log p(ε) - Σ_t log |det df_t|``

    A draw keeps its density: that of ``z = q.rsample(…)`` costs nothing more, which counts where a map is slow in one
    direction. The density of any other value is found by going back.

    Args:
        base: over vectors, ``batch_shape batch``, ``event_shape (n,)``.
        maps: in the order in which a draw goes through them.
        event_shape: shape of one event of n values.

    Reference:
        Variational Inference with Normalizing Flows (Rezende and Mohamed, 2015), arXiv:1505.05770

    Example:
        >>> from genmod import diagonal_normal
        >>> base = diagonal_normal(torch.zeros(3, 4), torch.zeros(3, 4), 1)
        >>> Transported(base, [], (2, 2)).sample((5,)).shape
        torch.Size([5, 3, 2, 2])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    has_rsample = True

    def __init__(self, base: Independent, maps: Sequence[Map], event_shape: tuple[int, ...]) -> None:
        self.base, self.maps = base, maps
        super().__init__(base.batch_shape, torch.Size(event_shape), validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.real, len(self.event_shape))

    def expand(self, batch_shape: Any, _instance: object = None) -> "Transported":
        return Transported(self.base.expand(torch.Size(batch_shape)), self.maps, tuple(self.event_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        x: Tensor = self.base.rsample(torch.Size(sample_shape))
        density = self.base.log_prob(x)
        for each in self.maps:
            x, log_det = each.forward(x)
            density = density - log_det
        kept = density[..., None].expand(x.shape)
        shape = (*x.shape[:-1], *self.event_shape)
        return drawn(x.reshape(shape), {self: kept.reshape(shape)})

    def log_prob(self, value: Tensor) -> Tensor:
        own = own_of(value, self)
        if own is not None:
            density = own.flatten(-len(self.event_shape))[..., 0]
            return density if torch.is_grad_enabled() else density.detach()
        batch = value.shape[: value.dim() - len(self.event_shape)]
        if len(batch) < len(self._batch_shape):
            # Networks of maps do not broadcast.
            value = value.expand(*torch.broadcast_shapes(batch, self._batch_shape), *self.event_shape)
        x = value.flatten(-len(self.event_shape))
        total: Tensor | float = 0.0
        for each in reversed(self.maps):
            x, log_det = each.inverse(x)
            total = total + log_det
        density = self.base.log_prob(x) - total
        return density
