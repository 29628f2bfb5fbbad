"""Faults: critics."""

from dataclasses import replace

import torch
from torch import nn

from genmod import (
    Critic,
    Loss,
    ParameterGroup,
)
from genmod.scaffold.templates.critic import TemplateCritic
from planted import caught_by


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


@caught_by("check_critic_state")
class RemembersDrawsToItself(TemplateCritic):
    """A running mean of the draws that is no buffer."""

    def losses(self, draw):
        if self.training:
            self.middle = draw.z.detach().mean((0, 1))
        shift = getattr(self, "middle", 0.0)
        return super().losses(replace(draw, z=draw.z - shift))


@caught_by("check_critic_state")
class CountsInEvaluation(TemplateCritic):
    def __init__(self, data, latent_shape):
        super().__init__(data, latent_shape)
        self.register_buffer("calls", torch.zeros(()))

    def losses(self, draw):
        self.calls += 1
        return super().losses(draw)


@caught_by("check_critic_state")
class ShiftsDrawsInPlace(TemplateCritic):
    def losses(self, draw):
        draw.z.data.add_(0.1)
        return super().losses(draw)


@caught_by("check_critic_state", "check_registered")
class MakesItsJudgeLater(TemplateCritic):
    """A layer that is there after the first batch alone."""

    def losses(self, draw):
        if not hasattr(self, "offset"):
            self.register_buffer("offset", draw.z.new_zeros(()))
        return super().losses(draw)


@caught_by("check_critic_batch")
class SumsOverTheBatchOfDraws(TemplateCritic):
    def losses(self, draw):
        found = dict(super().losses(draw))
        return {**found, "fooled": replace(found["fooled"], values=found["fooled"].values * len(draw.x))}


@caught_by("check_critic_batch")
class NormalisesByItsBatch(TemplateCritic):
    """Batch norm that is of the batch in evaluation too, with the unbiased variance."""

    def losses(self, draw):
        z = draw.z
        return super().losses(replace(draw, z=z / z.std((0, 1), correction=1)))


@caught_by("check_critic_groups")
class TakesTheModelInItsGroup(TemplateCritic):
    """It updates the weights of the posterior with its own."""

    def bind(self, model):
        self.others = (model.posterior,)

    def parameter_groups(self):
        return {self.group: ParameterGroup([*self.parameters(), *self.others[0].parameters()])}


@caught_by("check_critic_gradient")
class FoolsNobody(TemplateCritic):
    """It adds a loss of what is detached: no model learns from it."""

    def losses(self, draw):
        found = dict(super().losses(draw))
        return {**found, "fooled": replace(found["fooled"], values=found["fooled"].values.detach())}


@caught_by("check_critic_fixed")
class LearnsByDropout(DistanceOfMeans):
    def losses(self, draw):
        found = super().losses(draw)["distance"]
        return {"distance": replace(found, values=nn.functional.dropout(found.values, 0.5, self.training))}
