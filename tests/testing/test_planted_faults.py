"""Components that are wrong in one thing, each caught by the check that is meant for it; slowly, by no unrelated one."""

import math
import threading
import time
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import (
    Bernoulli,
    HalfNormal,
    Independent,
    Laplace,
    Normal,
    SigmoidTransform,
    TransformedDistribution,
    constraints,
    kl_divergence,
)
from torch.distributions.kl import register_kl

from genmod import (
    Batch,
    ComponentSpec,
    Critic,
    DataInfo,
    Divergence,
    Doc,
    FileError,
    Incoming,
    Loss,
    ParameterGroup,
    Row,
    Schedule,
    TensorSplit,
    Terms,
    Undefined,
    UsageError,
    diagonal_normal,
    mean_row,
)
from genmod.distributions.normal import LogScaleNormal
from genmod.options.schedule import Clock
from genmod.registry.lookup import Registry, use_registry
from genmod.scaffold.templates.critic import TemplateCritic
from genmod.scaffold.templates.dataset import TemplateDataset
from genmod.scaffold.templates.decoder import TemplateDecoder
from genmod.scaffold.templates.divergence import TemplateDivergence
from genmod.scaffold.templates.encoder import TemplateEncoder
from genmod.scaffold.templates.features import TemplateFeatures
from genmod.scaffold.templates.format import TemplateFormat
from genmod.scaffold.templates.metric import TemplateMetric
from genmod.scaffold.templates.model import TemplateModel
from genmod.scaffold.templates.network import TemplateNetwork
from genmod.scaffold.templates.objective import TemplateObjective
from genmod.scaffold.templates.posterior import TemplatePosterior
from genmod.scaffold.templates.prior import TemplatePrior
from genmod.scaffold.templates.sampler import TemplateSampler
from genmod.scaffold.templates.tracker import TemplateTracker
from genmod.testing import CHECKS, run_checks
from genmod.testing.runner import run_one
from genmod.testing.selection import select


@dataclass(frozen=True)
class Fault:
    """A wrong component.

    Args:
        target: what is checked.
        check: the check that is meant to catch it.
        others: checks of laws that the same fault breaks too.
    """

    target: object
    check: str
    others: tuple[str, ...] = ()


FAULTS: list[Fault] = []


def caught_by(check, *others):
    """Plant a class as a fault."""

    def plant(cls):
        cls.__doc__ = cls.__doc__ or "Something; raises UsageError."
        FAULTS.append(Fault(cls, check, others))
        return cls

    return plant


# ---------------------------------------------------------------- what every component owes


@caught_by("check_class")
class Unfinished(TemplateEncoder.__base__):
    pass


@caught_by("check_signature")
class PositionalOption(TemplateEncoder):
    def __init__(self, data_shape, width: int = 32):
        super().__init__(data_shape, width=width)


@caught_by("check_options")
class UndocumentedOption(TemplateEncoder):
    def __init__(self, data_shape, *, width: int = 32):
        super().__init__(data_shape, width=width)


@caught_by("check_options")
class KeywordSink(TemplateEncoder):
    def __init__(self, data_shape, **options):
        super().__init__(data_shape)


@caught_by("check_options")
class NoDefault(TemplateEncoder):
    def __init__(self, data_shape, *, width: Annotated[int, Doc("width")]):
        super().__init__(data_shape, width=width)


@caught_by("check_options")
class DefaultOfAnotherType(TemplateEncoder):
    def __init__(self, data_shape, *, width: Annotated[int, Doc("width")] = "wide"):
        super().__init__(data_shape)


@caught_by("check_options_round_trip")
class ReversesItsOption(TemplateEncoder):
    def __init__(self, data_shape, *, hidden: Annotated[list[int], Doc("widths")] = (1, 2)):
        hidden.reverse()
        super().__init__(data_shape)


@caught_by("check_refusals")
class RefusesWithoutHint(TemplateEncoder):
    def __init__(self, data_shape):
        if len(data_shape) == 3:
            raise UsageError("no images")
        super().__init__(data_shape)


@caught_by("check_refusals")
class RefusesInSilence(TemplateEncoder):
    """Nothing is said of refusals."""

    def __init__(self, data_shape):
        if len(data_shape) == 3:
            raise UsageError("no images", hint="use a table")
        super().__init__(data_shape)


@caught_by("check_usable")
class RefusesEverything(TemplateEncoder):
    def __init__(self, data_shape):
        raise UsageError("not today", hint="try tomorrow")


# ---------------------------------------------------------------- critics


@caught_by("check_critic_losses")
class OneLossForAll(TemplateCritic):
    def losses(self, draw):
        return {name: replace(loss, values=loss.values.mean()) for name, loss in super().losses(draw).items()}


@caught_by("check_critic_groups")
class ForgetsItsFirstLayer(TemplateCritic):
    def parameter_groups(self):
        return {"critic": ParameterGroup(self.judge[-1].parameters())}


@caught_by("check_critic_gradient")
class DetachesWhatItJudges(TemplateCritic):
    def losses(self, draw):
        return super().losses(replace(draw, z=draw.z.detach()))


@caught_by("check_critic_gradient")
class LearnsNothing(TemplateCritic):
    def losses(self, draw):
        found = super().losses(draw)
        own = found["critic"]
        return {**found, "critic": replace(own, values=own.values.detach() + 0 * self.judge[-1].bias)}


