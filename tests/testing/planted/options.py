"""Faults: options; numbers that are right at their default alone, and names that hide those of modules."""

import math
from typing import Annotated

import torch
from annotated_types import Gt
from torch import nn
from torch.distributions import Independent, Normal
from torch.distributions.kl import kl_divergence, register_kl

from genmod import ComponentSpec, Divergence, Doc, Terms, Tracker
from genmod.scaffold.templates.dataset import TemplateDataset
from genmod.scaffold.templates.decoder import TemplateDecoder
from genmod.scaffold.templates.divergence import TemplateDivergence
from genmod.scaffold.templates.encoder import TemplateEncoder
from genmod.scaffold.templates.network import TemplateNetwork
from genmod.scaffold.templates.objective import TemplateObjective
from genmod.scaffold.templates.posterior import TemplatePosterior
from genmod.scaffold.templates.prior import TemplatePrior
from planted import caught_by

Scale = Annotated[float, Gt(0), Doc("scale")]
Count = Annotated[int, Gt(0), Doc("how many")]


class _ScaledPrior(TemplatePrior):
    def __init__(self, latent_shape, *, alpha: Scale = 1.0):
        super().__init__(latent_shape)
        self.alpha = alpha


class _NoLogScale(Normal):
    def __init__(self, loc, scale, factor):
        super().__init__(loc, scale * factor, validate_args=False)
        self.factor = factor

    def log_prob(self, value):
        return super().log_prob(value) + math.log(self.factor)

    def expand(self, batch_shape, _instance=None):
        return _NoLogScale(
            self.loc.expand(batch_shape), self.scale.expand(batch_shape) / self.factor, self.factor
        )


def wide(normal, factor):
    base = normal.base_dist
    return Independent(_NoLogScale(base.loc, base.scale, factor), normal.reinterpreted_batch_ndims, False)


@caught_by("check_numbers", "check_rates")
class PriorForgetsLogAlpha(_ScaledPrior):
    """``p(z) = exp(-½ z² / α²)`` over the constant for α = 1; UsageError."""

    def forward(self, context=None):
        return wide(super().forward(), self.alpha)


@caught_by("check_numbers", "check_rates")
class PosteriorForgetsLogTemperature(TemplatePosterior):
    def __init__(self, feature_shape, latent_shape, *, temperature: Scale = 1.0):
        super().__init__(feature_shape, latent_shape)
        self.temperature = temperature

    def forward(self, features):
        return wide(super().forward(features), self.temperature)


class _DrawsWider(Normal):
    factor = 1.0

    def rsample(self, sample_shape=()):
        return self.loc + (super().rsample(sample_shape) - self.loc) * self.factor

    def sample(self, sample_shape=()):
        return self.rsample(sample_shape).detach()

    def expand(self, batch_shape, _instance=None):
        made = _DrawsWider(self.loc.expand(batch_shape), self.scale.expand(batch_shape), validate_args=False)
        made.factor = self.factor
        return made


@caught_by("check_numbers", "check_rates", "check_closed_form_kl")
class PosteriorDrawsWider(TemplatePosterior):
    def __init__(self, feature_shape, latent_shape, *, temperature: Scale = 1.0):
        super().__init__(feature_shape, latent_shape)
        self.temperature = temperature

    def forward(self, features):
        made = super().forward(features)
        normal = _DrawsWider(made.base_dist.loc, made.base_dist.scale, validate_args=False)
        normal.factor = self.temperature
        return Independent(normal, made.reinterpreted_batch_ndims, validate_args=False)


@caught_by("check_numbers")
class DecoderForgetsLogScale(TemplateDecoder):
    def __init__(self, data, *, scale: Scale = 1.0):
        super().__init__(data, scale=scale)

    def forward(self, parameters):
        normal = _NoLogScale(parameters, torch.ones_like(parameters), self.scale)
        return Independent(normal, len(self.data.shape), validate_args=False)


@caught_by("check_numbers")
class DecoderKeepsItsShape(TemplateDecoder):
    """As many parameters as there are of one component; UsageError."""

    def __init__(self, data, *, components: Count = 1):
        super().__init__(data)
        self.parameter_shape = (components, *data.shape)

    def forward(self, parameters):
        return super().forward(parameters.flatten(-len(self.data.shape) - 1).unflatten(-1, self.data.shape))


class _Scaled(Normal):
    """Told apart by its type for the KL."""

    def expand(self, batch_shape, _instance=None):
        made = _Scaled(self.loc.expand(batch_shape), self.scale.expand(batch_shape), validate_args=False)
        made.alpha = self.alpha
        return made


@register_kl(Normal, _Scaled)
def _kl(q, p):
    return torch.distributions.kl._kl_normal_normal(q, Normal(p.loc, p.scale / p.alpha, validate_args=False))


@caught_by("check_numbers", "check_rates")
class KLForgetsAlpha(_ScaledPrior):
    def forward(self, context=None):
        made = super().forward()
        normal = _Scaled(made.base_dist.loc, made.base_dist.scale * self.alpha, validate_args=False)
        normal.alpha = self.alpha
        return Independent(normal, made.reinterpreted_batch_ndims, validate_args=False)


@caught_by("check_numbers")
class EncoderKnowsItsWidth(TemplateEncoder):
    def __init__(self, data_shape, *, width: Count = 128):
        super().__init__(data_shape, width=width)
        self.feature_shape = (128,)

    def mirror(self):
        return ComponentSpec("mlp", {"hidden": [128]})


