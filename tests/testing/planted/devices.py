"""Faults: tensors on the default device, where the data are on another one; none is seen where there is no GPU."""

import torch

from genmod import Terms, diagonal_normal
from genmod.distributions.normal import LogScaleNormal
from genmod.scaffold.templates.critic import TemplateCritic
from genmod.scaffold.templates.decoder import TemplateDecoder
from genmod.scaffold.templates.divergence import TemplateDivergence
from genmod.scaffold.templates.encoder import TemplateEncoder
from genmod.scaffold.templates.features import TemplateFeatures
from genmod.scaffold.templates.model import TemplateModel
from genmod.scaffold.templates.network import TemplateNetwork
from genmod.scaffold.templates.objective import TemplateObjective
from genmod.scaffold.templates.posterior import TemplatePosterior
from genmod.scaffold.templates.prior import TemplatePrior
from genmod.scaffold.templates.sampler import TemplateSampler
from planted import caught_by


@caught_by("check_own_device")
class AddsZeros(TemplateEncoder):
    def forward(self, x):
        return super().forward(x) + torch.zeros(self.feature_shape, dtype=x.dtype)


@caught_by("check_own_device")
class KeepsAPlainTensor(TemplateNetwork):
    def __init__(self, in_shape, out_shape):
        super().__init__(in_shape, out_shape)
        self.shift = torch.ones(out_shape)

    def forward(self, z):
        return super().forward(z) + self.shift.to(z.dtype)


@caught_by("check_own_device")
class ShiftsByAPlainConstant(TemplateDecoder):
    def forward(self, parameters):
        return super().forward(parameters + torch.full(self.data.shape, 0.1, dtype=parameters.dtype))


class _OwnNoise(LogScaleNormal):
    def rsample(self, sample_shape=()):
        noise = torch.randn((*sample_shape, *self.batch_shape), dtype=self.loc.dtype)
        return self.loc + noise * self.log_scale.exp()


@caught_by("check_own_device")
class DrawsOnTheDefaultDevice(TemplatePosterior):
    def forward(self, features):
        q = super().forward(features).base_dist
        own = _OwnNoise(q.loc, q.log_scale, validate_args=False)
        return torch.distributions.Independent(own, len(self.latent_shape), validate_args=False)


@caught_by("check_own_device")
class PriorAroundNewZeros(TemplatePrior):
    def forward(self):
        return diagonal_normal(
            self.loc + torch.zeros(self.latent_shape, dtype=self.loc.dtype),
            self.log_scale,
            len(self.latent_shape),
        )


@caught_by("check_own_device")
class WeighsByANewTensor(TemplateDivergence):
    def forward(self, q, p, z):
        found = super().forward(q, p, z)
        return found * torch.ones(len(found), dtype=found.dtype)


@caught_by("check_own_device")
class LossByANewTensor(TemplateObjective):
    def forward(self, model, x):
        terms = super().forward(model, x)
        weights = torch.ones(len(x), dtype=x.dtype)
        return Terms(terms.loss + 0 * (weights * x.flatten(1).sum(1)).mean(), terms.values)


@caught_by("check_own_device")
class JudgesByNewTargets(TemplateCritic):
    def losses(self, draw):
        found = dict(super().losses(draw))
        own = found["critic"]
        values = own.values * torch.ones(len(own.values), dtype=own.values.dtype)
        return {**found, "critic": type(own)(values, own.group)}


@caught_by("check_own_device")
class ScoresByANewTensor(TemplateModel):
    def log_weights(self, x, samples=1, context=None):
        return super().log_weights(x, samples, context) + torch.zeros(samples, 1, dtype=x.dtype)


@caught_by("check_own_device", "check_draws")
class DrawsOnTheProcessor(TemplateModel):
    def draws(self, n, context=None, *, noise=False):
        return torch.randn(n, *self.data.shape)


@caught_by("check_own_device")
class DrawsAroundAPlainMean(TemplateSampler):
    def fit(self, codes, *, seed=0, on_step=None):
        super().fit(codes, seed=seed)
        self.shift = torch.zeros(codes.shape[1:], dtype=codes.dtype)

    def forward(self):
        shift = getattr(self, "shift", torch.zeros(self.latent_shape))
        return diagonal_normal(self.loc + shift, self.log_scale, len(self.latent_shape))


@caught_by("check_own_device", "check_features_state")
class FeaturesByAPlainSpread(TemplateFeatures):
    def fit(self, x, labels, *, seed=0):
        super().fit(x, labels)
        self.width = x.flatten(1).std(0) + 1

    def forward(self, x):
        return super().forward(x) / getattr(self, "width", torch.ones(self.data.size))