class DistanceOfMeans(Critic):
    """Without parameters: it only adds a loss."""

    def losses(self, draw):
        made = draw.likelihood.mean.reshape(-1, *draw.x.shape)
        return {"distance": Loss((made - self.seen(draw.x)).flatten(2).square().sum(2).mean(0))}

    def seen(self, x):
        return x.detach()


@caught_by("check_critic_fixed")
class PullsObservations(DistanceOfMeans):
    def seen(self, x):
        return x


@caught_by("check_critic_fixed")
class SeesLessInTraining(DistanceOfMeans):
    def losses(self, draw):
        found = super().losses(draw)["distance"]
        return {"distance": replace(found, values=found.values * (0.5 if self.training else 1))}


@caught_by("check_critic_losses")
class LearnsWithoutParameters(DistanceOfMeans):
    def losses(self, draw):
        found = super().losses(draw)["distance"]
        return {"distance": found, "own": replace(found, group="critic")}


# ---------------------------------------------------------------- whole models


@caught_by("check_model_terms", "check_model_batch")
class NoSingleLoss(TemplateModel):
    def terms(self, x, context=None):
        terms = super().terms(x, context)
        return replace(terms, loss=-terms.values["elbo"])


@caught_by("check_model_gradient")
class FixedScale(TemplateModel):
    def density(self):
        return Normal(self.loc, self.log_scale.detach().exp(), validate_args=False)


@caught_by("check_model_batch")
class ScoresTheBatch(TemplateModel):
    def log_weights(self, x, samples=1, context=None):
        return super().log_weights(x - 0.1 * x.mean(0), samples, context)


@caught_by("check_model_weights", "check_normalised")
class ScoresTwice(TemplateModel):
    def log_weights(self, x, samples=1, context=None):
        steps = 0.1 * torch.arange(samples)[:, None]
        return super().log_weights(x, samples, context) + steps


@caught_by("check_normalised")
class ForgetsItsConstant(TemplateModel):
    def log_weights(self, x, samples=1, context=None):
        return super().log_weights(x, samples, context) + 0.5 * math.log(2 * math.pi) * x[0].numel()


@caught_by("check_draws")
class DrawsTooWide(TemplateModel):
    def draws(self, n, context=None, *, noise=False):
        return 1.5 * super().draws(n, context, noise=noise)


@caught_by("check_model_samples", "check_draws")
class SamplesOneForAll(TemplateModel):
    def draws(self, n, context=None, *, noise=False):
        return self.density().sample().expand(n, -1).reshape(1, n, *self.data.shape)


@caught_by("check_model_samples", "check_draws")
class DrawsByItsOwnSeed(TemplateModel):
    def draws(self, n, context=None, *, noise=False):
        own = torch.Generator().manual_seed(3)
        return torch.randn(n, *self.data.shape, generator=own, dtype=self.dtype)


@caught_by("check_model_state")
class KeepsALooseScale(TemplateModel):
    def __init__(self, spec, data):
        super().__init__(spec, data)
        self.loose = torch.rand(())

    def density(self):
        return Normal(self.loc + self.loose.to(self.loc), self.log_scale.exp(), validate_args=False)


@caught_by("check_model_device")
class OnTheProcessor(TemplateModel):
    def __init__(self, spec, data):
        super().__init__(spec, data)
        self.register_buffer("shift", torch.zeros(data.size, device="cpu"))


@caught_by("check_model_conditions")
class IgnoresItsCondition(TemplateModel):
    takes_conditions = True


# ---------------------------------------------------------------- modules


@caught_by("check_dtype")
class DoubleConstant(TemplateEncoder):
    def forward(self, x):
        return super().forward(x) * torch.tensor([0.5], dtype=torch.float64)


@caught_by("check_device")
class HardCodedDevice(TemplateNetwork):
    def forward(self, z):
        return super().forward(z) + torch.ones(1, dtype=z.dtype, device="cpu").expand(1)


@caught_by("check_gradient")
class Detached(TemplateNetwork):
    def forward(self, z):
        return self.layers[2](self.layers[:2](z.flatten(1)).detach()).unflatten(1, self.out_shape)


@caught_by("check_gradient")
class DeadParameter(TemplateEncoder):
    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.unused = nn.Parameter(torch.zeros(3))


@caught_by("check_gradient")
class DetachedPrior(TemplatePrior):
    def forward(self):
        return diagonal_normal(self.loc.detach(), self.log_scale, len(self.latent_shape))


@caught_by("check_input")
class IgnoresTheNetwork(TemplateDecoder):
    def forward(self, parameters):
        return super().forward(0 * parameters)


@caught_by("check_batch_independence", "check_batch_size")
class CentresTheBatch(TemplateEncoder):
    def forward(self, x):
        return super().forward(x - x.mean(0))


@caught_by("check_batch_independence", "check_batch_size", "check_shapes", "check_same_seed")
class BatchNormOfEveryBatch(TemplateEncoder):
    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.norm = nn.BatchNorm1d(self.feature_shape[0], track_running_stats=False)

    def forward(self, x):
        return self.norm(super().forward(x))


@caught_by("check_batch_size")
class DividesByTheBatch(TemplateNetwork):
    def forward(self, z):
        return super().forward(z) / len(z)


@caught_by("check_evaluation")
class CountsItsCalls(TemplateEncoder):
    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.register_buffer("calls", torch.tensor(0.0))

    def forward(self, x):
        self.calls = self.calls + 1
        return super().forward(x)


