"""Faults: random numbers."""

import numpy as np
import torch
from torch import nn
from torch.distributions import Independent

from genmod import Terms
from genmod.scaffold.templates.divergence import TemplateDivergence
from genmod.scaffold.templates.encoder import TemplateEncoder
from genmod.scaffold.templates.model import TemplateModel
from genmod.scaffold.templates.objective import TemplateObjective
from genmod.scaffold.templates.prior import TemplatePrior
from genmod.scaffold.templates.sampler import TemplateSampler
from planted import FAULTS, Fault, caught_by
from planted.densities import WrongNormal, decoder_of, posterior_of


class _Seeds(WrongNormal):
    def rsample(self, sample_shape=()):
        torch.manual_seed(3)
        return super().rsample(sample_shape)

    def sample(self, sample_shape=()):
        return self.rsample(sample_shape).detach()


class _FixedGenerator(WrongNormal):
    def rsample(self, sample_shape=()):
        fixed = torch.Generator().manual_seed(3)
        noise = torch.randn(self._extended_shape(sample_shape), generator=fixed, dtype=self.loc.dtype)
        return self.loc + self.scale * noise

    def sample(self, sample_shape=()):
        return self.rsample(sample_shape).detach()


class _FromNumpy(WrongNormal):
    def sample(self, sample_shape=()):
        noise = np.random.standard_normal(self._extended_shape(sample_shape))
        return self.loc + self.scale * torch.as_tensor(noise).to(self.loc)


class _OneNoiseForAllExamples(WrongNormal):
    def rsample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        return self.loc + self.scale * torch.randn(
            *shape[: len(sample_shape)], 1, *shape[len(sample_shape) + 1 :], dtype=self.loc.dtype
        )

    def sample(self, sample_shape=()):
        return self.rsample(sample_shape).detach()


class _EveryDrawTwice(WrongNormal):
    def sample(self, sample_shape=()):
        if len(sample_shape) != 1 or sample_shape[0] % 2:
            return super().sample(sample_shape)
        return super().sample((sample_shape[0] // 2,)).repeat_interleave(2, 0)


FAULTS += [
    Fault(posterior_of(_Seeds), "check_randomness"),
    Fault(posterior_of(_FixedGenerator), "check_randomness", ("check_own_device",)),
    Fault(decoder_of(_FixedGenerator), "check_randomness", ("check_own_device",)),
    Fault(decoder_of(_FromNumpy), "check_randomness", ("check_own_device",)),
    Fault(posterior_of(_OneNoiseForAllExamples), "check_independent_draws", ("check_own_device",)),
    Fault(decoder_of(_EveryDrawTwice), "check_independent_draws"),
]


@caught_by("check_randomness")
class PriorThatSeedsItsDraws(TemplatePrior):
    def forward(self):
        normal = _Seeds(self.loc, self.log_scale.exp())
        return Independent(normal, len(self.latent_shape), validate_args=False)


@caught_by("check_randomness", slow=True)
class PriorThatForksTheGenerator(TemplatePrior):
    """The global state is put back, and every draw is the same; UsageError."""

    def forward(self):
        class Forks(WrongNormal):
            def sample(self, sample_shape=()):
                with torch.random.fork_rng():
                    torch.manual_seed(3)
                    return super().sample(sample_shape)

        normal = Forks(self.loc, self.log_scale.exp())
        return Independent(normal, len(self.latent_shape), validate_args=False)


@caught_by("check_randomness", "check_processes")
class ObjectiveThatSeeds(TemplateObjective):
    def forward(self, model, x):
        torch.manual_seed(3)
        return super().forward(model, x)


@caught_by("check_randomness", "check_objective_batch", "check_own_device", "check_processes")
class NoiseOfTheInputIsFixed(TemplateObjective):
    def forward(self, model, x):
        fixed = torch.Generator().manual_seed(3)
        noise = torch.randn(x.shape, generator=fixed, dtype=x.dtype)
        terms = super().forward(model, x + 0.01 * noise)
        return Terms(terms.loss, {name: terms.values[name] for name in ("distortion",)})


@caught_by("check_randomness", "check_processes")
class DivergenceThatSeeds(TemplateDivergence):
    def forward(self, q, p, z):
        torch.manual_seed(3)
        return super().forward(q, p, z)


@caught_by("check_randomness", slow=True)
class SamplerThatSeeds(TemplateSampler):
    def forward(self):
        normal = _Seeds(self.loc, self.log_scale.exp())
        return Independent(normal, len(self.latent_shape), validate_args=False)


@caught_by("check_randomness", slow=True)
class DropsOutTheSameEachTime(TemplateEncoder):
    def forward(self, x):
        features = super().forward(x)
        if self.training:
            torch.manual_seed(3)
        return nn.functional.dropout(features, 0.1, self.training)


@caught_by("check_randomness", "check_model_samples")
class ModelThatSeeds(TemplateModel):
    def draws(self, n, context=None, *, noise=False):
        torch.manual_seed(3)
        return super().draws(n, context, noise=noise)
