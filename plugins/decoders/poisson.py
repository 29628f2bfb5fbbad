"""Poisson likelihood for counts."""

from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, constraints

from genmod import DataInfo
from genmod.distributions import deviance, factorial_excess, precise, with_gradient_of
from genmod.plugins.decoders._depth import CountsDecoder, SizeFactor

__all__ = ["LogRatePoisson", "PoissonDecoder"]


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
class PoissonDecoder(CountsDecoder):
    """Independent counts with log-rates from the network.

    ``log p(x|z) = Σ_i x_i l_i - exp(l_i) - log x_i!``, nats

    ``parameters (*batch, *data.shape) → batch_shape batch, event_shape data.shape``. Rates lie below e¹⁸.
    With ``size_factor=observed`` the likelihood is ``p(x|z, l)`` given the depth ``l`` of each example, its total count: the
    rates are ``l softmax(outputs)``, and the ELBO bounds ``log p(x|l)``.

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

    def __init__(self, data: DataInfo, *, size_factor: SizeFactor = "none") -> None:
        super().__init__("poisson", data, size_factor)
        self.parameter_shape = data.shape

    def forward(self, parameters: Tensor, exposure: Tensor | None = None) -> Independent:
        counts = LogRatePoisson(self.log_mean(parameters, exposure))
        return Independent(counts, len(self.data.shape), validate_args=False)
