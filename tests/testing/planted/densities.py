"""Faults: densities."""

import math

import torch
from torch.distributions import (
    Bernoulli,
    HalfNormal,
    Independent,
    Normal,
    SigmoidTransform,
    TransformedDistribution,
    constraints,
)

from genmod import (
    UsageError,
)
from genmod.scaffold.templates.decoder import TemplateDecoder
from genmod.scaffold.templates.posterior import TemplatePosterior
from genmod.scaffold.templates.prior import TemplatePrior
from planted import FAULTS, Fault, caught_by


@caught_by("check_support", "check_normalised", "check_density_gradient")
class DeclaresTooMuch(TemplatePrior):
    def forward(self):
        return Independent(
            HalfNormal((self.loc + self.log_scale).exp(), validate_args=False), len(self.latent_shape)
        )


@caught_by("check_extremes")
class Overflows(TemplatePosterior):
    def forward(self, features):
        flat = features.flatten(1)
        scale = self.log_scale(flat).exp().expand(-1, math.prod(self.latent_shape))
        normal = Normal(self.loc(flat), scale, validate_args=False)
        return Independent(normal, 1) if len(self.latent_shape) == 1 else super().forward(features)


@caught_by("check_rates")
class ScoresTheClamp(TemplatePosterior):
    """Numbers between 0 and 1; those that would be 1 are put below it, and scored there."""

    def __init__(self, feature_shape, latent_shape):
        super().__init__(feature_shape, latent_shape)
        self.support = constraints.independent(constraints.unit_interval, len(latent_shape))

    def forward(self, features):
        normal = super().forward(features).base_dist
        squashed = TransformedDistribution(normal, SigmoidTransform(), validate_args=False)
        return Independent(squashed, len(self.latent_shape), validate_args=False)


class _Certain(Bernoulli):
    def log_prob(self, value):
        # Right up to 20.
        return value * self.logits - self.logits.clamp(max=20).exp().log1p()


@caught_by("check_probabilities")
class MoreThanCertain(TemplateDecoder):
    """Zeros and ones, with the normaliser of a logit of 20 for all that are above; UsageError for other data."""

    def __init__(self, data):
        super().__init__(data)
        if data.levels != 2 or (data.low, data.high) != (0, 1):
            raise UsageError("data of 0 and 1 are wanted", hint="choose such data: --data digits")
        self.support = constraints.independent(constraints.boolean, len(data.shape))

    def forward(self, parameters):
        return Independent(_Certain(logits=parameters, validate_args=False), len(self.data.shape))


class WrongNormal(Normal):
    """A normal whose methods can be wrong."""

    def __init__(self, loc, scale):
        super().__init__(loc, scale, validate_args=False)

    def expand(self, batch_shape, _instance=None):
        return type(self)(self.loc.expand(batch_shape), self.scale.expand(batch_shape))


class _NoConstant(WrongNormal):
    def log_prob(self, value):
        return -0.5 * ((value - self.loc) / self.scale) ** 2


class _OfTheFirstAlone(WrongNormal):
    """Scores a single value under the first distribution of the batch, where all of them are asked."""

    def log_prob(self, value):
        right = super().log_prob(value)
        return right[:1].expand_as(right) if value.dim() < right.dim() else right


class _Doubled(WrongNormal):
    def log_prob(self, value):
        return 2 * super().log_prob(value)


class _WiderDraws(WrongNormal):
    def rsample(self, sample_shape=()):
        return self.loc + (self.scale * 2) * torch.randn(
            self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device
        )

    def sample(self, sample_shape=()):
        return self.rsample(sample_shape).detach()


class _DrawsWithoutParameters(WrongNormal):
    def sample(self, sample_shape=()):
        return torch.randn(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)


class _MeanOfSomethingElse(WrongNormal):
    @property
    def mean(self):
        return self.loc + 0.1


class _NoGradient(WrongNormal):
    def rsample(self, sample_shape=()):
        return self.sample(sample_shape)


class _HalfGradient(WrongNormal):
    def rsample(self, sample_shape=()):
        z = super().rsample(sample_shape)
        return (z + z.detach()) / 2


class _MeanOverDimensions(Independent):
    def log_prob(self, value):
        return super().log_prob(value) / math.prod(self.event_shape)


def decoder_of(distribution):
    """The decoder with normals of this class."""

    class Of(TemplateDecoder):
        """Normals; UsageError."""

        def forward(self, parameters):
            scale = parameters.new_tensor(0.7)
            return Independent(distribution(parameters, scale), len(self.data.shape), validate_args=False)

    Of.__name__ = f"{distribution.__name__.strip('_')}Decoder"
    return Of


def posterior_of(distribution):
    """The posterior with normals of this class."""

    class Of(TemplatePosterior):
        """Normals; UsageError."""

        def forward(self, features):
            right = super().forward(features).base_dist
            return Independent(
                distribution(right.loc, right.scale), len(self.latent_shape), validate_args=False
            )

    Of.__name__ = f"{distribution.__name__.strip('_')}Posterior"
    return Of


FAULTS += [
    Fault(decoder_of(_NoConstant), "check_normalised", ("check_moments",)),
    Fault(decoder_of(_OfTheFirstAlone), "check_broadcasting"),
    Fault(
        posterior_of(_Doubled), "check_normalised", ("check_draws", "check_closed_form_kl", "check_moments")
    ),
    Fault(posterior_of(_WiderDraws), "check_draws", ("check_closed_form_kl", "check_moments")),
    Fault(decoder_of(_DrawsWithoutParameters), "check_draws", ("check_mean", "check_moments")),
    Fault(decoder_of(_MeanOfSomethingElse), "check_mean"),
    Fault(posterior_of(_NoGradient), "check_rsample_gradient"),
    Fault(posterior_of(_HalfGradient), "check_rsample_gradient"),
]


@caught_by("check_normalised", "check_draws", "check_closed_form_kl", "check_moments", slow=True)
class PriorOffByAFactor(TemplatePrior):
    def forward(self):
        return Independent(_Doubled(self.loc, self.log_scale.exp()), len(self.latent_shape))


@caught_by("check_normalised", "check_draws", "check_moments", slow=True)
class MeanInsteadOfSum(TemplateDecoder):
    def forward(self, parameters):
        right = super().forward(parameters)
        return _MeanOverDimensions(right.base_dist, len(self.data.shape), validate_args=False)


@caught_by("check_draws", "check_closed_form_kl", "check_moments", slow=True)
class LogVarianceAsLogScale(TemplatePosterior):
    """Draws with ``exp(log_var)`` where the density has ``exp(log_var / 2)``; UsageError."""

    def forward(self, features):
        right = super().forward(features).base_dist

        class Drawn(WrongNormal):
            def rsample(self, sample_shape=()):
                noise = torch.randn(
                    self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device
                )
                return self.loc + self.scale**2 * noise

            def sample(self, sample_shape=()):
                return self.rsample(sample_shape).detach()

        return Independent(Drawn(right.loc, right.scale * 1.5), len(self.latent_shape), validate_args=False)
