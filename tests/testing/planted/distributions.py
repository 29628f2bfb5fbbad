"""Faults: what authors of distributions get wrong in silence."""

import math

import torch
from torch import nn
from torch.distributions import (
    Bernoulli,
    Beta,
    Categorical,
    Distribution,
    Independent,
    LogNormal,
    Normal,
    Poisson,
    constraints,
    kl_divergence,
)
from torch.distributions.kl import register_kl

from genmod import UsageError, diagonal_normal
from genmod.distributions.normal import LogScaleNormal
from genmod.plugins.decoders._levels import Levels
from genmod.scaffold.templates.decoder import TemplateDecoder
from genmod.scaffold.templates.posterior import TemplatePosterior
from genmod.scaffold.templates.prior import TemplatePrior
from planted import FAULTS, Fault, caught_by
from planted.densities import WrongNormal, decoder_of, posterior_of


class Drawn(WrongNormal):
    """A normal whose draws are made by a method of its own."""

    def noise(self, sample_shape):
        return torch.randn(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)

    def rsample(self, sample_shape=()):
        return self.loc + self.scale * self.noise(sample_shape)

    def sample(self, sample_shape=()):
        return self.rsample(sample_shape).detach()


class _WithoutScale(Drawn):
    def rsample(self, sample_shape=()):
        return self.loc + self.noise(sample_shape)


class _DetachedScale(Drawn):
    def rsample(self, sample_shape=()):
        return self.loc + self.scale.detach() * self.noise(sample_shape)


class _OneNoiseForAllLatents(Drawn):
    def noise(self, sample_shape):
        return super().noise(sample_shape)[..., :1]


class _NoNoise(Drawn):
    def rsample(self, sample_shape=()):
        return (self.loc + 0 * self.scale).expand(self._extended_shape(sample_shape))


class _SinglePrecision(WrongNormal):
    def log_prob(self, value):
        single = Normal(self.loc.float(), self.scale.float(), validate_args=False)
        return single.log_prob(value.float()).to(value.dtype)


class _DetachedDensity(WrongNormal):
    def log_prob(self, value):
        return Normal(self.loc.detach(), self.scale, validate_args=False).log_prob(value)


class _Floor(WrongNormal):
    """No value is less likely than it pleases."""

    def log_prob(self, value):
        return super().log_prob(value).clamp(min=-4)


class _VarianceIsScale(WrongNormal):
    @property
    def variance(self):
        return self.scale


class _EntropyWithoutConstant(WrongNormal):
    def entropy(self):
        return 0.5 + self.scale.log()


class _ForgetsItsScale(WrongNormal):
    def expand(self, batch_shape, _instance=None):
        return type(self)(self.loc.expand(batch_shape), torch.ones_like(self.scale).expand(batch_shape))


class _PrecisionAsScale(WrongNormal):
    def log_prob(self, value):
        return Normal(self.loc, 1 / self.scale, validate_args=False).log_prob(value)


FAULTS += [
    Fault(posterior_of(_WithoutScale), "check_draws", ("check_closed_form_kl", "check_moments"), slow=True),
    Fault(posterior_of(_DetachedScale), "check_rsample_gradient"),
    Fault(posterior_of(_OneNoiseForAllLatents), "check_draws", slow=True),
    Fault(decoder_of(_NoNoise), "check_draws", ("check_moments", "check_normalised"), slow=True),
    Fault(posterior_of(_SinglePrecision), "check_density_gradient"),
    Fault(decoder_of(_DetachedDensity), "check_density_gradient", ("check_extremes",)),
    Fault(decoder_of(_Floor), "check_normalised", ("check_draws", "check_moments"), slow=True),
    Fault(posterior_of(_VarianceIsScale), "check_moments"),
    Fault(posterior_of(_EntropyWithoutConstant), "check_moments", slow=True),
    Fault(posterior_of(_ForgetsItsScale), "check_expand", ("check_moments", "check_broadcasting")),
    Fault(decoder_of(_PrecisionAsScale), "check_draws", ("check_moments",), slow=True),
]