@caught_by("check_numbers")
class NetworkKnowsItsWidth(TemplateNetwork):
    def __init__(self, in_shape, out_shape, *, width: Count = 64):
        super().__init__(in_shape, out_shape, width=width)
        self.layers[2] = nn.Linear(64, math.prod(out_shape))


@caught_by("check_numbers")
class NetworkForgetsFurtherLayers(TemplateNetwork):
    """Layers that are made and not used; UsageError."""

    def __init__(self, in_shape, out_shape, *, depth: Count = 1):
        super().__init__(in_shape, out_shape)
        self.further = nn.ModuleList(nn.Linear(128, 128) for _ in range(depth - 1))


@caught_by("check_numbers")
class DivergenceScalesItself(Divergence):
    """``α KL`` that declares to be the KL; UsageError."""

    is_kl = True

    def __init__(self, *, alpha: Scale = 1.0):
        super().__init__()
        self.alpha = alpha

    def forward(self, q, p, z):
        return self.alpha * kl_divergence(q, p)

    def check(self, q, p):
        TemplateDivergence()(q, p, None)


@caught_by("check_numbers")
class DivergenceIsSignedByAlpha(TemplateDivergence):
    def __init__(self, *, alpha: Annotated[float, Gt(1), Doc("order")] = 4.0):
        super().__init__()
        self.alpha = alpha

    def forward(self, q, p, z):
        return super().forward(q, p, z) * (self.alpha - 3.5)


@caught_by("check_numbers", "check_more_draws")
class ObjectiveSumsItsDraws(TemplateObjective):
    """The logarithm of a sum of weights, which is that of their mean for one draw alone; UsageError."""

    def __init__(self, *, samples: Count = 1):
        super().__init__()
        self.samples = samples

    def forward(self, model, x):
        q, p = model.encode(x), model.prior()
        z = q.rsample((self.samples,))
        ratios = model.decode(z).log_prob(x) + p.log_prob(z) - q.log_prob(z)
        bound = ratios.logsumexp(0)
        return Terms(-bound.mean(), {"elbo": bound})


@caught_by("check_option_names")
class OptionTraining(TemplateEncoder):
    def __init__(self, data_shape, *, training: Annotated[bool, Doc("whether noise is added")] = True):
        super().__init__(data_shape)
        self.training = training


@caught_by("check_option_names", "check_dtype")
class OptionHalf(TemplateNetwork):
    def __init__(self, in_shape, out_shape, *, half: Annotated[bool, Doc("half of the width")] = False):
        super().__init__(in_shape, out_shape, width=64 if half else 128)
        self.half = half


@caught_by("check_option_names")
class OptionType(TemplatePrior):
    def __init__(self, latent_shape, *, type: Annotated[str, Doc("kind of the prior")] = "normal"):
        super().__init__(latent_shape)
        self.type = type


@caught_by("check_option_names")
class OptionDouble(TemplateDecoder):
    """It is not kept, and a later version may; UsageError."""

    def __init__(self, data, *, double: Annotated[bool, Doc("twice the scale")] = False):
        super().__init__(data, scale=0.2 if double else 0.1)


@caught_by(
    "check_option_names",
    "check_tracking",
    "check_tracker_rows",
    "check_tracker_flush",
    "check_tracker_resume",
    "check_tracker_leaves",
    "check_tracker_place",
)
class OptionWrite(Tracker):
    """An option that hides a method of its kind; UsageError."""

    def __init__(self, directory, run, *, write: Annotated[bool, Doc("whether rows are written")] = True):
        super().__init__(directory, run)
        self.write = write

    def begin(self, rows):
        self.path = self.directory / "rows"

    def write(self, row):
        raise AssertionError("never called")


@caught_by("check_option_names", "check_everything", "check_splits")
class OptionPlaces(TemplateDataset):
    def __init__(self, root, *, places: Annotated[int, Doc("digits of each number")] = 3):
        super().__init__(root)
        self.places = places


class _Renamed(TemplateEncoder):
    """Once its width was called size; UsageError."""

    check_cases = {"old_options": [(1, {"size": 8}), (2, {"width": 8})]}  # noqa: RUF012

    @staticmethod
    def migrate(options, revision):
        options = dict(options)
        return {"width": options.pop("size"), **options} if revision == 1 else options


@caught_by("check_migrate")
class MigrateKeepsTheOldName(_Renamed):
    @staticmethod
    def migrate(options, revision):
        return options


@caught_by("check_migrate")
class MigrateForgetsOneRevision(_Renamed):
    @staticmethod
    def migrate(options, revision):
        return {"width": options["size"]}


@caught_by("check_migrate")
class MigrateLosesTheWidth(_Renamed):
    @staticmethod
    def migrate(options, revision):
        return {}

    check_cases = {"old_options": [(1, {"width": 8})]}  # noqa: RUF012


@caught_by("check_migrate")
class MigrateReturnsNothing(_Renamed):
    @staticmethod
    def migrate(options, revision):
        options["width"] = options.pop("size", 8)


@caught_by("check_migrate")
class MigrateGivesAnotherType(_Renamed):
    @staticmethod
    def migrate(options, revision):
        return {"width": str(options.get("size", 8))}


@caught_by("check_migrate")
class HasNoMigrate(TemplateEncoder):
    check_cases = {"old_options": [(1, {"size": 8})]}  # noqa: RUF012
