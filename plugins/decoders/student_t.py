"""Student's t likelihood for real data with heavy tails."""

import math
from typing import Annotated, Any, ClassVar, Literal, final

import torch
from annotated_types import Gt, Le
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, constraints

from genmod import DataInfo, Decoder, Doc, bounded_log_scale
from genmod.distributions import factorial_excess, precise
from genmod.plugins.decoders._ranges import Dequantize, require_dequantizable
from genmod.plugins.decoders._scales import LARGEST, LogScale, Scale, log_share

__all__ = ["StudentT", "StudentTDecoder"]


@final
class StudentT(Distribution):
    """Student's t distribution, with a constant that does not cancel for many degrees of freedom.

    ``log p(x) = -½ (ν + 1) log(1 + ((x - loc)/scale)² / ν) - log scale + c(ν)``

    Args:
        df: degrees of freedom ``ν > 1``, broadcast against ``loc``.
        loc: middle, any shape.
        log_scale: logarithm of the scale, broadcast against ``loc``.

    Example:
        >>> StudentT(torch.tensor(2.0), torch.zeros(()), torch.zeros(())).log_prob(torch.tensor(0.0))
        tensor(-1.0397)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real

    def __init__(self, df: Tensor, loc: Tensor, log_scale: Tensor) -> None:
        self.df, self.loc, self.log_scale = torch.broadcast_tensors(df, loc, log_scale)
        self._given = df, log_scale
        super().__init__(self.loc.shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: object = None) -> "StudentT":
        return StudentT(*(each.expand(batch_shape) for each in (self.df, self.loc, self.log_scale)))

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        variance = (2 * self.log_scale).exp() * self.df / (self.df - 2)
        return variance.where(self.df > 2, math.inf)

    def log_prob(self, value: Tensor) -> Tensor:
        # As they were given: what many values share costs nothing.
        df, log_scale = map(precise, self._given)
        standard, half = (precise(value) - precise(self.loc)) * (-log_scale).exp(), 0.5 * df
        # log Γ(h + ½)/Γ(h) - ½ log 2πh, without the large parts
        constant = factorial_excess(half + 0.5) - factorial_excess(half)
        constant = constant + (half - 0.5) * torch.log1p(0.5 / half) - 0.5 - 0.5 * math.log(2 * math.pi)
        tail = (half + 0.5) * torch.log1p(standard * standard / df)
        return (constant - log_scale - tail).to(self.loc.dtype)

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        half = 0.5 * self.df.expand(self._extended_shape(sample_shape))
        ratio = torch.randn_like(half) * (half / torch._standard_gamma(half)).sqrt()
        return self.loc + self.log_scale.exp() * ratio


@final
class StudentTDecoder(Decoder):
    """Independent t-distributed values with middles from the network: outliers cost their logarithm only.

    ``log p(x|z) = Σ_i -½ (ν + 1) log(1 + ((x_i - loc_i)/scale_i)² / ν) - log scale_i + c(ν)``, nats

    ``parameters (*batch, *parameter_shape) → batch_shape batch, event_shape data.shape``. There are more than
    one degree of freedom, so that the mean, which is the middle, exists.

    Reference:
        Student-t Variational Autoencoder for Robust Density Estimation (Takahashi et al., 2018),
        doi:10.24963/ijcai.2018/374

    Raises:
        UsageError: there are no levels to dequantize.

    Example:
        >>> decoder = StudentTDecoder(DataInfo((2,), low=-math.inf, high=math.inf), scale=1.0, df=2.0)
        >>> decoder(torch.zeros(1, 2)).log_prob(torch.zeros(1, 2))
        tensor([-2.0794])
    """

    def __init__(
        self,
        data: DataInfo,
        *,
        scale: Scale = "learned",
        df: Annotated[
            Annotated[float, Gt(1), Le(LARGEST)] | Literal["learned", "per-dimension"],
            Doc("degrees of freedom: a number, one trained number, or one per dimension"),
        ] = "learned",
        dequantize: Dequantize = False,
    ) -> None:
        super().__init__(data)
        self.dequantize = require_dequantizable("student-t", data, dequantize)
        self.support = constraints.independent(constraints.real, len(data.shape))
        self.scale = LogScale(data.shape, scale, log_share(data, 5))
        self.parameter_shape = self.scale.parameter_shape
        self.df = df
        if isinstance(df, str):
            shape = data.shape if df == "per-dimension" else ()
            self.log_df = nn.Parameter(torch.full(shape, math.log(4.0)))

    def forward(self, parameters: Tensor) -> Independent:
        loc, log_scale = self.scale(parameters)
        if isinstance(self.df, str):  # noqa: SIM108 - in one line it is longer than a line
            df = 1 + bounded_log_scale(self.log_df).exp()
        else:
            df = parameters.new_full((), self.df)
        likelihood = StudentT(df, loc, log_scale)
        return Independent(likelihood, len(self.data.shape), validate_args=False)