@caught_by(
    *(
        "check_evaluation",
        "check_batch_independence",
        "check_batch_size",
        "check_deepcopy",
        "check_state_dict",
    ),
    *("check_same_seed", "check_input"),
)
class ChangesItsInput(TemplateEncoder):
    def forward(self, x):
        x.data.mul_(1.5)
        return super().forward(x)


@caught_by("check_same_seed")
class DrawsFromNumpy(TemplateEncoder):
    numbers = np.random.default_rng(0)

    def __init__(self, data_shape):
        super().__init__(data_shape)
        with torch.no_grad():
            self.layer.bias += float(self.numbers.normal())


@caught_by("check_random_state")
class SeedsTorch(TemplateEncoder):
    def __init__(self, data_shape):
        torch.manual_seed(0)
        super().__init__(data_shape)


@caught_by("check_random_state")
class SeedsNumpy(TemplateEncoder):
    def __init__(self, data_shape):
        np.random.seed(0)
        super().__init__(data_shape)


@caught_by("check_random_state", "check_batch_independence", "check_batch_size")
class DropsOutInEvaluation(TemplateEncoder):
    def forward(self, x):
        return nn.functional.dropout(super().forward(x), training=True)


@caught_by("check_state_dict")
class HidesState(TemplateEncoder):
    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.secret = torch.randn(())

    def forward(self, x):
        return super().forward(x) * self.secret


@caught_by("check_deepcopy")
class SharesItsScale(TemplateDecoder):
    """A decoder whose copies have one parameter; UsageError."""

    def __init__(self, data):
        super().__init__(data)
        self.shift = nn.Parameter(torch.zeros(()))

    def forward(self, parameters):
        return super().forward(parameters + self.shift)

    def __deepcopy__(self, memo):
        other = type(self)(self.data)
        other.shift = self.shift
        return other


@caught_by("check_deepcopy", "check_dtype")
class HoldsALock(TemplateEncoder):
    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.lock = threading.Lock()


@caught_by("check_export", "check_device")
class DependsOnValues(TemplateEncoder):
    def forward(self, x):
        features = super().forward(x)
        return features if bool(features.sum() > -1e9) else -features


@caught_by("check_device")
class Validates(TemplateDecoder):
    def forward(self, parameters):
        return Independent(Laplace(parameters, self.scale, validate_args=True), len(self.data.shape))


# ---------------------------------------------------------------- shapes


@caught_by("check_shapes")
class HardCodedImageSize(TemplateEncoder):
    def forward(self, x):
        return super().forward(x.flatten(1)[:, :64])


@caught_by("check_shapes")
class WrongFeatureShape(TemplateEncoder):
    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.feature_shape = (64,)


@caught_by("check_mirror")
class MirrorThatIsNot(TemplateEncoder):
    def mirror(self):
        return ComponentSpec("no-such-network")


@caught_by("check_posterior_shapes", "check_gradient")
class PosteriorWithoutEvent(TemplatePosterior):
    """The latents are batch dimensions; UsageError."""

    has_density = False

    def forward(self, features):
        return super().forward(features).base_dist


def shifted(q, shift):
    return diagonal_normal(q.mean + shift, q.base_dist.log_scale, len(q.event_shape))


@caught_by("check_joint")
class MovesWithoutGradients(TemplatePosterior):
    """Raises where gradients are off, as in evaluation."""

    wants_joint = True

    def forward(self, features, joint=None):
        q = super().forward(features)
        loc = q.mean
        return q if joint is None else shifted(q, 0.1 * torch.autograd.grad(joint(loc).sum(), loc)[0])


@caught_by("check_joint")
class MovesAllAlike(TemplatePosterior):
    wants_joint = True

    def forward(self, features, joint=None):
        q = super().forward(features)
        loc = q.mean.detach().requires_grad_()
        if joint is None:
            return q
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(joint(loc).sum(), loc)
        return shifted(q, 0.1 * slope.mean(0))


@caught_by("check_joint")
class MovesNowhere(TemplatePosterior):
    wants_joint = True

    def forward(self, features, joint=None):
        return super().forward(features)


@caught_by("check_prior_shapes")
class NoneThatIsOne(TemplatePrior):
    has_density = False


@caught_by("check_decoder_shapes")
class FlattensTheBatch(TemplateDecoder):
    def forward(self, parameters):
        return super().forward(parameters.reshape(-1, *self.data.shape))


class _NoMean(Laplace):
    @property
    def mean(self):
        raise NotImplementedError


@caught_by("check_decoder_shapes")
class HasNoMean(TemplateDecoder):
    def forward(self, parameters):
        return Independent(_NoMean(parameters, self.scale, validate_args=False), len(self.data.shape))


class _ClosedForm(Divergence):
    """Refuses what has no closed form in either direction."""

    def check(self, q, p):
        TemplateDivergence().check(q, p)


@caught_by("check_divergence_shapes", "check_batch_size", "check_batch_independence")
class SumsOverTheBatch(_ClosedForm):
    def forward(self, q, p, z):
        return kl_divergence(q, p).sum(0, keepdim=True)


@caught_by("check_columns")
class CentresTheValues(TemplateDecoder):
    def forward(self, parameters):
        dims = tuple(range(-len(self.data.shape), 0))
        return super().forward(parameters - 0.5 * parameters.mean(dims, keepdim=True))


# ---------------------------------------------------------------- densities


