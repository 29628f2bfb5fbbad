"""Faults: whole models."""

import math
from dataclasses import replace

import torch
from torch import nn
from torch.distributions import (
    Normal,
)

from genmod import Terms
from genmod.scaffold.templates.model import TemplateModel
from planted import caught_by


@caught_by(
    "check_model_terms",
    "check_model_batch",
    "check_model_mean",
    "check_model_descent",
    "check_model_state",
    "check_model_gradient",
)
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


@caught_by("check_model_weights", "check_normalised", "check_own_device")
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


@caught_by("check_model_samples", "check_draws", "check_normalised")
class SamplesOneForAll(TemplateModel):
    def draws(self, n, context=None, *, noise=False):
        return self.density().sample().expand(n, -1).reshape(1, n, *self.data.shape)


@caught_by("check_model_samples", "check_draws", "check_randomness", "check_own_device")
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


@caught_by("check_model_mean")
class SumsItsLoss(TemplateModel):
    def terms(self, x, context=None):
        terms = super().terms(x, context)
        return replace(terms, loss=-terms.values["elbo"].sum())


@caught_by("check_model_descent")
class MaximisesItsLoss(TemplateModel):
    def terms(self, x, context=None):
        terms = super().terms(x, context)
        return replace(terms, loss=-terms.loss)


@caught_by("check_model_descent", "check_draws", "check_normalised")
class ScoresWithTheWrongSign(TemplateModel):
    """Its loss is right, and what it scores is an energy."""

    def terms(self, x, context=None):
        log_prob = super().log_weights(self.observe(x))[0]
        return Terms(-log_prob.mean(), {"elbo": log_prob})

    def log_weights(self, x, samples=1, context=None):
        return -super().log_weights(x, samples, context)


@caught_by("check_model_evaluation", "check_model_batch", "check_draws", "check_normalised")
class ScoresByChance(TemplateModel):
    """Dropout that is never off."""

    def log_weights(self, x, samples=1, context=None):
        return super().log_weights(nn.functional.dropout(x, 0.1, training=True), samples, context)


@caught_by("check_model_evaluation", "check_model_batch", "check_randomness", "check_model_state")
class CentresObservationsInPlace(TemplateModel):
    def log_weights(self, x, samples=1, context=None):
        return super().log_weights(x.sub_(0.1), samples, context)


@caught_by("check_model_evaluation")
class CountsItsScores(TemplateModel):
    def __init__(self, spec, data):
        super().__init__(spec, data)
        self.register_buffer("scored", torch.zeros(()))

    def log_weights(self, x, samples=1, context=None):
        self.scored += len(x)
        return super().log_weights(x, samples, context)


@caught_by("check_model_samples", "check_draws", "check_mean", "check_randomness")
class RepeatsItsDraws(TemplateModel):
    """Whatever the seed, the first draw of a process is drawn again."""

    kept = None

    def draws(self, n, context=None, *, noise=False):
        if self.kept is None or len(self.kept) < n:
            self.kept = super().draws(n, context, noise=noise)
        return self.kept[:n]


@caught_by("check_model_weights")
class ScoresInSinglePrecision(TemplateModel):
    def log_weights(self, x, samples=1, context=None):
        return super().log_weights(x, samples, context).float()
