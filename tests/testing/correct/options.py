"""Right components with unusual options: numbers that belong together, steps, schedules, and old revisions."""

import math
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Interval, MultipleOf
from torch import nn
from torch.distributions import Independent, Normal, Uniform, constraints

from correct import right
from genmod import Decoder, Divergence, Doc, Encoder, Network, Prior, Schedule, UsageError
from genmod.scaffold.templates.divergence import TemplateDivergence
from genmod.scaffold.templates.encoder import TemplateEncoder

Scale = Annotated[float, Gt(0), Doc("scale")]


@right(always=True)
class Tempered(Prior):
    """Normals of a fixed scale, by its logarithm, which may be negative."""

    def __init__(self, latent_shape, *, log_scale: Annotated[float, Doc("logarithm of the scale")] = 0.0):
        super().__init__(latent_shape)
        self.support = constraints.independent(constraints.real, len(latent_shape))
        self.loc = nn.Parameter(torch.zeros(latent_shape))
        self.scale = math.exp(log_scale)

    def forward(self, context=None):
        normal = Normal(self.loc, self.scale, validate_args=False)
        return Independent(normal, len(self.latent_shape), validate_args=False)


@right()
class Between(Prior):
    """Uniform between two numbers, of which the first has to be the smaller.

    Raises:
        UsageError: it is not.
    """

    def __init__(
        self,
        latent_shape,
        *,
        low: Annotated[float, Doc("smallest")] = 1.0,
        high: Annotated[float, Doc("largest")] = 1.25,
    ):
        super().__init__(latent_shape)
        if low >= high:
            raise UsageError(f"low is {low} and high {high}", hint="make low smaller: -s prior.low=0")
        self.low, self.high = low, high
        self.support = constraints.independent(constraints.interval(low, high), len(latent_shape))
        self.register_buffer("zero", torch.zeros(latent_shape))

    def forward(self, context=None):
        uniform = Uniform(self.zero + self.low, self.zero + self.high, validate_args=False)
        return Independent(uniform, len(self.latent_shape), validate_args=False)


@right()
class Heads(Encoder):
    """A width that heads share evenly, and a number of layers that may be none.

    Raises:
        UsageError: the heads do not divide the width.
    """

    def __init__(
        self,
        data_shape,
        *,
        width: Annotated[int, Gt(0), MultipleOf(8), Doc("numbers of features")] = 24,
        heads: Annotated[int, Interval(ge=1, le=4), Doc("parts of them")] = 3,
        layers: Annotated[int, Interval(ge=0, le=1), Doc("further layers")] = 0,
    ):
        super().__init__(data_shape)
        if width % heads:
            raise UsageError(f"{heads} heads do not divide {width}", hint="-s encoder.heads=1")
        self.feature_shape = (width,)
        self.first = nn.Linear(math.prod(data_shape), width)
        self.more = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))

    def forward(self, x):
        features = self.first(x.flatten(1))
        for layer in self.more:
            features = layer(features.tanh())
        return features


@right()
class LearnedOrFixed(Decoder):
    """A scale that is learned, or a number of one's own; UsageError."""

    def __init__(
        self,
        data,
        *,
        scale: Annotated[float | Literal["learned"], Interval(gt=0, le=1), Doc("of the noise")] = "learned",
    ):
        super().__init__(data)
        self.support = constraints.independent(constraints.real, len(data.shape))
        self.parameter_shape = data.shape
        self.log_scale = None
        if scale == "learned":
            self.log_scale = nn.Parameter(torch.zeros(()))
        self.scale = scale

    def forward(self, parameters):
        scale = self.scale if self.log_scale is None else self.log_scale.exp()
        noise = Normal(parameters, scale, validate_args=False)
        return Independent(noise, len(self.data.shape), validate_args=False)


@right()
class Order(Divergence):
    """A multiple of a divergence, which is no KL unless it is one; a constant or a schedule."""

    def __init__(self, *, times: Annotated[Schedule | float, Ge(0), Doc("factor")] = 1.0):
        super().__init__()
        self.times = Schedule.parse(times)

    def forward(self, q, p, z):
        return float(self.times) * TemplateDivergence()(q, p, z)

    def check(self, q, p):
        self(q, p, None)


@right()
class NarrowRange(Network):
    """A number between bounds so narrow that there is hardly another; UsageError."""

    def __init__(
        self,
        in_shape,
        out_shape,
        *,
        slope: Annotated[float, Interval(ge=0.99, lt=1), Doc("of the negative side")] = 0.99,
        seed: Annotated[int, Interval(ge=0, le=0), Doc("of the first weights")] = 0,
    ):
        super().__init__(in_shape, out_shape)
        self.slope = slope
        self.layer = nn.Linear(math.prod(in_shape), math.prod(out_shape))

    def forward(self, z):
        found = self.layer(z.flatten(1)).unflatten(1, self.out_shape)
        return torch.where(found > 0, found, self.slope * found)


@right()
class TwiceRevised(TemplateEncoder):
    """Its width was called size, and before that it was a list of one number; UsageError."""

    check_cases: ClassVar = {
        "old_options": [(1, {"size": [8]}), (2, {"size": 8}), (2, {"size": 4, "unused": 1})]
    }

    @staticmethod
    def migrate(options, revision):
        size = options["size"]
        return {"width": size[0] if revision == 1 else size}


@right()
class NamesLikeOthers(TemplateEncoder):
    """Options with names that begin as those of modules do; UsageError."""

    def __init__(
        self,
        data_shape,
        *,
        to_size: Annotated[int, Gt(0), Doc("numbers of features")] = 16,
        trained: Annotated[bool, Doc("nothing")] = False,
    ):
        super().__init__(data_shape, width=to_size)
        self.trained = trained