@caught_by("check_support", "check_normalised")
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


class _Wrong(Normal):
    """A normal whose methods can be wrong."""

    def __init__(self, loc, scale):
        super().__init__(loc, scale, validate_args=False)

    def expand(self, batch_shape, _instance=None):
        return type(self)(self.loc.expand(batch_shape), self.scale.expand(batch_shape))


class _NoConstant(_Wrong):
    def log_prob(self, value):
        return -0.5 * ((value - self.loc) / self.scale) ** 2


class _OfTheFirstAlone(_Wrong):
    """Scores a single value under the first distribution of the batch, where all of them are asked."""

    def log_prob(self, value):
        right = super().log_prob(value)
        return right[:1].expand_as(right) if value.dim() < right.dim() else right


class _Doubled(_Wrong):
    def log_prob(self, value):
        return 2 * super().log_prob(value)


class _WiderDraws(_Wrong):
    def rsample(self, sample_shape=()):
        return self.loc + (self.scale * 2) * torch.randn(
            self._extended_shape(sample_shape), dtype=self.loc.dtype
        )

    def sample(self, sample_shape=()):
        return self.rsample(sample_shape).detach()


class _DrawsWithoutParameters(_Wrong):
    def sample(self, sample_shape=()):
        return torch.randn(self._extended_shape(sample_shape), dtype=self.loc.dtype)


class _MeanOfSomethingElse(_Wrong):
    @property
    def mean(self):
        return self.loc + 0.1


class _NoGradient(_Wrong):
    def rsample(self, sample_shape=()):
        return self.sample(sample_shape)


class _HalfGradient(_Wrong):
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

    return Of


FAULTS += [
    Fault(decoder_of(_NoConstant), "check_normalised"),
    Fault(decoder_of(_OfTheFirstAlone), "check_broadcasting"),
    Fault(posterior_of(_Doubled), "check_normalised", ("check_draws", "check_closed_form_kl")),
    Fault(posterior_of(_WiderDraws), "check_draws", ("check_closed_form_kl",)),
    Fault(decoder_of(_DrawsWithoutParameters), "check_draws", ("check_mean",)),
    Fault(decoder_of(_MeanOfSomethingElse), "check_mean"),
    Fault(posterior_of(_NoGradient), "check_rsample_gradient"),
    Fault(posterior_of(_HalfGradient), "check_rsample_gradient"),
]


@caught_by("check_normalised", "check_draws", "check_closed_form_kl")
class PriorOffByAFactor(TemplatePrior):
    def forward(self):
        return Independent(_Doubled(self.loc, self.log_scale.exp()), len(self.latent_shape))


@caught_by("check_normalised", "check_draws")
class MeanInsteadOfSum(TemplateDecoder):
    def forward(self, parameters):
        right = super().forward(parameters)
        return _MeanOverDimensions(right.base_dist, len(self.data.shape), validate_args=False)


@caught_by("check_draws", "check_closed_form_kl")
class LogVarianceAsLogScale(TemplatePosterior):
    """Draws with ``exp(log_var)`` where the density has ``exp(log_var / 2)``; UsageError."""

    def forward(self, features):
        right = super().forward(features).base_dist

        class Drawn(_Wrong):
            def rsample(self, sample_shape=()):
                noise = torch.randn(self._extended_shape(sample_shape), dtype=self.loc.dtype)
                return self.loc + self.scale**2 * noise

            def sample(self, sample_shape=()):
                return self.rsample(sample_shape).detach()

        return Independent(Drawn(right.loc, right.scale * 1.5), len(self.latent_shape), validate_args=False)


# ---------------------------------------------------------------- divergences


class _Tilted(LogScaleNormal):
    def expand(self, batch_shape, _instance=None):
        return _Tilted(self.loc.expand(batch_shape), self.log_scale.expand(batch_shape), validate_args=False)


@register_kl(_Tilted, LogScaleNormal)
def _kl_without_the_half(q, p):
    ratio = 2 * (q.log_scale - p.log_scale)
    return ratio.exp() - 1 - ratio + ((q.loc - p.loc) / p.scale) ** 2


@caught_by("check_closed_form_kl")
class RegistersAWrongKL(TemplatePosterior):
    def forward(self, features):
        right = super().forward(features).base_dist
        return Independent(_Tilted(right.loc, right.log_scale, validate_args=False), len(self.latent_shape))


class _Base(Divergence):
    """A Monte-Carlo estimate, right as it is."""

    def forward(self, q, p, z):
        return (q.log_prob(z) - p.log_prob(z)).mean(0)


@caught_by("check_kl")
class KLWithoutTheHalf(_ClosedForm):
    is_kl = True

    def forward(self, q, p, z):
        return 2 * kl_divergence(q, p)


@caught_by("check_kl")
class ReverseKL(_ClosedForm):
    is_kl = True

    def forward(self, q, p, z):
        return kl_divergence(p, q)


@caught_by("check_not_negative")
class WrongSign(_Base):
    def forward(self, q, p, z):
        return -super().forward(q, p, z)


@caught_by("check_zero_at_equality")
class LeavesAConstant(TemplateDivergence):
    def forward(self, q, p, z):
        return super().forward(q, p, z) + 0.1


@caught_by("check_number_of_draws")
class SumsOverDraws(_Base):
    def forward(self, q, p, z):
        return super().forward(q, p, z) * len(z)


