"""Negative-binomial likelihood with additional zeros."""

from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, constraints
from torch.nn.functional import logsigmoid

from genmod import DataInfo
from genmod.plugins.decoders._depth import SizeFactor
from genmod.plugins.decoders.negative_binomial import DispersedDecoder, Dispersion, MeanNegativeBinomial

__all__ = ["ZeroInflated", "ZeroInflatedNegativeBinomialDecoder"]


@final
class ZeroInflated(Distribution):
    """Zero with probability ``σ(g)``, else a count from another distribution.

    ``P(0) = σ(g) + σ(-g) P_base(0)``, ``P(x) = σ(-g) P_base(x)``

    Args:
        logits: ``g``, broadcast against the counts.
        base: the distribution of counts.

    Example:
        >>> base = MeanNegativeBinomial(torch.zeros(()), torch.zeros(()))
        >>> ZeroInflated(torch.zeros(()), base).log_prob(torch.tensor(0.0)).exp()
        tensor(0.7500)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"logits": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, logits: Tensor, base: Distribution) -> None:
        shape = torch.broadcast_shapes(logits.shape, base.batch_shape)
        self.logits = logits.expand(shape)
        self.base = base if base.batch_shape == shape else base.expand(shape)
        super().__init__(shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: object = None) -> "ZeroInflated":
        return ZeroInflated(self.logits.expand(batch_shape), self.base.expand(batch_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        base = self.base.log_prob(value)
        counted = logsigmoid(-self.logits) + base
        zero = torch.logaddexp(logsigmoid(self.logits), counted)
        # A probability near 1 by what is missing to it, which never makes it more than 1.
        missing = (-self.logits).sigmoid() * torch.expm1(base)
        zero = torch.where(missing > -0.5, torch.log1p(missing.clamp(min=-0.5)), zero)
        return torch.where(value == 0, zero, counted)

    @property
    def mean(self) -> Tensor:
        return (-self.logits).sigmoid() * self.base.mean

    @property
    def variance(self) -> Tensor:
        extra, kept = self.logits.sigmoid(), (-self.logits).sigmoid()
        return kept * (self.base.variance + extra * self.base.mean.square())

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        counts = self.base.sample(sample_shape)
        return counts * (torch.rand_like(counts) >= self.logits.sigmoid())


@final
class ZeroInflatedNegativeBinomialDecoder(DispersedDecoder):
    """Independent counts that are negative-binomial, or zero for another reason, such as reads that were missed.

    ``log p(x|z) = Σ_i log(σ(g_i) [x_i = 0] + σ(-g_i) NB(x_i; μ_i, r_i))``, nats

    ``parameters (*batch, *parameter_shape) → batch_shape batch, event_shape data.shape``: log-means, logits ``g`` of
    the additional zeros and, with ``dispersion=per-value``, log inverse dispersions.

    With ``size_factor=observed`` the likelihood is ``p(x|z, l)`` given the depth ``l`` of each example, its total count:
    the means ``μ`` are ``l softmax(outputs)``, and the ELBO bounds ``log p(x|l)``.

    Reference:
        Deep generative modeling for single-cell transcriptomics (Lopez et al., 2018),
        doi:10.1038/s41592-018-0229-2

    Raises:
        UsageError: the data are not counts.

    Example:
        >>> data = DataInfo((2,), high=float("inf"), counts=True)
        >>> ZeroInflatedNegativeBinomialDecoder(data)(torch.zeros(1, 2, 2)).mean
        tensor([[0.5000, 0.5000]])
    """

    def __init__(
        self, data: DataInfo, *, dispersion: Dispersion = "per-dimension", size_factor: SizeFactor = "none"
    ) -> None:
        super().__init__("zero-inflated-negative-binomial", data, dispersion, size_factor)
        self.parameter_shape = (3 if dispersion == "per-value" else 2, *data.shape)

    def forward(
        self, parameters: Tensor, exposure: Tensor | None = None, conditions: Tensor | None = None
    ) -> Independent:
        dims = len(self.data.shape)
        outputs, logits, *taken = parameters.unbind(-dims - 1)
        log_r = self.dispersion(taken[0] if taken else None, conditions)
        counts = MeanNegativeBinomial(self.log_mean(outputs, exposure), log_r)
        return Independent(ZeroInflated(logits, counts), dims, validate_args=False)
