"""Faults: critics."""

from dataclasses import replace

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