@caught_by("check_by_dimension")
class PartsThatDoNotAddUp(TemplateDivergence):
    def by_dimension(self, q, p, z):
        return kl_divergence(q.base_dist, p.base_dist)


# ---------------------------------------------------------------- objectives


@caught_by("check_terms")
class LossOfEachExample(TemplateObjective):
    def forward(self, model, x):
        terms = super().forward(model, x)
        return Terms((terms.values["distortion"] + terms.values["rate"]).mean(0, keepdim=True), terms.values)


@caught_by("check_objective_gradient")
class DetachesTheLatents(TemplateObjective):
    def forward(self, model, x):
        z = model.encode(x).rsample((1,)).detach()
        distortion = -model.decode(z).log_prob(x)[0]
        return Terms(distortion.mean(), {"distortion": distortion})


@caught_by("check_objective_batch")
class SumsTheBatch(TemplateObjective):
    def forward(self, model, x):
        terms = super().forward(model, x)
        return Terms(terms.loss * len(x), terms.values)


@caught_by("check_objective_values")
class SharesValues(TemplateObjective):
    def forward(self, model, x):
        terms = super().forward(model, x)
        rate = terms.values["rate"]
        return Terms(terms.loss, {**terms.values, "rate": rate.mean().expand_as(rate)})


@caught_by("check_train_and_evaluation")
class WeighsInTrainingAlone(TemplateObjective):
    def forward(self, model, x):
        terms = super().forward(model, x)
        return Terms(terms.loss * (0.5 if self.training else 1), terms.values)


@caught_by("check_schedules")
class MovesItsSchedule(TemplateObjective):
    def __init__(self):
        super().__init__(weight=Schedule.parse("0->1 over 10 steps"))

    def forward(self, model, x):
        self.weight.advance(Clock(9, 10, 100))
        return super().forward(model, x)


@caught_by("check_bound")
class MeanOverDimensions(TemplateObjective):
    def forward(self, model, x):
        terms = super().forward(model, x)
        distortion = terms.values["distortion"] / x[0].numel()
        return Terms(terms.loss, {**terms.values, "elbo": -(distortion + terms.values["rate"])})


@caught_by("check_bound")
class ReportsTheWeightedLoss(TemplateObjective):
    def forward(self, model, x):
        terms = super().forward(model, x)
        return Terms(terms.loss, {"elbo": -(terms.values["distortion"] + 0.25 * terms.values["rate"])})


@caught_by("check_more_draws")
class ForgetsToDivideByTheDraws(TemplateObjective):
    def __init__(self, *, samples: Annotated[int, Doc("draws")] = 1):
        super().__init__()
        self.samples = samples

    def forward(self, model, x):
        weights = model.log_weights(x, self.samples)
        bound = weights.logsumexp(0)
        return Terms(-bound.mean(), {"elbo": bound})


# ---------------------------------------------------------------- datasets


class _Pictures(TemplateDataset):
    """Pictures of three levels in two classes; UsageError."""

    def __init__(self, root):
        super().__init__(root, size=300)

    @property
    def info(self):
        return DataInfo((2, 2, 2), levels=4, classes=("a", "b"))

    def split(self, name):
        points = super().split(name).batch.x
        levels = torch.cat([points, points.flip(1), points * 2, points * 3], 1).mul(1000).long() % 4
        return TensorSplit(
            Batch(levels.to(torch.uint8).reshape(-1, 2, 2, 2), labels=torch.arange(len(points)) % 2)
        )


@caught_by("check_examples")
class OutOfRange(TemplateDataset):
    @property
    def info(self):
        return DataInfo((2,), low=0.0, high=1.0)


@caught_by("check_examples", "check_splits")
class WrongLevels(_Pictures):
    @property
    def info(self):
        return DataInfo((2, 2, 2), levels=3, classes=("a", "b"))


@caught_by("check_labels", "check_splits")
class LabelsOutOfRange(_Pictures):
    @property
    def info(self):
        return DataInfo((2, 2, 2), levels=4, classes=("a",))


@caught_by("check_labels")
class LabelsOutOfNowhere(TemplateDataset):
    def split(self, name):
        batch = super().split(name).batch
        return TensorSplit(Batch(batch.x, labels=torch.zeros(len(batch), dtype=torch.int64)))


@caught_by("check_splits")
class Overlapping(TemplateDataset):
    def split(self, name):
        return super().split("train" if name == "validation" else name)


@caught_by("check_splits", "check_examples", "check_fixed")
class EmptySplit(TemplateDataset):
    def split(self, name):
        batch = super().split(name).batch
        return TensorSplit(batch[:0] if name == "test" else batch)


@caught_by("check_fixed")
class ShufflesGlobally(TemplateDataset):
    def split(self, name):
        batch = super().split(name).batch
        return TensorSplit(batch.take(torch.randperm(len(batch))))


@caught_by("check_fixed")
class ReadsTheClock(TemplateDataset):
    made = iter(range(1000))

    def split(self, name):
        return TensorSplit(Batch(super().split(name).batch.x + 1e-3 * next(self.made)))


class _Sorted(TensorSplit):
    def __getitems__(self, indices):
        return super().__getitems__(sorted(indices))


@caught_by("check_indices")
class SortsTheIndices(TemplateDataset):
    def split(self, name):
        return _Sorted(super().split(name).batch)


@caught_by("check_everything")
class MisplacesItsSplits(TemplateDataset):
    def everything(self):
        return super().split("train")

    def places(self, name):
        return torch.arange(len(super().split(name)))


