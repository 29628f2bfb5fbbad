"""Right posteriors."""

import math

import torch
from torch import nn
from torch.distributions import (
    AffineTransform,
    Distribution,
    Gumbel,
    Independent,
    Laplace,
    LowRankMultivariateNormal,
    MultivariateNormal,
    StudentT,
    TransformedDistribution,
    constraints,
)

from correct import right
from genmod import Posterior, UsageError
from genmod.distributions import bounded_log_scale, drawn_by_log, drawn_by_logit, log_of, logit_of


class _TwoHeads(Posterior):
    """Two numbers for each latent, linear in the features."""

    base = constraints.real

    def __init__(self, feature_shape, latent_shape):
        super().__init__(feature_shape, latent_shape)
        self.support = constraints.independent(self.base, len(latent_shape))
        self.first = nn.Linear(math.prod(feature_shape), math.prod(latent_shape))
        self.second = nn.Linear(math.prod(feature_shape), math.prod(latent_shape))

    def heads(self, features):
        flat = features.flatten(1)
        first, second = self.first(flat), bounded_log_scale(self.second(flat))
        return first.unflatten(1, self.latent_shape), second.unflatten(1, self.latent_shape).exp()

    def forward(self, features):
        return Independent(self.single(*self.heads(features)), len(self.latent_shape), validate_args=False)


@right(always=True)
class LaplaceCodes(_TwoHeads):
    def single(self, loc, scale):
        return Laplace(loc, scale, validate_args=False)


@right()
class GumbelCodes(_TwoHeads):
    """Skewed codes."""

    def single(self, loc, scale):
        return Gumbel(loc, scale, validate_args=False)


@right()
class HeavyCodes(_TwoHeads):
    """Tails so heavy that the variance is that of no normal."""

    def single(self, loc, scale):
        return StudentT(5.0, loc, scale, validate_args=False)


class _Logistic(Distribution):
    support = constraints.real
    has_rsample = True

    def __init__(self, loc, scale):
        self.loc, self.scale = loc, scale
        super().__init__(loc.shape, validate_args=False)

    def expand(self, batch_shape, _instance=None):
        return _Logistic(self.loc.expand(batch_shape), self.scale.expand(batch_shape))

    def rsample(self, sample_shape=()):
        u = torch.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        limits = torch.finfo(u.dtype)
        return self.loc + self.scale * u.clamp(limits.tiny, 1 - limits.eps).logit()

    def log_prob(self, value):
        z = (value - self.loc) / self.scale
        return -z - 2 * nn.functional.softplus(-z) - self.scale.log()

    @property
    def mean(self):
        return self.loc

    @property
    def variance(self):
        return self.scale.square() * math.pi**2 / 3


@right()
class LogisticCodes(_TwoHeads):
    """A distribution of its own, which has no entropy."""

    def single(self, loc, scale):
        return _Logistic(loc, scale)


class _OfLogit(_Logistic):
    support = constraints.unit_interval

    def expand(self, batch_shape, _instance=None):
        return _OfLogit(self.loc.expand(batch_shape), self.scale.expand(batch_shape))

    def rsample(self, sample_shape=()):
        return drawn_by_logit(super().rsample(sample_shape))

    def log_prob(self, value):
        logit = logit_of(value)
        return super().log_prob(logit) + nn.functional.softplus(logit) + nn.functional.softplus(-logit)

    @property
    def mean(self):
        raise NotImplementedError

    variance = mean


@right()
class UnitIntervalCodes(_TwoHeads):
    """Numbers between 0 and 1 whose mean is not known; draws keep their logits."""

    base = constraints.unit_interval

    def single(self, loc, scale):
        return _OfLogit(loc, scale)


class _OfLog(_Logistic):
    support = constraints.positive

    def expand(self, batch_shape, _instance=None):
        return _OfLog(self.loc.expand(batch_shape), self.scale.expand(batch_shape))

    def rsample(self, sample_shape=()):
        return drawn_by_log(super().rsample(sample_shape))

    def log_prob(self, value):
        log = log_of(value)
        return super().log_prob(log) - log

    @property
    def mean(self):
        raise NotImplementedError

    variance = mean


@right()
class PositiveCodes(_TwoHeads):
    """Log-logistic codes, whose mean may not exist."""

    base = constraints.positive

    def single(self, loc, scale):
        return _OfLog(loc, 0.3 * scale)


class _Flat(Posterior):
    """For rows of latents alone; UsageError for others."""

    def __init__(self, feature_shape, latent_shape):
        super().__init__(feature_shape, latent_shape)
        if len(latent_shape) != 1:
            raise UsageError("rows of latents are wanted", hint="give one size: --latent 8")
        self.support = constraints.real_vector
        size = math.prod(latent_shape)
        self.loc = nn.Linear(math.prod(feature_shape), size)
        self.log_scale = nn.Linear(math.prod(feature_shape), size)
        self.factor = nn.Linear(math.prod(feature_shape), size * self.columns(size))

    def parts(self, features):
        flat = features.flatten(1)
        size = self.latent_shape[0]
        scale = bounded_log_scale(self.log_scale(flat)).exp()
        return self.loc(flat), scale, self.factor(flat).tanh().unflatten(1, (size, -1)) * scale[..., None]


@right()
class LowRankCodes(_Flat):
    """Normals whose covariance has a factor of one column; UsageError for maps."""

    def columns(self, size):
        return 1

    def forward(self, features):
        loc, scale, factor = self.parts(features)
        return LowRankMultivariateNormal(loc, factor, scale.square(), validate_args=False)


@right()
class FullCodes(_Flat):
    """Normals with any covariance; UsageError for maps."""

    def columns(self, size):
        return size

    def forward(self, features):
        loc, scale, factor = self.parts(features)
        return MultivariateNormal(loc, scale_tril=factor.tril(-1) + scale.diag_embed(), validate_args=False)


@right()
class SharedScaleCodes(_TwoHeads):
    """One scale for all latents of an example, by a transform of torch."""

    def forward(self, features):
        loc, scale = self.heads(features)
        scale = scale.flatten(1).mean(1).reshape(-1, *[1] * len(self.latent_shape)).expand_as(loc)
        unit = Laplace(torch.zeros_like(loc), 1.0, validate_args=False)
        moved = TransformedDistribution(unit, AffineTransform(loc, scale), validate_args=False)
        return Independent(moved, len(self.latent_shape), validate_args=False)
