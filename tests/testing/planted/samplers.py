"""Faults: samplers."""

import torch
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    Normal,
)

from genmod import (
    diagonal_normal,
)
from genmod.scaffold.templates.sampler import TemplateSampler
from planted import caught_by


@caught_by("check_sampler_shapes", "check_sampler_places")
class FlattensItsDraws(TemplateSampler):
    def forward(self):
        return diagonal_normal(self.loc.flatten(), self.log_scale.flatten(), 1)


@caught_by("check_sampler_dtype", "check_sampler_state")
class FitsInSinglePrecision(TemplateSampler):
    def fit(self, codes, *, seed=0, on_step=None):
        super().fit(codes.float(), seed=seed)


@caught_by(
    "check_sampler_dtype", "check_sampler_recovers", "check_sampler_degenerate", "check_sampler_places"
)
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


@caught_by("check_sampler_state", "check_own_device")
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


@caught_by("check_sampler_recovers")
class LosesCorrelations(TemplateSampler):
    """A normal of which the covariance was meant, and the variances are kept; nothing says so."""

    independent = False


@caught_by("check_sampler_recovers")
class WeighsGroupsAlike(TemplateSampler):
    """Two normals, left and right of the middle of the codes, with one weight."""

    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        self.register_buffer("places", torch.zeros(2, *latent_shape))
        self.register_buffer("widths", torch.ones(2, *latent_shape))

    def fit(self, codes, *, seed=0, on_step=None):
        first = codes.flatten(1)[:, 0]
        right = first > (first.amin() + first.amax()) / 2
        right[0], right[-1] = ~right[-1], right[-1]
        groups = [codes[~right], codes[right]] if right.any() and not right.all() else [codes, codes]
        self.places = torch.stack([group.mean(0) for group in groups])
        self.widths = torch.stack([group.std(0, correction=0).clamp(min=1e-6) for group in groups])

    def forward(self):
        parts = Independent(Normal(self.places, self.widths, validate_args=False), self.places.dim() - 1)
        return MixtureSameFamily(Categorical(logits=self.places.new_zeros(2)), parts, validate_args=False)


@caught_by("check_sampler_recovers")
class LooksAtTheFirstCodes(TemplateSampler):
    def fit(self, codes, *, seed=0, on_step=None):
        super().fit(codes[:100], seed=seed)


@caught_by("check_sampler_recovers", "check_sampler_degenerate", "check_sampler_places")
class DrawsInStandardUnits(TemplateSampler):
    def forward(self):
        return diagonal_normal(0 * self.loc, 0 * self.log_scale, len(self.latent_shape))


@caught_by("check_sampler_recovers")
class TakesTheErrorOfTheMean(TemplateSampler):
    def fit(self, codes, *, seed=0, on_step=None):
        super().fit(codes, seed=seed)
        self.log_scale = self.log_scale - 0.5 * torch.tensor(float(len(codes))).log().to(codes)


@caught_by("check_sampler_places")
class TurnsMapsRound(TemplateSampler):
    def fit(self, codes, *, seed=0, on_step=None):
        super().fit(codes, seed=seed)
        if len(self.latent_shape) == 2:
            self.loc = self.loc.flatten().reshape(self.latent_shape[::-1]).T.contiguous()


@caught_by("check_sampler_random_state")
class SeedsWithZero(TemplateSampler):
    def fit(self, codes, *, seed=0, on_step=None):
        torch.manual_seed(0)
        super().fit(codes, seed=seed)


@caught_by("check_sampler_random_state")
class SeedsWhileItFits(TemplateSampler):
    def fit(self, codes, *, seed=0, on_step=None):
        torch.manual_seed(seed)
        super().fit(codes, seed=seed)


class _Scaled(Independent):
    """Draws are moved to the units of the codes, and densities are not."""

    def sample(self, sample_shape=()):
        return super().sample(sample_shape) * 2

    def log_prob(self, value):
        return super().log_prob(value / 2)


@caught_by("check_normalised", "check_draws", "check_mean", "check_moments")
class ForgetsTheUnitsOfTheDensity(TemplateSampler):
    def forward(self):
        inner = Normal(self.loc / 2, self.log_scale.exp() / 2, validate_args=False)
        return _Scaled(inner, len(self.latent_shape), validate_args=False)


@caught_by("check_sampler_shapes", "check_sampler_places")
class DrawsCarryAGraph(TemplateSampler):
    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        self.shift = torch.nn.Parameter(torch.zeros(latent_shape))

    def forward(self):
        inner = Normal(self.loc + self.shift, self.log_scale.exp(), validate_args=False)
        made = Independent(inner, len(self.latent_shape), validate_args=False)
        made.sample = made.rsample
        return made