@caught_by("check_description")
class DescribesWithAList(TemplateDataset):
    @property
    def info(self):
        return DataInfo((2,), low=-math.inf, high=math.inf, classes=[])


# ---------------------------------------------------------------- trackers


@caught_by("check_tracking", "check_tracker_resume", "check_tracker_place")
class FormatsEveryNumber(TemplateTracker):
    def write(self, row):
        super().write({name: f"{value:.3g}" for name, value in row.items() if name != "split"})


@caught_by("check_tracker_resume")
class Appends(TemplateTracker):
    def begin(self, rows):
        self._path = self.directory / "metrics.txt"


@caught_by("check_tracker_place")
class WritesElsewhere(TemplateTracker):
    def begin(self, rows):
        super().begin(rows)
        (self.directory.parent / "latest.txt").write_text("here")


# ---------------------------------------------------------------- formats


@caught_by("check_format_files")
class WritesBeside(TemplateFormat):
    def write(self, model, folder, training, seed):
        (folder.parent / "latest.txt").write_text("here")
        return super().write(model, folder, training, seed)


@caught_by("check_format_files")
class WritesTheTime(TemplateFormat):
    def write(self, model, folder, training, seed):
        (folder / "time.txt").write_text(str(time.perf_counter()))
        return super().write(model, folder, training, seed)


@caught_by("check_format_files")
class NeedsTheData(TemplateFormat):
    def write(self, model, folder, training, seed):
        training()
        return super().write(model, folder, training, seed)


@caught_by("check_format_leaves")
class HalvesTheModel(TemplateFormat):
    def write(self, model, folder, training, seed):
        for parameter in model.encoder.parameters():
            parameter.data.mul_(0.5)
        return super().write(model, folder, training, seed)


@caught_by("check_format_refusals")
class RefusesWithoutAHint(TemplateFormat):
    def write(self, model, folder, training, seed):
        if not model.spec.components:
            raise UsageError("no")
        return super().write(model, folder, training, seed)


@caught_by("check_format_reads")
class ReadsHalfOfTheWeights(TemplateFormat):
    def read(self, folder):
        incoming = super().read(folder)
        return replace(incoming, weights=lambda model: {k: t / 2 for k, t in incoming.weights(model).items()})


@caught_by("check_format_reads")
class ForgetsTheNetwork(TemplateFormat):
    def read(self, folder):
        incoming = super().read(folder)
        return replace(
            incoming,
            weights=lambda model: {
                k: t for k, t in incoming.weights(model).items() if not k.startswith("network")
            },
        )


@caught_by("check_format_damaged")
class TakesAnything(TemplateFormat):
    def read(self, folder):
        try:
            return super().read(folder)
        except FileError:
            return Incoming({}, (2,), weights=lambda model: {}, recipe="vae", others={}, shape=(12,))


@caught_by("check_format_damaged")
class FailsOtherwise(TemplateFormat):
    def read(self, folder):
        (folder / "parts.json").read_text()
        return super().read(folder)


# ---------------------------------------------------------------- features


@caught_by("check_features_shape")
class OneMapOfFeatures(TemplateFeatures):
    def forward(self, x):
        return super().forward(x)[:, None]


@caught_by("check_features_shape", "check_features_rows")
class AsManyFeaturesAsExamples(TemplateFeatures):
    def forward(self, x):
        return super().forward(x)[:, : len(x)]


@caught_by("check_features_rows")
class FeaturesLessTheirMean(TemplateFeatures):
    def forward(self, x):
        found = super().forward(x)
        return found - found.mean(0)


@caught_by("check_features_fit", "check_features_state")
class FeaturesAtRandom(TemplateFeatures):
    def fit(self, x, labels, *, seed=0):
        super().fit(x, labels)
        self.spread.mul_(1 + torch.rand(()))


@caught_by("check_features_fit")
class GoesOnFromTheLastFeatures(TemplateFeatures):
    def fit(self, x, labels, *, seed=0):
        before = self.mean.clone()
        super().fit(x, labels)
        self.mean.add_(before, alpha=0.1)


@caught_by("check_features_fit")
class CentresTheTrainingData(TemplateFeatures):
    def fit(self, x, labels, *, seed=0):
        super().fit(x, labels)
        x -= x.mean(0)


@caught_by("check_features_state")
class KeepsItsSpreadToItself(TemplateFeatures):
    def fit(self, x, labels, *, seed=0):
        super().fit(x, labels)
        self.width = 1 / x.std()

    def forward(self, x):
        return super().forward(x) * getattr(self, "width", 1.0)


# ---------------------------------------------------------------- metrics


def yields(row):
    """A metric with one number, made of the subject by a function."""

    class Of(TemplateMetric):
        """Something."""

        def measure(self, subject):
            yield row(subject)

    return Of


def of_codes(change):
    """The metric, of codes that were changed."""
    return yields(lambda subject: mean_row("it", change(subject), "", "something"))


def in_training_mode(subject):
    means = subject.codes().means.flatten(1).sum(1)
    subject.model.train()
    return means


