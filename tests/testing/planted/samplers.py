"""Faults: samplers."""

import torch
from torch.distributions import (
    Independent,
    Normal,
)

from genmod import (
    diagonal_normal,
)
from genmod.scaffold.templates.sampler import TemplateSampler
from planted import caught_by


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
