"""Right decoders."""

import math

import torch
from planted.distributions import RightBins
from torch import nn
from torch.distributions import (
    Bernoulli,
    Categorical,
    Independent,
    Laplace,
    LogNormal,
    LowRankMultivariateNormal,
    MixtureSameFamily,
    Normal,
    Poisson,
    StudentT,
    constraints,
)

from correct import right
from genmod import Decoder, UsageError
from genmod.distributions import bounded_log_scale


class _Real(Decoder):
    """Any values, whatever their range."""

    per_value = 1

    def __init__(self, data):
        super().__init__(data)
        self.support = constraints.independent(constraints.real, len(data.shape))
        self.parameter_shape = (self.per_value * data.shape[0], *data.shape[1:])

    def forward(self, parameters):
        parts = parameters.unflatten(-len(self.data.shape), (self.per_value, -1)).unbind(
            -len(self.data.shape) - 1
        )
        return Independent(self.single(*parts), len(self.data.shape), validate_args=False)


@right()
class TwoNormals(_Real):
    """A mixture of two normals for each value."""

    per_value = 3

    def single(self, logit, first, second):
        logits = torch.stack([logit, torch.zeros_like(logit)], -1)
        normals = Normal(torch.stack([first, second], -1), 0.5, validate_args=False)
        return MixtureSameFamily(
            Categorical(logits=logits, validate_args=False), normals, validate_args=False
        )


@right(always=True)
class LearnedScale(_Real):
    """One scale for all, a parameter of the decoder."""

    def __init__(self, data):
        super().__init__(data)
        self.log_scale = nn.Parameter(torch.zeros(()))

    def single(self, loc):
        return Laplace(loc, bounded_log_scale(self.log_scale).exp(), validate_args=False)


@right()
class OwnScales(_Real):
    per_value = 2

    def single(self, loc, log_scale):
        return Normal(loc, bounded_log_scale(log_scale).exp(), validate_args=False)


@right()
class Outliers(_Real):
    def single(self, loc):
        return StudentT(4.0, loc, 0.5, validate_args=False)


@right()
class Positive(_Real):
    """Positive values; UsageError for others."""

    def __init__(self, data):
        super().__init__(data)
        if data.low != 0 or not math.isinf(data.high) or data.counts:
            raise UsageError("positive values are wanted", hint="choose such data")
        self.support = constraints.independent(constraints.positive, len(data.shape))

    def observe(self, x):
        return x.clamp(min=1e-6)

    def single(self, loc):
        return LogNormal(loc.clamp(-20, 20), 0.5, validate_args=False)


@right()
class Counts(_Real):
    """Poisson counts; UsageError for others."""

    def __init__(self, data):
        super().__init__(data)
        if not data.counts:
            raise UsageError("counts are wanted", hint="choose such data")
        self.support = constraints.independent(constraints.nonnegative_integer, len(data.shape))

    def single(self, loc):
        return Poisson(nn.functional.softplus(loc) + 1e-4, validate_args=False)


@right()
class ZerosAndOnes(_Real):
    """By logits; UsageError for other data."""

    def __init__(self, data):
        super().__init__(data)
        if data.levels != 2 or (data.low, data.high) != (0, 1):
            raise UsageError("0 and 1 are wanted", hint="choose such data")
        self.support = constraints.independent(constraints.boolean, len(data.shape))

    def single(self, logits):
        return Bernoulli(logits=logits, validate_args=False)


@right()
class DependentValues(_Real):
    """Rows whose values depend on each other; UsageError for pictures."""

    def __init__(self, data):
        super().__init__(data)
        if len(data.shape) != 1:
            raise UsageError("rows are wanted", hint="choose such data")
        self.support = constraints.real_vector
        self.factor = nn.Parameter(0.3 * torch.ones(*data.shape, 1))

    def forward(self, parameters):
        factor = self.factor.expand(*parameters.shape, 1)
        return LowRankMultivariateNormal(
            parameters, factor, torch.full_like(parameters, 0.3), validate_args=False
        )


right()(RightBins)