class _Squashed(Drawn):
    def rsample(self, sample_shape=()):
        return super().rsample(sample_shape).tanh().clamp(-1 + 1e-6, 1 - 1e-6)

    def log_prob(self, value):
        return super().log_prob(value.atanh())

    @property
    def mean(self):
        raise NotImplementedError

    variance = mean


@caught_by("check_normalised", "check_draws", "check_moments", "check_support", slow=True)
class ForgetsTheJacobian(TemplatePosterior):
    """Numbers between -1 and 1, with the density of what was squashed; UsageError."""

    def __init__(self, feature_shape, latent_shape):
        super().__init__(feature_shape, latent_shape)
        self.support = constraints.independent(constraints.interval(-1.0, 1.0), len(latent_shape))

    def forward(self, features):
        right = super().forward(features).base_dist
        return Independent(_Squashed(right.loc, right.scale), len(self.latent_shape), validate_args=False)


@caught_by("check_batch_independence", "check_batch_size", slow=True)
class ScaleOfTheBatch(TemplatePosterior):
    def forward(self, features):
        right = super().forward(features).base_dist
        return diagonal_normal(
            right.loc, right.log_scale.mean(0, keepdim=True).expand_as(right.loc), len(self.latent_shape)
        )


class _Swapped(LogScaleNormal):
    def expand(self, batch_shape, _instance=None):
        return _Swapped(self.loc.expand(batch_shape), self.log_scale.expand(batch_shape), validate_args=False)


@register_kl(_Swapped, LogScaleNormal)
def _kl_of_the_other_way_round(q, p):
    plain = LogScaleNormal(q.loc, q.log_scale, validate_args=False)
    return kl_divergence(p, plain)


@caught_by("check_closed_form_kl", slow=True)
class RegistersTheReverse(TemplatePosterior):
    def forward(self, features):
        right = super().forward(features).base_dist
        return Independent(_Swapped(right.loc, right.log_scale, validate_args=False), len(self.latent_shape))


class _Averaged(Independent):
    pass


@register_kl(_Averaged, Independent)
def _kl_by_latent(q, p):
    plain = Independent(q.base_dist, q.reinterpreted_batch_ndims, validate_args=False)
    return kl_divergence(plain, p) / math.prod(q.event_shape)


@caught_by("check_closed_form_kl")
class RegistersTheMeanOverLatents(TemplatePosterior):
    def forward(self, features):
        return _Averaged(super().forward(features).base_dist, len(self.latent_shape), validate_args=False)


# ---------------------------------------------------------------- priors


class _Mixture(Distribution):
    """Two normals for each latent."""

    has_rsample = False

    def __init__(self, weights, loc):
        self.weights, self.loc = weights, loc  # (2,), (2, *latent)
        super().__init__(torch.Size(), loc.shape[1:], validate_args=False)

    def log_weights(self):
        return self.weights.log_softmax(0)

    def log_prob(self, value):
        parts = Normal(self.loc, 1.0, validate_args=False).log_prob(
            value.unsqueeze(-1 - len(self._event_shape))
        )
        parts = parts.flatten(-len(self._event_shape)).sum(-1)
        return (parts + self.log_weights()).logsumexp(-1)

    def chosen(self, shape):
        return Categorical(logits=self.weights).sample(shape)

    def sample(self, sample_shape=()):
        loc = self.loc.detach()[self.chosen(torch.Size(sample_shape))]
        return loc + torch.randn_like(loc)


class _Unnormalised(_Mixture):
    def log_weights(self):
        return self.weights


class _OneForAll(_Mixture):
    def chosen(self, shape):
        return Categorical(logits=self.weights).sample(()).expand(shape)


