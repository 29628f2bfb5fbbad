"""Log-cosh reconstruction error."""

from typing import Annotated, Any, ClassVar, final

import torch
from annotated_types import Gt
from torch import Tensor
from torch.distributions import Distribution, Independent, constraints

from genmod import DataInfo, Decoder, Doc

__all__ = ["LogCosh", "LogCoshDecoder"]


@final
class LogCosh(Distribution):
    """An error in place of a log-density: quadratic near zero, absolute far away.

    ``-log cosh(a (x - loc)) / a``

    Args:
        loc: any shape.
        a: how soon it becomes absolute.

    Example:
        >>> LogCosh(torch.zeros(()), 10.0).log_prob(torch.tensor(100.0))
        tensor(-99.9307)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"loc": constraints.real}
    support = constraints.real

    def __init__(self, loc: Tensor, a: float) -> None:
        self.loc = loc
        self.a = a
        super().__init__(loc.shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: object = None) -> "LogCosh":
        return LogCosh(self.loc.expand(batch_shape), self.a)

    def log_prob(self, value: Tensor) -> Tensor:
        size = self.a * (value - self.loc).abs()
        # cosh s = 1 + e²/(2 (1 + e)), e = exp(s) - 1, of which no digit is lost near zero; from 20 on it is exp(s)/2.
        near = size.clamp(max=20)
        e = torch.expm1(near)
        return -(torch.log1p(e * e / (2 * (1 + e))) + (size - near)) / self.a

    @property
    def mean(self) -> Tensor:
        return self.loc

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """The middle: an error has no noise to draw."""
        return self.loc.detach().expand(self._extended_shape(sample_shape))


@final
class LogCoshDecoder(Decoder):
    """The log-cosh error of each value; no density, so there is no ELBO, NLL or bits/dim.

    ``log p(x|z) := -Σ_i log cosh(a (x_i - loc_i)) / a``

    ``parameters (*batch, *data.shape) → batch_shape batch, event_shape data.shape``.

    Reference:
        Log Hyperbolic Cosine Loss Improves Variational Auto-Encoder (Chen et al., 2019), openreview rkglvsC9Ym

    Example:
        >>> LogCoshDecoder(DataInfo((2,)))(torch.zeros(1, 2)).log_prob(torch.zeros(1, 2))
        tensor([0.])
    """

    is_density = False

    def __init__(
        self, data: DataInfo, *, a: Annotated[float, Gt(0), Doc("how soon the error becomes absolute")] = 10.0
    ) -> None:
        super().__init__(data)
        self.a = a
        self.support = constraints.independent(constraints.real, len(data.shape))
        self.parameter_shape = data.shape

    def forward(self, parameters: Tensor) -> Independent:
        return Independent(LogCosh(parameters, self.a), len(self.data.shape), validate_args=False)
