"""Likelihoods of examples with missing values."""

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent
from torch.distributions.constraints import Constraint
from torch.distributions.utils import _sum_rightmost

from genmod.defaults import INDEPENDENT_VALUES
from genmod.errors import UndefinedError, UsageError

__all__ = ["Marginal", "log_prob_by_value"]


class Marginal(Distribution):
    """The likelihood of the observed values of an example; missing values, which are NaN, are integrated out.

    ``log p(x_observed) = Σ_{i observed} log p(x_i)``

    Args:
        likelihood: ``batch_shape batch``, ``event_shape data_shape``, with independent values.
        value: any value in its support; it replaces missing ones before their densities are left out.

    Raises:
        UsageError: the values of the likelihood depend on each other.

    Reference:
        MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets (Mattei and Frellsen, 2019),
        arXiv:1812.02633

    Example:
        >>> from torch.distributions import Normal
        >>> likelihood = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
        >>> Marginal(likelihood, 0.0).log_prob(torch.tensor([0.0, float("nan")]))
        tensor(-0.9189)
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}

    def __init__(self, likelihood: Distribution, value: float) -> None:
        if not isinstance(likelihood, Independent) or likelihood.base_dist.event_shape:
            raise UsageError(
                f"the values of a {type(likelihood).__name__} depend on each other, so missing ones cannot be left out",
                hint=f"choose a decoder with independent values: {INDEPENDENT_VALUES}",
            )
        self.likelihood, self._value = likelihood, value
        super().__init__(likelihood.batch_shape, likelihood.event_shape, validate_args=False)

    @property
    def support(self) -> Constraint:  # type: ignore[override]
        return self.likelihood.support

    @property
    def mean(self) -> Tensor:
        return self.likelihood.mean

    @property
    def mode(self) -> Tensor:
        return self.likelihood.mode

    @property
    def variance(self) -> Tensor:
        return self.likelihood.variance

    def expand(self, batch_shape: Any, _instance: object = None) -> "Marginal":
        return Marginal(self.likelihood.expand(torch.Size(batch_shape)), self._value)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        return self.likelihood.sample(torch.Size(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        seen = ~value.isnan()
        each = self.likelihood.base_dist.log_prob(torch.where(seen, value, self._value))
        total: Tensor = _sum_rightmost(
            torch.where(seen, each, 0.0), self.likelihood.reinterpreted_batch_ndims
        )
        return total


def log_prob_by_value(likelihood: Distribution, x: Tensor) -> Tensor:
    """``log p(x_i)`` of each value, in nats, NaN where it is missing.

    ``x (*batch, *event_shape) → (*batch, *event_shape)``, broadcast against the batch of the likelihood

    Args:
        likelihood: of independent values, or the :class:`Marginal` of one.
        x: observations.

    Raises:
        UndefinedError: the values of the likelihood depend on each other.

    Example:
        >>> from torch.distributions import Normal
        >>> likelihood = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
        >>> log_prob_by_value(likelihood, torch.tensor([0.0, 1.0]))
        tensor([-0.9189, -1.4189])
    """
    inner, value = (
        (likelihood.likelihood, likelihood._value) if isinstance(likelihood, Marginal) else (likelihood, 0.0)
    )
    if not isinstance(inner, Independent) or inner.base_dist.event_shape:
        raise UndefinedError(
            f"the values of a {type(inner).__name__} depend on each other, so that none has a likelihood of its own",
            hint=f"build a model with independent values: --decoder {INDEPENDENT_VALUES.split(', ')[0]}",
        )
    seen = ~x.isnan()
    return torch.where(seen, inner.base_dist.log_prob(torch.where(seen, x, value)), torch.nan)