def mixture_of(distribution):
    """A prior with mixtures of this class."""

    class Of(TemplatePrior):
        """A mixture of two normals; UsageError."""

        def __init__(self, latent_shape):
            super().__init__(latent_shape)
            del self.log_scale
            self.weights = nn.Parameter(torch.zeros(2))
            self.loc = nn.Parameter(
                torch.linspace(-2, 2, 2).view(-1, *[1] * len(latent_shape)).repeat(1, *latent_shape)
            )

        def forward(self):
            return distribution(self.weights, self.loc)

    Of.__name__ = f"{distribution.__name__.strip('_')}Prior"
    return Of


RightMixture = mixture_of(_Mixture)
FAULTS += [
    Fault(mixture_of(_Unnormalised), "check_normalised", slow=True),
    Fault(mixture_of(_OneForAll), "check_draws", slow=True),
]


@caught_by("check_normalised", "check_closed_form_kl", "check_moments", slow=True)
class TakesAScaleForItsLogarithm(TemplatePrior):
    def forward(self):
        class Wrong(WrongNormal):
            def log_prob(self, value):
                standard = (value - self.loc) / self.scale
                return -0.5 * standard.square() - self.scale - 0.5 * math.log(2 * math.pi)

        wrong = Wrong(self.loc, self.log_scale.exp())
        return Independent(wrong, len(self.latent_shape), validate_args=False)


@caught_by(
    "check_normalised", "check_support", "check_moments", "check_extremes", "check_own_device", slow=True
)
class TruncatesAndForgetsIt(TemplatePrior):
    """Normal draws between -1 and 1, with the density of all normal draws; UsageError."""

    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        self.support = constraints.independent(constraints.interval(-1.0, 1.0), len(latent_shape))

    def forward(self):
        class Truncated(WrongNormal):
            def sample(self, sample_shape=()):
                low, high = self.cdf(self.loc * 0 - 1), self.cdf(self.loc * 0 + 1)
                u = torch.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype)
                return self.icdf(low + u * (high - low)).clamp(-1, 1)

            @property
            def mean(self):
                raise NotImplementedError

            variance = mean

        return Independent(Truncated(self.loc, self.log_scale.exp()), len(self.latent_shape))


class _BetaWithoutNormaliser(Beta):
    def log_prob(self, value):
        return (self.concentration1 - 1) * value.log() + (self.concentration0 - 1) * (-value).log1p()


@caught_by("check_normalised", "check_moments", "check_closed_form_kl", slow=True)
class ForgetsTheBetaFunction(TemplatePrior):
    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        self.support = constraints.independent(constraints.unit_interval, len(latent_shape))

    def forward(self):
        a, b = 1 + self.loc.exp(), 1 + self.log_scale.exp()
        return Independent(_BetaWithoutNormaliser(a, b, validate_args=False), len(self.latent_shape))


# ---------------------------------------------------------------- decoders


class _ClampedDraws(WrongNormal):
    def sample(self, sample_shape=()):
        return super().sample(sample_shape).clamp(0, 1)


FAULTS += [
    Fault(
        decoder_of(_ClampedDraws),
        "check_draws",
        ("check_mean", "check_moments", "check_normalised"),
        slow=True,
    )
]


class _LogOfSigmoid(Bernoulli):
    def log_prob(self, value):
        p = self.logits.sigmoid()
        return value * p.log() + (1 - value) * (1 - p).log()


@caught_by("check_extremes", "check_probabilities")
class TakesTheLogarithmOfASigmoid(TemplateDecoder):
    """Zeros and ones, whose probabilities round to 0; UsageError for other data."""

    def __init__(self, data):
        super().__init__(data)
        if data.levels != 2 or (data.low, data.high) != (0, 1):
            raise UsageError("data of 0 and 1 are wanted", hint="choose such data: --data digits")
        self.support = constraints.independent(constraints.boolean, len(data.shape))

    def forward(self, parameters):
        return Independent(_LogOfSigmoid(logits=parameters, validate_args=False), len(self.data.shape))


