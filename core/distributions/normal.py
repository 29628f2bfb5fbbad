"""Normal distributions by their log-scale, and precise versions of torch's beta, Dirichlet and gamma distributions."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Beta, Dirichlet, Distribution, Gamma, Independent, Normal, kl_divergence
from torch.distributions.kl import register_kl
from torch.distributions.utils import lazy_property

from genmod.distributions.log_gamma import factorial_excess, log_gamma_draws, precise
from genmod.system.draws import drawn_by_logit, drawn_on_simplex, log_of, logit_of

__all__ = [
    "LogScaleNormal",
    "PreciseBeta",
    "PreciseDirichlet",
    "PreciseGamma",
    "StandardNormal",
    "bounded_log_scale",
    "diagonal_normal",
    "standard_normal",
]

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
LOG_SCALE_BOUND = 9.0
"""Scales lie between e⁻⁹ ≈ 1.2e-4 and e⁹ ≈ 8,100."""


def bounded_log_scale(x: Tensor) -> Tensor:
    """Maps unbounded numbers to log-scales in ``(-9, 9)``, smoothly, and as the identity to first order at zero.

    ``x / sqrt(1 + (x/9)²)``

    A clamp has no gradient outside its bounds, and the gradient of a softplus vanishes exponentially; that of this
    function falls like ``|x|⁻³``, so that outputs as large as ±30 still train. Any shape → the same shape.

    Example:
        >>> bounded_log_scale(torch.tensor([-1000.0, 0.0, 1.0]))
        tensor([-8.9996,  0.0000,  0.9939])
    """
    ratio = x * (1 / LOG_SCALE_BOUND)
    # The square of the ratio would overflow: in half precision from x = 2,304 on, where the result became 0.
    return x / torch.hypot(ratio, ratio.new_ones(()))


class LogScaleNormal(Normal):
    """A normal distribution that keeps the logarithm of its scale.

    ``log p(x) = -½ ((x - loc)/scale)² - log scale - ½ log 2π``, ``scale = exp(log_scale)``

    Networks return the logarithm, and a KL near zero needs it: in single precision, ``log(exp(l))`` loses the digits
    that determine ``exp(2l) - 1 - 2l``.

    Args:
        loc: mean, any shape.
        log_scale: natural logarithm of the standard deviation, broadcast against ``loc``.

    Example:
        >>> LogScaleNormal(torch.zeros(2), torch.zeros(2)).log_prob(torch.zeros(2))
        tensor([-0.9189, -0.9189])
    """

    def __init__(self, loc: Tensor, log_scale: Tensor, validate_args: bool | None = None) -> None:
        # The constructor of the parent would broadcast tensors of the same shape in every training step.
        # Their numbers of dimensions first: comparing a size with another fixes the size of a batch that is traced.
        same = log_scale.dim() == loc.dim() and log_scale.shape == loc.shape
        self.loc: Tensor
        self.log_scale: Tensor
        self.loc, self.log_scale = (loc, log_scale) if same else torch.broadcast_tensors(loc, log_scale)
        Distribution.__init__(self, self.loc.shape, validate_args=validate_args)

    @lazy_property
    def scale(self) -> Tensor:  # type: ignore[override]
        """Standard deviation, of the shape of ``loc``."""
        return self.log_scale.exp()

    def expand(self, batch_shape: Any, _instance: object = None) -> "LogScaleNormal":
        return LogScaleNormal(
            self.loc.expand(batch_shape), self.log_scale.expand(batch_shape), validate_args=False
        )

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        standard = (value - self.loc) * (-self.log_scale).exp()
        # In place, as memory costs more than arithmetic; the square is no operand of anything else's gradient.
        return (standard * standard).mul_(-0.5).sub_(self.log_scale).sub_(_HALF_LOG_2PI)

    def entropy(self) -> Tensor:
        return self.log_scale + 0.5 * math.log(2 * math.pi * math.e)


class StandardNormal(LogScaleNormal):
    """A standard normal distribution as a type of its own, so that nothing is computed from its parameters.

    ``log p(x) = -½ x² - ½ log 2π``

    Args:
        zeros: its mean and the logarithm of its scale, any shape.

    Example:
        >>> StandardNormal(torch.zeros(2)).log_prob(torch.zeros(2))
        tensor([-0.9189, -0.9189])
    """

    def __init__(self, zeros: Tensor) -> None:
        super().__init__(zeros, zeros, validate_args=False)

    def expand(self, batch_shape: Any, _instance: object = None) -> "StandardNormal":
        return StandardNormal(self.loc.expand(batch_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        value = _over(value, self.loc)
        return (-0.5 * (value * value)).sub_(_HALF_LOG_2PI)


def _over(x: Tensor, like: Tensor) -> Tensor:
    """A tensor broadcast over the shape of another."""
    # The usual case first: torch.broadcast_shapes takes longer than a sum.
    same = x.shape[x.dim() - like.dim() :] == like.shape
    return x if same else x.expand(torch.broadcast_shapes(x.shape, like.shape))


@register_kl(LogScaleNormal, StandardNormal)
def _kl_standard(q: LogScaleNormal, p: StandardNormal) -> Tensor:
    """``½ (expm1(2l) - 2l + loc²)``, ``l = log scale``."""
    log_variance = 2 * q.log_scale
    found: Tensor = 0.5 * torch.addcmul(torch.expm1(log_variance) - log_variance, q.loc, q.loc)
    return _over(found, p.loc)


@register_kl(LogScaleNormal, LogScaleNormal)
def _kl_log_scale(q: LogScaleNormal, p: LogScaleNormal) -> Tensor:
    """``½ (expm1(2l) - 2l + ((loc_q - loc_p)/scale_p)²)``, ``l = log scale_q - log scale_p``."""
    log_ratio = 2 * (q.log_scale - p.log_scale)
    shift = (q.loc - p.loc) * (-p.log_scale).exp()
    return 0.5 * (torch.expm1(log_ratio) - log_ratio + shift * shift)


def diagonal_normal(loc: Tensor, log_scale: Tensor, event_dims: int) -> Independent:
    """Independent normals whose last ``event_dims`` dimensions are one event.

    Example:
        >>> diagonal_normal(torch.zeros(3, 2), torch.zeros(3, 2), 1).event_shape
        torch.Size([2])
    """
    return Independent(LogScaleNormal(loc, log_scale, validate_args=False), event_dims, validate_args=False)


def standard_normal(zeros: Tensor, event_dims: int) -> Independent:
    """Independent standard normals whose last ``event_dims`` dimensions are one event; ``zeros`` gives their shape.

    Example:
        >>> standard_normal(torch.zeros(3, 2), 1).event_shape
        torch.Size([2])
    """
    return Independent(StandardNormal(zeros), event_dims, validate_args=False)


def _in_double(cls: Any, p: Distribution) -> Any:
    """A distribution of type ``cls`` with the parameters of ``p`` in double precision."""
    return cls(*(precise(getattr(p, name)) for name in cls.arg_constraints), validate_args=False)


class PreciseBeta(Beta):
    """A beta distribution whose large terms are cancelled analytically.

    ``log p(x) = log(ab/n) - log x(1 - x) + S(n) - S(a) - S(b) - a log(a/(n x)) - b log(b/(n (1 - x)))``, ``n = a + b``,
    with S of :mod:`genmod.distributions.log_gamma`. At 0 and 1 the density is that of the nearest number in between. A draw
    keeps its logit, at which its density is evaluated.

    Example:
        >>> large = torch.tensor(4000.0)
        >>> PreciseBeta(large, large).log_prob(torch.tensor(0.5))
        tensor(4.2678)
    """

    def log_prob(self, value: Tensor) -> Tensor:
        a, b = self.concentration1, self.concentration0
        n = a + b
        ways = factorial_excess(n) - factorial_excess(a) - factorial_excess(b) + (a * b / n).log()
        a, b = precise(a), precise(b)
        logit = logit_of(precise(value)).clamp(-700, 700)
        x, rest = logit.sigmoid(), (-logit).sigmoid()
        apart = (a - (a + b) * x) / (a + b)
        far = a * torch.log1p(apart / x) + b * torch.log1p(-apart / rest) + (x * rest).log()
        return ways - far.to(ways.dtype)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        up, down = (
            log_gamma_draws(each, sample_shape) for each in (self.concentration1, self.concentration0)
        )
        return drawn_by_logit(up - down)


class PreciseDirichlet(Dirichlet):
    """A Dirichlet distribution whose large constants are subtracted in double precision.

    A draw keeps ``log z``, at which its density is evaluated: for small concentrations most values of z are rounded to 0.

    Example:
        >>> PreciseDirichlet(torch.full((4,), 1e4)).log_prob(torch.full((4,), 0.25))
        tensor(15.9107)
    """

    def log_prob(self, value: Tensor) -> Tensor:
        a = precise(self.concentration)
        density = ((a - 1) * log_of(precise(value))).sum(-1) + a.sum(-1).lgamma() - a.lgamma().sum(-1)
        return density.to(value.dtype)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return drawn_on_simplex(log_gamma_draws(self.concentration, sample_shape))


class PreciseGamma(Gamma):
    """A gamma distribution whose large constants are subtracted in double precision.

    Example:
        >>> large = torch.tensor(8000.0)
        >>> PreciseGamma(large, large).log_prob(torch.tensor(1.0))
        tensor(3.5746)
    """

    def log_prob(self, value: Tensor) -> Tensor:
        a, rate, z = precise(self.concentration), precise(self.rate), precise(value)
        density = a * rate.log() - a.lgamma() + (a - 1) * log_of(z) - rate * z
        return density.to(value.dtype)

    def entropy(self) -> Tensor:
        return _in_double(Gamma, self).entropy().to(self.rate.dtype)  # type: ignore[no-any-return]


@register_kl(PreciseGamma, PreciseGamma)
def _kl_gamma(q: PreciseGamma, p: PreciseGamma) -> Tensor:
    exact = kl_divergence(_in_double(Gamma, q), _in_double(Gamma, p))
    return exact.to(q.rate.dtype)