FAULTS += [
    Fault(
        yields(lambda subject: Row("it", math.nan, 0.0, 3, "", "x")),
        "check_metric_rows",
        ("check_metric_undefined", "check_metric_repeats"),
    ),
    Fault(
        yields(lambda subject: Row("it", 1.0, 0.0, 3, "", "")),
        "check_metric_rows",
        ("check_metric_undefined",),
    ),
    Fault(
        of_codes(lambda subject: torch.randn(5)),
        "check_metric_repeats",
        ("check_metric_leaves", "check_metric_undefined"),
    ),
    Fault(of_codes(in_training_mode), "check_metric_leaves"),
    Fault(
        of_codes(lambda subject: subject.codes("train").means.flatten(1)[:40].sum(1) / len(subject.split)),
        "check_metric_undefined",
    ),
]


@caught_by("check_metric_undefined", "check_metric_rows")
class LeavesTheReasonOut(TemplateMetric):
    def measure(self, subject):
        yield from super().measure(subject)
        if subject.model.missing_densities():
            yield Undefined("density", "")


@caught_by("check_metric_leaves", "check_metric_repeats")
class MovesTheModel(TemplateMetric):
    def measure(self, subject):
        for parameter in subject.model.parameters():
            parameter.add_(0.1)
        yield from super().measure(subject)


# ---------------------------------------------------------------- samplers


@caught_by("check_sampler_shapes", "check_normalised", "check_draws", "check_mean")
class FlattensItsDraws(TemplateSampler):
    def forward(self):
        return diagonal_normal(self.loc.flatten(), self.log_scale.flatten(), 1)


@caught_by("check_sampler_dtype", "check_sampler_state")
class FitsInSinglePrecision(TemplateSampler):
    def fit(self, codes, *, seed=0, on_step=None):
        super().fit(codes.float(), seed=seed)


@caught_by("check_sampler_dtype", "check_sampler_recovers", "check_sampler_degenerate")
class CentresInPlace(TemplateSampler):
    def fit(self, codes, *, seed=0, on_step=None):
        super().fit(codes.sub_(codes.mean(0)), seed=seed)


@caught_by("check_sampler_recovers", "check_sampler_degenerate")
class TakesVariancesForScales(TemplateSampler):
    def fit(self, codes, *, seed=0, on_step=None):
        super().fit(codes, seed=seed)
        self.log_scale *= 2


@caught_by("check_sampler_seed")
class GoesOnFromTheLastFit(TemplateSampler):
    def fit(self, codes, *, seed=0, on_step=None):
        before = self.log_scale
        super().fit(codes, seed=seed)
        self.log_scale = self.log_scale + 1e-9 * before


@caught_by("check_sampler_random_state", "check_sampler_seed")
class FitsFromTheGlobalState(TemplateSampler):
    def fit(self, codes, *, seed=0, on_step=None):
        super().fit(codes + 1e-9 * torch.randn_like(codes), seed=seed)


@caught_by("check_sampler_state")
class KeepsItsMeanToItself(TemplateSampler):
    def fit(self, codes, *, seed=0, on_step=None):
        super().fit(codes, seed=seed)
        self.mean = codes.mean(0)

    def forward(self):
        loc = getattr(self, "mean", self.loc)
        return diagonal_normal(loc, self.log_scale, len(self.latent_shape))

    def state_dict(self, *args, **kwargs):
        state = super().state_dict(*args, **kwargs)
        state["loc"] = torch.zeros_like(state["loc"])
        return state


@caught_by("check_sampler_degenerate")
class DividesByNothing(TemplateSampler):
    def fit(self, codes, *, seed=0, on_step=None):
        super().fit(codes, seed=seed)
        self.log_scale = codes.std(0, correction=0).square().reciprocal().log() / -2
        self.loc = self.loc / codes.std(0) * codes.std(0)


class _NoDensity(Independent):
    def log_prob(self, value):
        raise NotImplementedError


@caught_by(
    "check_sampler_density",
    "check_sampler_shapes",
    "check_normalised",
    "check_draws",
    "check_mean",
    "check_sampler_state",
)
class DeclaresADensityItHasNot(TemplateSampler):
    def forward(self):
        return _NoDensity(Normal(self.loc, self.log_scale.exp()), len(self.latent_shape))


each_fault = pytest.mark.parametrize(
    "fault", FAULTS, ids=lambda fault: f"{fault.target.__name__}-{fault.check}"
)


@each_fault
def test_class_is_caught(fault, registry):
    cases, registry = select(fault.target, registry)
    with use_registry(registry):
        outcome = run_one(cases[0], next(check for check in CHECKS if check.name == fault.check))
    assert outcome.status == "failed", outcome
    assert outcome.remedy
    assert not outcome.message.startswith("it raised") or fault.check in RAISING


@pytest.mark.slow
@each_fault
def test_no_unrelated_check_fails(fault, registry):
    failed = {outcome.check: outcome for outcome in run_checks(fault.target, registry=registry).failed}
    # Each version of torch refuses to export other programs.
    allowed = {fault.check, *fault.others, "check_export", "check_rates"}
    assert fault.check in failed
    assert set(failed) <= allowed, {name: o.message for name, o in failed.items()}


RAISING = {"check_deepcopy", "check_tracking", "check_dtype", "check_device"}
"""Checks that see an error of the component rather than a wrong number."""


# ---------------------------------------------------------------- records, plugins and files

HOOK = "from genmod import Component, hookimpl\n@hookimpl\ndef genmod_components():\n"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A function that installs a distribution by hand: metadata and modules."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))

    def install(distribution, record, *, before="", **modules):
        package = distribution.replace("-", "_")
        (folder / f"{package}.py").write_text(f"{before}{HOOK}    yield Component({record})\n")
        for name, text in modules.items():
            (folder / f"{name.replace('__', '.')}").write_text(text)
        info = folder / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[genmod.v1]\nmain = {package}\n")
        return distribution

    return install