class _Bins(Distribution):
    """A normal in bins, the first and the last of them open."""

    shift, open = 0.0, True

    def __init__(self, loc):
        self.normal = Normal(loc, 0.3, validate_args=False)
        super().__init__(loc.shape, torch.Size(), validate_args=False)

    def log_prob(self, value):
        value = value + self.shift
        low, high = (value - 0.5 / 255, value + 0.5 / 255)
        if self.open:
            low = torch.where(value <= 0, -math.inf, low)
            high = torch.where(value >= 1, math.inf, high)
        return (self.normal.cdf(high) - self.normal.cdf(low)).clamp(min=1e-30).log()

    @property
    def mean(self):
        loc = self.normal.loc
        grid = torch.linspace(0, 1, 256, dtype=loc.dtype, device=loc.device).view(-1, *[1] * loc.dim())
        return (self.log_prob(grid.expand(-1, *loc.shape)).exp() * grid).sum(0)

    def sample(self, sample_shape=()):
        return (self.normal.sample(torch.Size(sample_shape)).clamp(0, 1) * 255).round() / 255

    def expand(self, batch_shape, _instance=None):
        return type(self)(self.normal.loc.expand(batch_shape))


class _NextBin(_Bins):
    def log_prob(self, value):
        grid = (value * 255).round()
        return super().log_prob(torch.where(grid == 255, 0, grid + 1) / 255)


class _ClosedBins(_Bins):
    open = False


def in_bins(distribution):
    """A decoder of 8-bit pictures with bins of this class."""

    class Of(TemplateDecoder):
        """Values of 256 levels; UsageError for others."""

        def __init__(self, data):
            super().__init__(data)
            if data.levels != 256 or (data.low, data.high) != (0, 1):
                raise UsageError("data of 256 levels are wanted", hint="choose such data: --data digits")
            self.support = constraints.independent(Levels(0.0, 1.0, 256), len(data.shape))

        def forward(self, parameters):
            return Independent(distribution(parameters.sigmoid()), len(self.data.shape), validate_args=False)

    Of.__name__ = f"{distribution.__name__.strip('_')}Decoder"
    return Of


RightBins = in_bins(_Bins)
FAULTS += [
    Fault(in_bins(_NextBin), "check_draws", ("check_mean",), slow=True),
    Fault(in_bins(_ClosedBins), "check_normalised", ("check_draws", "check_mean"), slow=True),
]


class _ModeForMean(LogNormal):
    @property
    def mean(self):
        return self.mode


class _WithoutFactorial(Poisson):
    def log_prob(self, value):
        return value * self.rate.log() - self.rate


@caught_by("check_mean")
class ShowsTheMode(TemplateDecoder):
    """Positive values; UsageError for others."""

    def __init__(self, data):
        super().__init__(data)
        if data.low != 0 or not math.isinf(data.high) or data.counts:
            raise UsageError("positive data are wanted", hint="choose such data: --data digits")
        self.support = constraints.independent(constraints.positive, len(data.shape))

    def forward(self, parameters):
        scale = parameters.new_tensor(0.6)
        return Independent(_ModeForMean(parameters, scale, validate_args=False), len(self.data.shape))


@caught_by("check_normalised", "check_draws", "check_probabilities", slow=True)
class ForgetsTheFactorial(TemplateDecoder):
    """Counts; UsageError for other data."""

    def __init__(self, data):
        super().__init__(data)
        if not data.counts:
            raise UsageError("counts are wanted", hint="choose such data: --data digits")
        self.support = constraints.independent(constraints.nonnegative_integer, len(data.shape))

    def forward(self, parameters):
        rate = nn.functional.softplus(parameters) + 1e-3
        return Independent(_WithoutFactorial(rate, validate_args=False), len(self.data.shape))
