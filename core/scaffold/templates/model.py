"""Independent normals as a model of data."""

from typing import Annotated, final

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.distributions import Normal, constraints

from genmod import DataInfo, Doc, GenerativeModel, ModelSpec, Observations, Terms, UsageError

__all__ = ["TemplateModel"]


@final
class TemplateModel(GenerativeModel):
    """A normal for each value of an example, ``log p(x) = Σ_i log N(x_i; loc_i, scale_i²)``.

    Raises:
        UsageError: the data have bounds.
    """

    def __init__(
        self,
        spec: ModelSpec,
        data: DataInfo,
        *,
        narrowest: Annotated[float, Ge(0), Doc("least standard deviation")] = 1e-3,
    ) -> None:
        super().__init__(spec, data)
        if data.low > -torch.inf or data.high < torch.inf or data.missing:
            raise UsageError("the data have bounds, or values missing", hint="choose --model flow")
        self.narrowest = narrowest
        self.loc = nn.Parameter(torch.zeros(data.size))
        self.log_scale = nn.Parameter(torch.zeros(data.size))

    @property
    def observations(self) -> Observations:
        return Observations(self.data, constraints.independent(constraints.real, len(self.data.shape)))

    def density(self) -> Normal:
        return Normal(self.loc, self.log_scale.exp() + self.narrowest, validate_args=False)

    def terms(self, x: Tensor, context: Tensor | None = None) -> Terms:
        log_prob = self.log_weights(self.observe(x))[0]
        return Terms(-log_prob.mean(), {"elbo": log_prob})

    def log_weights(self, x: Tensor, samples: int = 1, context: Tensor | None = None) -> Tensor:
        return self.density().log_prob(x.flatten(1)).sum(1).expand(samples, -1)

    def draws(self, n: int, context: Tensor | None = None, *, noise: bool = False) -> Tensor:
        return self.density().sample((n,)).reshape(n, *self.data.shape)
