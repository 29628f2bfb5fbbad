"""Negative-binomial likelihood for counts that vary more than a Poisson's."""

from typing import Annotated, Any, ClassVar, Literal, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, constraints

from genmod import DataInfo, Doc, UsageError, bounded_log_scale
from genmod.distributions import factorial_excess, precise
from genmod.plugins.decoders._depth import CountsDecoder, SizeFactor

__all__ = [
    "DispersedDecoder",
    "Dispersion",
    "LogInverseDispersion",
    "MeanNegativeBinomial",
    "NegativeBinomialDecoder",
]

Dispersion = Annotated[
    Literal["learned", "per-dimension", "per-condition", "per-value"],
    Doc(
        "where the inverse dispersion comes from: one trained number, one per column, one per column and class of the "
        "condition, or the network"
    ),
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

    ``per-condition``: a row for each class, the sum of rows where there are several conditions. There is one row until
    :meth:`bind` is told of the conditions.

    Args:
        shape: of one example.
        dispersion: see the option of that name.

    Example:
        >>> LogInverseDispersion((3,), "per-dimension")(None).shape
        torch.Size([3])
        >>> by_class = LogInverseDispersion((3,), "per-condition")
        >>> by_class.bind(2)
        >>> by_class(None, torch.eye(2)).shape
        torch.Size([2, 3])
    """

    def __init__(self, shape: tuple[int, ...], dispersion: str) -> None:
        super().__init__()
        self.shape, self.dispersion = shape, dispersion
        if dispersion == "per-condition":
            self.bind(1)
        elif dispersion != "per-value":
            self.value = nn.Parameter(torch.zeros(shape if dispersion == "per-dimension" else ()))

    def bind(self, classes: int) -> None:
        """Make a row for each class."""
        self.value = nn.Parameter(torch.zeros(classes, *self.shape))

    def forward(self, parameter: Tensor | None, conditions: Tensor | None = None) -> Tensor:
        if self.dispersion == "per-condition":
            if conditions is None:
                conditions = self.value.new_ones(len(self.value)) / len(self.value)
            parameter = (conditions @ self.value.flatten(1)).unflatten(-1, self.shape)
        return bounded_log_scale(self.value if parameter is None else parameter)


class DispersedDecoder(CountsDecoder):
    """Counts with a mean and an inverse dispersion for each value.

    Args:
        name: of the decoder.
        data: shape and range of the data.
        dispersion: see the option of that name.
        size_factor: see the option of that name.
    """

    def __init__(self, name: str, data: DataInfo, dispersion: str, size_factor: str) -> None:
        super().__init__(name, data, size_factor)
        self.dispersion = LogInverseDispersion(data.shape, dispersion)
        self.wants_conditions = dispersion == "per-condition"

    def bind(self, model: Any) -> None:
        if not self.wants_conditions:
            return
        if model.conditions is None:
            raise UsageError(
                "decoder.dispersion=per-condition has a dispersion for each class, and the model is not conditional",
                hint="name what it is conditioned on: --condition label; or: -s decoder.dispersion=per-dimension",
            )
        self.dispersion.bind(model.conditions.size)


@final
class NegativeBinomialDecoder(DispersedDecoder):
    """Independent counts with log-means from the network and a dispersion, such as reads of genes in cells.

    ``log p(x|z) = Σ_i log Γ(x_i + r_i)/(Γ(r_i) x_i!) - r_i log(1 + μ_i/r_i) - x_i log(1 + r_i/μ_i)``, nats

    ``parameters (*batch, *parameter_shape) → batch_shape batch, event_shape data.shape``. The variance is
    ``μ + μ²/r``. With ``size_factor=observed`` the likelihood is ``p(x|z, l)`` given the depth ``l`` of each example, its
    total count: the means are ``l softmax(outputs)``, and the ELBO bounds ``log p(x|l)``.

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

    def __init__(
        self, data: DataInfo, *, dispersion: Dispersion = "per-dimension", size_factor: SizeFactor = "none"
    ) -> None:
        super().__init__("negative-binomial", data, dispersion, size_factor)
        self.parts = 2 if dispersion == "per-value" else 1
        self.parameter_shape = (2, *data.shape) if self.parts == 2 else data.shape

    def forward(
        self, parameters: Tensor, exposure: Tensor | None = None, conditions: Tensor | None = None
    ) -> Independent:
        dims = len(self.data.shape)
        outputs, taken = parameters.unbind(-dims - 1) if self.parts == 2 else (parameters, None)
        counts = MeanNegativeBinomial(self.log_mean(outputs, exposure), self.dispersion(taken, conditions))
        return Independent(counts, dims, validate_args=False)
