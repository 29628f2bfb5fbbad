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
