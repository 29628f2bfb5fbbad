"""What critics have in common that tell two kinds of points from each other, and pull the model towards one of them."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from genmod import Critic, DataInfo, Doc, Loss, ParameterGroup, Schedule
from genmod.plugins.critics._rules import Rule, gradient_penalty, r1_penalty, rule
from genmod.plugins.networks._spectral import normalise_spectrally

__all__ = ["R1", "Adversary", "Betas", "Every", "Penalty", "Rate", "Spectral", "Start"]

Penalty = Annotated[
    Annotated[float, Ge(0)] | None,
    Doc("weight of (‖gradient‖ - 1)² between the two sides; by default 10 for wasserstein, else 0"),
]
R1 = Annotated[float, Ge(0), Doc("weight of half the squared gradient at what is real")]
Start = Annotated[int, Ge(0), Doc("first step in which the critic learns and its weight is not zero")]
Every = Annotated[int, Ge(1), Doc("the critic learns in one step of so many")]
Rate = Annotated[float, Gt(0), Doc("factor of the learning rate, for the critic alone")]
Betas = Annotated[
    tuple[Annotated[float, Ge(0), Lt(1)], Annotated[float, Ge(0), Lt(1)]],
    Doc("decay rates of the critic's own Adam"),
]
Spectral = Annotated[bool, Doc("divide the weights of each layer by their largest singular value")]


class Adversary(Critic):
    """A critic whose scores are high for what is real.

    Args:
        data: shape and range of the data.
        latent_shape: shape of one latent.
        loss: see :func:`rule`.
        gradient_penalty: weight of :func:`gradient_penalty`.
        r1: weight of :func:`r1_penalty`.
        weight: of what is added to the loss of the model.
        start: first step in which the critic is moved, and moves the model.
        every: the critic is moved in one step of so many.
        lr: factor of the learning rate.
        betas: of the critic's Adam.
    """

    steps: Tensor

    def __init__(
        self,
        data: DataInfo,
        latent_shape: tuple[int, ...],
        *,
        loss: Rule,
        gradient_penalty: float | None,
        r1: float,
        weight: Schedule | float,
        start: int,
        every: int,
        lr: float,
        betas: tuple[float, float],
    ) -> None:
        super().__init__(data, latent_shape)
        self.loss: Rule = loss
        default = 10.0 if loss == "wasserstein" else 0.0
        self.gradient_penalty = default if gradient_penalty is None else gradient_penalty
        self.r1, self.weight, self.start = r1, Schedule.parse(weight), start
        self.optimizer = {"name": "adam", "betas": tuple(betas)}
        self.every, self.lr = every, lr
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def finish(self, net: nn.Module, spectral_norm: bool) -> None:
        """Make the layers ready whose last one puts out the scores."""
        layers = [layer for layer in net.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
        # Where only differences of scores count, nothing would move it.
        layers[-1].bias = None
        if spectral_norm:
            normalise_spectrally(net)

    @abstractmethod
    def score(self, points: Tensor) -> Tensor:
        """Scores ``(N, places)`` of points ``(N, *shape)``."""

    def parameter_groups(self) -> Mapping[str, ParameterGroup]:
        group = ParameterGroup(self.parameters(), self.lr, self.optimizer, self.start, self.every)
        return {self.group: group}

    def after_step(self) -> None:
        self.steps += 1

    def now(self) -> Tensor:
        """The weight in this step, ``()``: zero before the first in which the critic learns."""
        return float(self.weight) * (self.steps >= self.start)

    def judged(
        self, real: Tensor, made: Tensor, of_real: Tensor, of_made: Tensor, batch: int
    ) -> dict[str, Loss]:
        """The losses of both sides.

        Args:
            real: points ``(K·B, *shape)``.
            made: points that the model makes, as many.
            of_real: their scores ``(K·B, places)``, as :meth:`score` finds them.
            of_made: likewise.
            batch: B.
        """

        def over(values: Tensor) -> Tensor:
            return values.reshape(len(values) // batch, batch, -1).mean((0, 2))

        own, fooling = rule(self.loss, of_real, of_made)
        found = {
            "critic_loss": Loss(over(own), self.group),
            "fooling_loss": Loss(over(fooling), weight=self.now()),
        }
        if self.gradient_penalty > 0:
            penalty = gradient_penalty(self._mean_score, real, made, batch)
            found["gradient_penalty"] = Loss(over(penalty), self.group, self.gradient_penalty)
        if self.r1 > 0:
            found["r1_penalty"] = Loss(over(r1_penalty(self._mean_score, real)), self.group, self.r1)
        return found

    def _mean_score(self, points: Tensor) -> Tensor:
        return self.score(points).mean(1)
