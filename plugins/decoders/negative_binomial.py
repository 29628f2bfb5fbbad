"""Negative-binomial likelihood for counts that vary more than a Poisson's."""

from typing import Annotated, Any, ClassVar, Literal, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, constraints

from genmod import DataInfo, Decoder, Doc, bounded_log_scale
from genmod.distributions import factorial_excess, precise
from genmod.plugins.decoders._ranges import require_counts
from genmod.plugins.decoders.poisson import bounded_log_rate

__all__ = ["Dispersion", "LogInverseDispersion", "MeanNegativeBinomial", "NegativeBinomialDecoder"]

Dispersion = Annotated[
    Literal["learned", "per-dimension", "per-value"],
    Doc("where the inverse dispersion comes from: one trained number, one per column, or the network"),
]


@final
class MeanNegativeBinomial(Distribution):
    """A negative-binomial distribution by the logarithms of its mean and inverse dispersion.

    ``log P(x) = log Γ(x + r)/(Γ(r) x!) - r log(1 + μ/r) - x log(1 + r/μ)``; variance ``μ + μ²/r``

    Computed with ``n = x + r`` and S of :mod:`genmod.distributions.log_gamma`, so that nothing large cancels, as
    ``log(r/n) + S(n) - S(r) - S(x) - r log(1 + (μ - x)/n) - x log(1 + r (x - μ)/(μ n))``.

    Args:
        log_mean: ``log μ``, any shape.
        log_inverse_dispersion: ``log r``, broadcast against it.

    Example:
        >>> MeanNegativeBinomial(torch.zeros(()), torch.zeros(())).log_prob(torch.tensor(0.0)).exp()
        tensor(0.5000)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "log_mean": constraints.real,
        "log_inverse_dispersion": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(self, log_mean: Tensor, log_inverse_dispersion: Tensor) -> None:
        self.log_mean, self.log_inverse_dispersion = torch.broadcast_tensors(log_mean, log_inverse_dispersion)
        self._given = log_inverse_dispersion
        super().__init__(self.log_mean.shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: object = None) -> "MeanNegativeBinomial":
        return MeanNegativeBinomial(
            self.log_mean.expand(batch_shape), self.log_inverse_dispersion.expand(batch_shape)
        )

    def log_prob(self, value: Tensor) -> Tensor:
        # As it was given: one dispersion for many values costs nothing.
        small_r = self._given.exp()
        ways = factorial_excess(value + small_r) - factorial_excess(small_r) - factorial_excess(value)
        x, mean, r = precise(value), precise(self.log_mean).exp(), precise(self._given).exp()
        apart = (x - mean) / (x + r)
        ratio = torch.where(x > 0, r / mean * apart, 0.0)
        far = r * torch.log1p(-apart) + x * torch.log1p(ratio)
        return ways - torch.log1p(value / small_r) - far.to(self.log_mean.dtype)

    @property
    def mean(self) -> Tensor:
        return self.log_mean.exp()

    @property
    def variance(self) -> Tensor:
        return self.mean + (2 * self.log_mean - self.log_inverse_dispersion).exp()

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        r = self.log_inverse_dispersion.exp().expand(shape)
        # Of a small r a gamma draw may underflow to 0, which is a rate as good as any.
        rate = torch._standard_gamma(r) * (self.log_mean - self.log_inverse_dispersion).exp()
        return torch.poisson(rate)


@final
class LogInverseDispersion(nn.Module):
    """The log of the inverse dispersion, trained or from the network.

    ``output of the network or None → broadcastable to the data``

    Args:
        shape: of one example.
        dispersion: see the option of that name.

    Example:
        >>> LogInverseDispersion((3,), "per-dimension")(None).shape
        torch.Size([3])
    """

    def __init__(self, shape: tuple[int, ...], dispersion: str) -> None:
        super().__init__()
        if dispersion != "per-value":
            self.value = nn.Parameter(torch.zeros(shape if dispersion == "per-dimension" else ()))

    def forward(self, parameter: Tensor | None) -> Tensor:
        return bounded_log_scale(self.value if parameter is None else parameter)


@final
class NegativeBinomialDecoder(Decoder):
    """Independent counts with log-means from the network and a dispersion, such as reads of genes in cells.

    ``log p(x|z) = Σ_i log Γ(x_i + r_i)/(Γ(r_i) x_i!) - r_i log(1 + μ_i/r_i) - x_i log(1 + r_i/μ_i)``, nats

    ``parameters (*batch, *parameter_shape) → batch_shape batch, event_shape data.shape``. The variance is
    ``μ + μ²/r``.

    Reference:
        Deep generative modeling for single-cell transcriptomics (Lopez et al., 2018),
        doi:10.1038/s41592-018-0229-2

    Raises:
        UsageError: the data are not counts.

    Example:
        >>> decoder = NegativeBinomialDecoder(DataInfo((2,), high=float("inf"), counts=True))
        >>> decoder(torch.zeros(1, 2)).log_prob(torch.zeros(1, 2)).exp()
        tensor([0.2500], grad_fn=<ExpBackward0>)
    """

    def __init__(self, data: DataInfo, *, dispersion: Dispersion = "per-dimension") -> None:
        require_counts("negative-binomial", data)
        super().__init__(data)
        self.support = constraints.independent(constraints.nonnegative_integer, len(data.shape))
        self.dispersion = LogInverseDispersion(data.shape, dispersion)
        self.parts = 2 if dispersion == "per-value" else 1
        self.parameter_shape = (2, *data.shape) if self.parts == 2 else data.shape

    def forward(self, parameters: Tensor) -> Independent:
        dims = len(self.data.shape)
        log_mean, taken = parameters.unbind(-dims - 1) if self.parts == 2 else (parameters, None)
        counts = MeanNegativeBinomial(bounded_log_rate(log_mean), self.dispersion(taken))
        return Independent(counts, dims, validate_args=False)
