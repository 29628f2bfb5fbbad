"""Continuous Bernoulli likelihood for values between 0 and 1."""

from collections.abc import Sequence
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, constraints, register_kl

from genmod import DataInfo
from genmod.distributions import precise
from genmod.plugins.decoders._ranges import Dequantize, UnitIntervalDecoder, cells_of_unit_interval

__all__ = ["ContinuousBernoulli", "ContinuousBernoulliDecoder"]

# log((l/2) / sinh(l/2)) / l² as a series in l²; in l itself the second derivative at zero would break.
_SERIES = (
    -1 / 24,
    1 / 2880,
    -1 / 181440,
    1 / 9676800,
    -1 / 479001600,
    691 / 15692092416000,
    -1 / 1046139494400,
    3617 / 170729965486080000,
)
_NEAR = 0.5


def _polynomial(x: Tensor, coefficients: Sequence[float]) -> Tensor:
    total = torch.zeros_like(x)
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


@final
class ContinuousBernoulli(Distribution):
    """The density ``exp(l x)`` on the unit interval, normalised, right to the last digits for all logits.

    ``log p(x) = l x - log ∫₀¹ exp(l t) dt = l (x - ½) + log C``, ``log C = log((l/2) / sinh(l/2))``

    Args:
        logits: ``l``, any shape.

    Example:
        >>> p = ContinuousBernoulli(torch.tensor([0.0, 20.0]))
        >>> p.log_prob(torch.tensor([0.3, 1.0])), p.mean
        (tensor([0.0000, 2.9957]), tensor([0.5000, 0.9500]))
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        super().__init__(logits.shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: object = None) -> "ContinuousBernoulli":
        return ContinuousBernoulli(self.logits.expand(batch_shape))

    def _split(self) -> tuple[Tensor, Tensor, Tensor]:
        """Whether the logit is near zero; and the logit, moved away from where each form does not hold."""
        near = self.logits.abs() < _NEAR
        return near, self.logits.where(near, 0.0), self.logits.where(~near, 1.0)

    def log_normalizer(self) -> Tensor:
        """``log C``, the shape of the logits."""
        near, small, large = self._split()
        series = _polynomial(small * small, (0.0, *_SERIES))
        size = large.abs()
        return series.where(near, -size / 2 - (-torch.expm1(-size) / size).log())

    def log_prob(self, value: Tensor) -> Tensor:
        # Away from zero the parts l (x - ½) and -|l|/2 cancel at one end; together they are |l| times a distance.
        near, small, large = self._split()
        distance = torch.where(large > 0, value - 1, -value)
        size = large.abs()
        exact = size * distance - (-torch.expm1(-size) / size).log()
        series = _polynomial(small * small, (0.0, *_SERIES))
        return torch.where(near, small * (value - 0.5) + series, exact)

    @property
    def mean(self) -> Tensor:
        near, small, large = self._split()
        series = _polynomial(small * small, [-2 * (k + 1) * c for k, c in enumerate(_SERIES)])
        size = large.abs()
        low = 1 / size + (-size).exp() / torch.expm1(-size)
        return torch.where(near, 0.5 + small * series, torch.where(large > 0, 1 - low, low))

    @property
    def variance(self) -> Tensor:
        near, small, large = self._split()
        series = _polynomial(small * small, [-(2 * k + 2) * (2 * k + 1) * c for k, c in enumerate(_SERIES)])
        size = large.abs()
        exact = 1 / (size * size) - (-size).exp() / torch.expm1(-size).square()
        return series.where(near, exact)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return self.icdf(torch.rand(shape, dtype=self.logits.dtype, device=self.logits.device))

    def icdf(self, value: Tensor) -> Tensor:
        """``log(1 + u (exp(l) - 1)) / l``, from the end where it is small."""
        near = self.logits.abs() < 1e-6
        large = self.logits.where(~near, 1.0)
        size = large.abs()
        upper = torch.where(large > 0, 1 - value, value)
        fall = -torch.log1p(upper * torch.expm1(-size)) / size
        exact = torch.where(large > 0, 1 - fall, fall)
        small = self.logits.where(near, 0.0)
        return torch.where(near, value + small * value * (1 - value) / 2, exact).clamp(0, 1)

    def entropy(self) -> Tensor:
        return -self.log_normalizer() - self.logits * (self.mean - 0.5)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _kl(q: ContinuousBernoulli, p: ContinuousBernoulli) -> Tensor:
    # Of large logits the three parts nearly cancel.
    a, b = (ContinuousBernoulli(precise(each.logits)) for each in (q, p))
    exact = (a.logits - b.logits) * (a.mean - 0.5) + a.log_normalizer() - b.log_normalizer()
    return exact.to(q.logits.dtype)


@final
class ContinuousBernoulliDecoder(UnitIntervalDecoder):
    """Independent continuous Bernoulli values with logits from the network, for grey images.

    ``log p(x|z) = Σ_i l_i (x_i - ½) + log C(l_i)``, nats, with ``C`` the constant that a Bernoulli lacks

    ``parameters (*batch, *data.shape) → batch_shape batch, event_shape data.shape``.

    Reference:
        The continuous Bernoulli: fixing a pervasive error in variational autoencoders
        (Loaiza-Ganem and Cunningham, 2019), arXiv:1907.06845

    Raises:
        UsageError: the data are not between 0 and 1, or have no levels to dequantize.

    Example:
        >>> decoder = ContinuousBernoulliDecoder(DataInfo((2,)))
        >>> decoder(torch.zeros(1, 2)).log_prob(torch.full((1, 2), 0.3))
        tensor([0.])
    """

    def __init__(self, data: DataInfo, *, dequantize: Dequantize = False) -> None:
        super().__init__(data, "continuous-bernoulli", dequantize)
        self.parameter_shape = data.shape

    @property
    def observed(self) -> DataInfo:
        data = self.data
        return DataInfo(data.shape, classes=data.classes, factors=data.factors) if self.dequantize else data

    def dequantized(self, x: Tensor) -> Tensor:
        return cells_of_unit_interval(x, self.data.levels or 1, torch.rand_like(x))

    def forward(self, parameters: Tensor) -> Independent:
        return Independent(ContinuousBernoulli(parameters), len(self.data.shape), validate_args=False)
