"""Faults: objectives."""

from typing import Annotated

from genmod import (
    Doc,
    Schedule,
    Terms,
)
from genmod.options.schedule import Clock
from genmod.scaffold.templates.objective import TemplateObjective
from planted import caught_by


@caught_by("check_terms")
class LossOfEachExample(TemplateObjective):
    def forward(self, model, x):
        terms = super().forward(model, x)
        return Terms((terms.values["distortion"] + terms.values["rate"]).mean(0, keepdim=True), terms.values)


@caught_by("check_objective_gradient", "check_descent")
class DetachesTheLatents(TemplateObjective):
    def forward(self, model, x):
        z = model.encode(x).rsample((1,)).detach()
        distortion = -model.decode(z).log_prob(x)[0]
        return Terms(distortion.mean(), {"distortion": distortion})


@caught_by("check_objective_batch", "check_processes")
class SumsTheBatch(TemplateObjective):
    def forward(self, model, x):
        terms = super().forward(model, x)
        return Terms(terms.loss * len(x), terms.values)


@caught_by("check_objective_values", "check_reported")
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


@caught_by("check_descent")
class Climbs(TemplateObjective):
    def forward(self, model, x):
        terms = super().forward(model, x)
        return Terms(-terms.loss, terms.values)


@caught_by("check_descent")
class RewardsTheRate(TemplateObjective):
    def forward(self, model, x):
        values = super().forward(model, x).values
        return Terms((values["distortion"] - values["rate"]).mean(), values)


@caught_by("check_descent")
class DetachesTheRate(TemplateObjective):
    def forward(self, model, x):
        values = super().forward(model, x).values
        return Terms((values["distortion"] + values["rate"].detach()).mean(), values)


@caught_by("check_descent")
class DetachesTheDistortion(TemplateObjective):
    """The network learns from it, and the codes do not; UsageError."""

    def forward(self, model, x):
        q, p = model.encode(x), model.prior()
        z = q.rsample((1,))
        distortion, rate = -model.decode(z.detach()).log_prob(x)[0], model.divergence(q, p, z)
        return Terms((distortion + rate).mean(), {"distortion": distortion, "rate": rate})


@caught_by("check_descent")
class SamplesWithoutGradient(TemplateObjective):
    def forward(self, model, x):
        q, p = model.encode(x), model.prior()
        z = q.sample((1,))
        distortion, rate = -model.decode(z).log_prob(x)[0], model.divergence(q, p, z)
        return Terms((distortion + rate).mean(), {"elbo": -(distortion + rate)})


@caught_by("check_descent")
class ForgetsTheRate(TemplateObjective):
    def forward(self, model, x):
        values = super().forward(model, x).values
        return Terms(values["distortion"].mean(), values)


@caught_by("check_descent")
class WatchesTheBoundForALoss(TemplateObjective):
    """The weights that are kept are the worst; UsageError."""

    def forward(self, model, x):
        terms = super().forward(model, x)
        return Terms(terms.loss, terms.values, watch=terms.values["elbo"].mean())


@caught_by("check_reported")
class SwapsDistortionAndRate(TemplateObjective):
    def forward(self, model, x):
        terms = super().forward(model, x)
        swapped = {"distortion": terms.values["rate"], "rate": terms.values["distortion"]}
        return Terms(terms.loss, {**terms.values, **swapped})


@caught_by("check_reported")
class ReportsTheWeightedRate(TemplateObjective):
    def forward(self, model, x):
        terms = super().forward(model, x)
        return Terms(terms.loss, {**terms.values, "rate": 4 * terms.values["rate"]})


@caught_by("check_reported")
class RateByLatent(TemplateObjective):
    """Its rate is the mean over latents where it should be their sum; UsageError."""

    def forward(self, model, x):
        terms = super().forward(model, x)
        q, p = model.encode(x), model.prior()
        rate = model.divergence.by_dimension(q, p, q.sample((1,))) if model.divergence.needs_prior else None
        values = terms.values if rate is None else {**terms.values, "rate": rate.flatten(1).mean(1)}
        return Terms(terms.loss, values)


@caught_by("check_reported")
class SumsOverDraws(TemplateObjective):
    """Distortion of four draws, added up; UsageError."""

    def forward(self, model, x):
        q, p = model.encode(x), model.prior()
        z = q.rsample((4,))
        distortion, rate = -model.decode(z).log_prob(x).sum(0), model.divergence(q, p, z)
        return Terms((distortion / 4 + rate).mean(), {"distortion": distortion, "rate": rate})


@caught_by("check_bound")
class BoundAsALoss(TemplateObjective):
    """What it reports as its bound has the sign of a loss; UsageError."""

    def forward(self, model, x):
        terms = super().forward(model, x)
        return Terms(terms.loss, {**terms.values, "elbo": -terms.values["elbo"]})


@caught_by("check_bound")
class ForgetsTheNumberOfWeights(TemplateObjective):
    """An importance-weighted bound that is too high by log K; UsageError."""

    uses_divergence, needs_densities = False, True

    def forward(self, model, x):
        bound = model.log_weights(x, 5).logsumexp(0)
        return Terms(-bound.mean(), {"iwae": bound})


@caught_by("check_bound")
class BestOfItsDraws(TemplateObjective):
    """The largest weight in place of the mean of all; UsageError."""

    uses_divergence, needs_densities = False, True

    def forward(self, model, x):
        bound = model.log_weights(x, 5).max(0).values
        return Terms(-bound.mean(), {"elbo": bound})


@caught_by("check_processes")
class CapacityOfOneProcess(TemplateObjective):
    """The distance of a mean from a number: the mean of one process alone; UsageError."""

    def forward(self, model, x):
        values = super().forward(model, x).values
        return Terms(values["distortion"].mean() + (values["rate"].mean() - 3).abs(), values)
