"""Normal distributions with correlations: what their forms share."""

from abc import abstractmethod
from typing import Any, ClassVar, Self

from torch import Tensor
from torch.distributions import Distribution, Independent, constraints, kl_divergence, register_kl

from genmod import LogScaleNormal

__all__ = ["Correlated"]


class Correlated(Distribution):
    """A normal distribution by its mean, scales and a matrix that mixes independent noise.

    Args:
        loc: mean, ``(*batch, *event_shape)``.
        log_scale: logarithm of the scales, the same shape.
        matrix: ``(*batch, rows, columns)``.
        event_dims: how many of the last dimensions are one event.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    has_rsample = True

    def __init__(self, loc: Tensor, log_scale: Tensor, matrix: Tensor, event_dims: int) -> None:
        self.loc, self.log_scale, self.matrix = loc, log_scale, matrix
        batch = loc.dim() - event_dims
        super().__init__(loc.shape[:batch], loc.shape[batch:], validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.real, len(self.event_shape))

    def expand(self, batch_shape: Any, _instance: object = None) -> Self:
        loc, log_scale = (each.expand(*batch_shape, *self.event_shape) for each in (self.loc, self.log_scale))
        matrix = self.matrix.expand(*batch_shape, *self.matrix.shape[-2:])
        return type(self)(loc, log_scale, matrix, len(self.event_shape))

    @property
    @abstractmethod
    def marginals(self) -> Independent:
        """The normal distribution with the same marginals and no correlations."""

    @abstractmethod
    def total_correlation(self) -> Tensor:
        """``KL(self ‖ marginals)``, ``(*batch)``, nats."""

    @property
    def mean(self) -> Tensor:
        return self.loc

    def entropy(self) -> Tensor:
        return self.marginals.entropy() - self.total_correlation()


@register_kl(Correlated, Independent)
def _kl(q: Correlated, p: Independent) -> Tensor:
    """``KL(q ‖ p) = KL(marginals ‖ p) + KL(q ‖ marginals)`` for a p without correlations."""
    if not isinstance(p.base_dist, LogScaleNormal):
        raise NotImplementedError
    return kl_divergence(q.marginals, p) + q.total_correlation()
