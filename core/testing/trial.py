"""A part of a model with fixed inputs, and its outputs for them."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.distributions import Distribution

from genmod.system.random import seeded

__all__ = ["AROUND", "Trial", "mean_of", "whole"]

AROUND = "_genmod_testing_model"
"""Attribute of a prior with the model that it is bound to; in a tuple, so that it is no submodule."""


@dataclass(frozen=True)
class Trial:
    """A part of a model with fixed inputs.

    Args:
        kind: kind of the part.
        part: the part.
        inputs: of the part, each ``(B, …)``.
        companions: posterior and prior that a divergence is between.
    """

    kind: str
    part: nn.Module
    inputs: tuple[Tensor, ...]
    companions: tuple[nn.Module, ...] = ()

    def __call__(
        self, part: nn.Module | None = None, inputs: tuple[Tensor, ...] | None = None, *, seed: int = 2
    ) -> tuple[Tensor, ...]:
        """Outputs of a part, differentiable, each ``(B, …)``; by default of this part for these inputs.

        For a distribution: its mean and its log-density at fixed points, where it has them; what else a prior makes of these.
        """
        part, inputs = part or self.part, inputs or self.inputs
        with seeded(seed):
            match self.kind:
                case "encoder" | "network":
                    return (part(inputs[0]),)
                case "posterior":
                    q = part(inputs[0])
                    return mean_of(q) + tuple(q.log_prob(z) for z in inputs[1:])
                case "prior":
                    return (part().log_prob(inputs[0]), part.features(inputs[0]))  # type: ignore[operator]
                case "decoder":
                    likelihood = part(inputs[0])
                    return (*mean_of(likelihood), likelihood.log_prob(inputs[1]))
            like = inputs[0]
            q_of, p_of = (copy.deepcopy(each) for each in self.companions)
            for each in (q_of, p_of):
                whole(each).to(like.device, like.dtype)
            return (part(q_of(like), p_of(), inputs[1].movedim(0, 1)),)

    def eval(self) -> "Trial":
        """This trial, with the part in evaluation mode."""
        whole(self.part).eval()
        return self

    def rows(self, start: int, end: int) -> tuple[Tensor, ...]:
        """The inputs of some examples."""
        return tuple(each[start:end] for each in self.inputs)

    def converted(self, change: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
        """The inputs, each changed."""
        return tuple(change(each) for each in self.inputs)


def whole(part: nn.Module) -> nn.Module:
    """The part, or the model that it is bound to, which is converted, saved and put into a mode as one."""
    around: tuple[nn.Module, ...] = part.__dict__.get(AROUND, (part,))
    return around[0]


def mean_of(distribution: Distribution) -> tuple[Tensor, ...]:
    """The mean in a tuple, which is empty where it is unknown."""
    try:
        return (distribution.mean,)
    except NotImplementedError:
        return ()
