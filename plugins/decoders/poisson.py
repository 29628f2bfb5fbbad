"""Poisson likelihood for counts."""

from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, constraints

from genmod import DataInfo, Decoder, bounded_log_scale
from genmod.distributions import deviance, factorial_excess, precise, with_gradient_of
from genmod.plugins.decoders._ranges import require_counts

__all__ = ["LogRatePoisson", "PoissonDecoder", "bounded_log_rate"]


def bounded_log_rate(x: Tensor) -> Tensor:
    """An unbounded number to a log-rate in ``(-18, 18)``, the identity to first order at zero, any shape.

    Example:
        >>> bounded_log_rate(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.9985])
    """
    return 2 * bounded_log_scale(x / 2)


@final
class LogRatePoisson(Distribution):
    """A Poisson distribution that keeps the logarithm of its rate, which cannot become zero.

    ``log P(x) = x l - exp(l) - log x!``, computed as ``-D(x, exp(l)) - S(x)``: both are never negative, and small where
    the probability is not, whatever the count (see :mod:`genmod.distributions.log_gamma`)

    Args:
        log_rate: ``l``, any shape.

    Example:
        >>> LogRatePoisson(torch.zeros(())).log_prob(torch.tensor(0.0))
        tensor(-1.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"log_rate": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, log_rate: Tensor) -> None:
        self.log_rate = log_rate
        super().__init__(log_rate.shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: object = None) -> "LogRatePoisson":
        return LogRatePoisson(self.log_rate.expand(batch_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        log_rate = precise(self.log_rate)
        rate, x = log_rate.exp(), precise(value)
        with torch.no_grad():
            exact = -deviance(x, rate, log_rate) - factorial_excess(value)
        # The derivative needs none of it.
        return with_gradient_of(exact, x * log_rate - rate).to(self.log_rate.dtype)

    @property
    def mean(self) -> Tensor:
        return self.log_rate.exp()

    @property
    def variance(self) -> Tensor:
        return self.mean

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        return torch.poisson(self.mean.expand(self._extended_shape(sample_shape)))


@final
class PoissonDecoder(Decoder):
    """Independent counts with log-rates from the network.

    ``log p(x|z) = Σ_i x_i l_i - exp(l_i) - log x_i!``, nats

    ``parameters (*batch, *data.shape) → batch_shape batch, event_shape data.shape``. Rates lie below e¹⁸.

    Reference:
        Neural Variational Inference for Text Processing (Miao et al., 2016), arXiv:1511.06038, for counts of words
        with a softmax; Poisson rates as in Scalable Recommendation with Poisson Factorization
        (Gopalan et al., 2013), arXiv:1311.1704

    Raises:
        UsageError: the data are not counts.

    Example:
        >>> decoder = PoissonDecoder(DataInfo((2,), high=float("inf"), counts=True))
        >>> decoder(torch.zeros(1, 2)).log_prob(torch.zeros(1, 2))
        tensor([-2.])
    """

    def __init__(self, data: DataInfo) -> None:
        require_counts("poisson", data)
        super().__init__(data)
        self.support = constraints.independent(constraints.nonnegative_integer, len(data.shape))
        self.parameter_shape = data.shape

    def forward(self, parameters: Tensor) -> Independent:
        return Independent(
            LogRatePoisson(bounded_log_rate(parameters)), len(self.data.shape), validate_args=False
        )
