"""Right priors."""

import torch
from planted.distributions import RightMixture
from torch import nn
from torch.distributions import (
    Beta,
    Categorical,
    Cauchy,
    Gamma,
    HalfNormal,
    Independent,
    LowRankMultivariateNormal,
    MixtureSameFamily,
    Normal,
    StudentT,
    Uniform,
    constraints,
)

from correct import right
from genmod import Prior, UsageError


class _Learned(Prior):
    """Two learned numbers for each latent."""

    base = constraints.real

    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        self.support = constraints.independent(self.base, len(latent_shape))
        self.first = nn.Parameter(torch.zeros(latent_shape))
        self.second = nn.Parameter(torch.zeros(latent_shape))

    def forward(self, context=None):
        single = self.single(self.first, self.second.clamp(-9, 9).exp())
        return Independent(single, len(self.latent_shape), validate_args=False)


@right(always=True)
class CauchyPrior(_Learned):
    """It has no mean."""

    def single(self, loc, scale):
        return Cauchy(loc, scale, validate_args=False)


@right()
class HeavyPrior(_Learned):
    """Its variance is infinite."""

    def single(self, loc, scale):
        return StudentT(2.0, loc, scale, validate_args=False)


@right()
class BetaPrior(_Learned):
    base = constraints.unit_interval

    def single(self, loc, scale):
        return Beta(1 + loc.exp(), 1 + scale, validate_args=False)


@right()
class GammaPrior(_Learned):
    base = constraints.nonnegative

    def single(self, loc, scale):
        return Gamma(1 + loc.exp(), scale, validate_args=False)


@right()
class UniformPrior(Prior):
    """Any number between -3 and 3, without parameters."""

    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        self.support = constraints.independent(constraints.interval(-3.0, 3.0), len(latent_shape))
        self.register_buffer("ends", torch.full((2, *latent_shape), 3.0))

    def forward(self, context=None):
        flat = Uniform(-self.ends[0], self.ends[1], validate_args=False)
        return Independent(flat, len(self.latent_shape), validate_args=False)


class _Folded(HalfNormal):
    pass


@right()
class HalfNormalPrior(Prior):
    """Positive numbers with one learned scale."""

    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        self.support = constraints.independent(constraints.nonnegative, len(latent_shape))
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, context=None):
        scale = self.log_scale.clamp(-9, 9).exp().expand(self.latent_shape)
        return Independent(_Folded(scale, validate_args=False), len(self.latent_shape), validate_args=False)


@right()
class MixturePrior(Prior):
    """Three normals, by torch's own mixture."""

    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        self.support = constraints.independent(constraints.real, len(latent_shape))
        self.logits = nn.Parameter(torch.zeros(3))
        self.loc = nn.Parameter(torch.randn(3, *latent_shape))

    def forward(self, context=None):
        normals = Independent(
            Normal(self.loc, 0.7, validate_args=False), len(self.latent_shape), validate_args=False
        )
        return MixtureSameFamily(
            Categorical(logits=self.logits, validate_args=False), normals, validate_args=False
        )


right(always=True)(RightMixture)


@right()
class LowRankPrior(Prior):
    """Latents that depend on each other; UsageError for maps of latents."""

    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        if len(latent_shape) != 1:
            raise UsageError("rows of latents are wanted", hint="give one size: --latent 8")
        self.support = constraints.real_vector
        self.loc = nn.Parameter(torch.zeros(latent_shape))
        self.factor = nn.Parameter(0.5 * torch.ones(*latent_shape, 1))
        self.log_variance = nn.Parameter(torch.zeros(latent_shape))

    def forward(self, context=None):
        return LowRankMultivariateNormal(
            self.loc, self.factor, self.log_variance.clamp(-9, 9).exp(), validate_args=False
        )
