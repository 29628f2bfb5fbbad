"""A critic that tells codes from draws of the prior."""

import math
from collections.abc import Mapping
from typing import Annotated, final

from annotated_types import Ge
from torch import nn
from torch.nn.functional import softplus

from genmod import Critic, DataInfo, Doc, Draw, Loss, ParameterGroup

__all__ = ["TemplateCritic"]


@final
class TemplateCritic(Critic):
    """A layer whose output is the log-odds that a latent is a draw of the prior.

    It minimises ``softplus(-D(p draws)) + softplus(D(q draws))``, the model ``weight · softplus(-D(q draws))``.
    """

    def __init__(
        self,
        data: DataInfo,
        latent_shape: tuple[int, ...],
        *,
        weight: Annotated[float, Ge(0), Doc("weight of what it adds to the loss of the model")] = 1.0,
    ) -> None:
        super().__init__(data, latent_shape)
        self.weight = weight
        self.judge = nn.Sequential(nn.Linear(math.prod(latent_shape), 32), nn.ReLU(), nn.Linear(32, 1))

    def parameter_groups(self) -> Mapping[str, ParameterGroup]:
        return {self.group: ParameterGroup(self.parameters())}

    def losses(self, draw: Draw) -> Mapping[str, Loss]:
        own = draw.z.flatten(0, 1).flatten(1)
        p = draw.prior()
        other = p.sample(draw.z.shape[: 2 - len(p.batch_shape)]).reshape(own.shape)
        fooled, sure = (
            self.judge(own).view(draw.z.shape[:2]).mean(0),
            self.judge(other).view(draw.z.shape[:2]).mean(0),
        )
        return {
            "critic": Loss(softplus(-sure) + softplus(fooled), self.group),
            "fooled": Loss(softplus(-fooled), weight=self.weight),
        }