ENCODER = '"genmod.scaffold.templates.encoder:TemplateEncoder"'

RECORDS = [
    ("check_discovery", f'"encoder", "x", {ENCODER}, "fine"', {"before": "import torch\n"}),
    ("check_summary", f'"encoder", "x", {ENCODER}', {}),
    ("check_summary", f'"encoder", "x", {ENCODER}, "{"long " * 30}"', {}),
    ("check_class", '"encoder", "x", "genmod.scaffold.templates.network:TemplateNetwork", "fine"', {}),
    ("check_class", '"encoder", "x", "genmod.scaffold.templates.encoder:Misspelt", "fine"', {}),
    (
        "check_docstring",
        '"prior", "x", "genmod_prior:Undocumented", "fine"',
        {
            "genmod_prior__py": """
from genmod.scaffold.templates.prior import TemplatePrior
class Undocumented(TemplatePrior):
    pass
"""
        },
    ),
    ("check_migrate", f'"encoder", "x", {ENCODER}, "fine", revision=2', {}),
]


@pytest.mark.parametrize(
    ("check", "record", "more"), RECORDS, ids=lambda value: value if type(value) is str else ""
)
def test_record_is_caught(site, check, record, more):
    distribution = site(f"genmod-{check.replace('_', '-')}{len(record)}", record, **more)
    report = run_checks(distribution, registry=Registry())
    assert {outcome.check for outcome in report.failed} == {check}, report.failed


RECIPE = """summary = "s"
paper = "p"
latent = 2
encoder = "mlp"
posterior = "normal"
prior = "normal"
decoder = "gaussian"
divergence = "kl"
objective = "elbo"
dataset = "digits"
"""

RECIPES = [
    ("check_recipe", RECIPE.replace('"s"', "s"), ("check_recipe_names", "check_recipe_builds")),
    ("check_recipe", RECIPE.replace('"p"', '""'), ()),
    ("check_recipe_names", RECIPE.replace('"mlp"', '"no-such-encoder"'), ("check_recipe_builds",)),
    (
        "check_recipe_names",
        RECIPE.replace('encoder = "mlp"', "encoder = {name = 'mlp', width = 3}"),
        ("check_recipe_builds",),
    ),
    ("check_recipe_builds", RECIPE.replace('"gaussian"', '"bernoulli"'), ()),
    ("check_recipe_builds", RECIPE.replace('prior = "normal"', 'prior = "none"'), ()),
]


REPRODUCTION = """summary = "s"
paper = "p"
protocol = "as published"

[build]
recipe = "vae"
dataset = "digits"

[train]
epochs = 3

[evaluate]
metrics = ["elbo"]

[quick.train]
epochs = 1

[[run]]
name = "small"
build = { latent = 2 }

[[target]]
run = "small"
metric = "elbo"
value = -20.0
tolerance = 1.0
source = "table 1"
"""

REPRODUCTIONS = [
    ("check_reproduction", REPRODUCTION.replace('"p"', "p"), ()),
    ("check_reproduction", REPRODUCTION.replace('"elbo"]', '"no-such-metric"]'), ()),
    ("check_reproduction", REPRODUCTION.replace("latent = 2", 'latent = 2, prior = "none"'), ()),
    ("check_reproduction", REPRODUCTION.replace("epochs = 1\n", "epochs = 9\n"), ()),
    ("check_reproduction", REPRODUCTION.replace('run = "small"', 'run = "large"'), ()),
]


def in_a_file(site, folder, kind, text):
    """The checks that fail for a component of this kind that is this text."""
    name = f"genmod-{kind}-{abs(hash(text))}"
    target = name.replace("-", "_") + "_files"
    site(name, f'"{kind}", "x", "{target}:x.toml", "fine"')
    (folder / "site" / target).mkdir()
    (folder / "site" / target / "x.toml").write_text(text)
    return {outcome.check for outcome in run_checks(name, registry=Registry()).failed}


@pytest.mark.parametrize(("check", "text", "others"), RECIPES + REPRODUCTIONS)
def test_file_is_caught(site, check, text, others, tmp_path):
    failed = in_a_file(site, tmp_path, check.split("_")[1], text)
    assert check in failed
    assert failed <= {check, *others}


@pytest.mark.parametrize(("kind", "text"), [("recipe", RECIPE), ("reproduction", REPRODUCTION)])
def test_file_without_fault_passes(site, kind, text, tmp_path):
    assert in_a_file(site, tmp_path, kind, text) == set()


def test_every_check_has_a_fault_that_it_catches():
    planted = {fault.check for fault in FAULTS}
    planted |= {check for check, *_ in (*RECORDS, *RECIPES, *REPRODUCTIONS)}
    assert planted == {check.name for check in CHECKS if not check.slow}
    assert len(FAULTS) + len(RECORDS) + len(RECIPES) >= 25


@pytest.mark.slow
def test_compilation_is_caught():
    class Refuses(TemplateEncoder):
        """It fails while it is compiled; UsageError."""

        def forward(self, x):
            if torch.compiler.is_compiling():
                raise RuntimeError("not while compiling")
            return super().forward(x)

    failed = {outcome.check for outcome in run_checks(Refuses, slow=True).failed}
    assert "check_compile" in failed
