"""Autoregressive prior over discrete codes."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated, Any, ClassVar, final

import torch
from annotated_types import Gt
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, constraints
from torch.nn import functional

from genmod import Activation, Doc, Prior, UsageError
from genmod.nn import activation as activation_of
from genmod.plugins.posteriors._simplex import require_classes, stacked

__all__ = ["AutoregressivePrior", "Chain"]


@final
class AutoregressivePrior(Prior):
    """Classes drawn one after the other, each with probabilities that depend on those before.

    ``p(z) = Π_i Cat(z_i; softmax(f_i(z_1, …, z_{i-1})))``, ``batch_shape ()``, ``event_shape latent_shape``

    The last number of the latent shape is the number of classes: 8×16 are eight variables of 16 classes. ``f`` is a
    fully connected network whose masks let each output see earlier variables alone; a density is one pass, a draw
    as many as there are variables. For posteriors that draw exact classes (``-s posterior.straight_through=true``),
    with ``kl-mc``. It starts with all classes alike.

    Reference:
        MADE: Masked Autoencoder for Distribution Estimation (Germain et al., 2015), arXiv:1502.03509;
        Neural Discrete Representation Learning (van den Oord et al., 2017), arXiv:1711.00937, for such a prior

    Raises:
        UsageError: there are fewer than two classes or variables.

    Example:
        >>> AutoregressivePrior((4, 3))().sample((5,)).sum(-1)[0]
        tensor([1., 1., 1., 1.])
    """

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        hidden: Annotated[
            Sequence[Annotated[int, Gt(0)]],
            Doc("width of each hidden layer, for each variable; empty for none"),
        ] = (64,),
        activation: Annotated[Activation, Doc("function between the layers")] = "silu",
    ) -> None:
        classes = require_classes("prior 'autoregressive'", latent_shape)
        super().__init__(latent_shape)
        self.support = stacked(constraints.one_hot, latent_shape)
        variables = math.prod(latent_shape) // classes
        if variables < 2:
            raise UsageError(
                f"prior 'autoregressive' needs 2 or more variables, and latents of shape {latent_shape} are one",
                hint="for example: --latent 8x16, or --prior categorical for one variable",
            )
        sizes = [classes, *hidden, classes]
        layers: list[nn.Module] = []
        for i, (ins, outs) in enumerate(pairwise(sizes)):
            # The first layer looks at earlier variables only, the others at the same ones and earlier.
            layers += [_Causal(variables, ins, outs, strict=i == 0), activation_of(activation)]
        self.layers = nn.Sequential(*layers[:-1])
        last: Any = layers[-2]
        nn.init.zeros_(last.weight)

    def forward(self, context: Tensor | None = None) -> "Chain":
        return Chain(self.layers, self.latent_shape, next(self.layers.parameters()))


class _Causal(nn.Module):
    """A linear layer from variables to variables, ``(…, n, ins) → (…, n, outs)``, each from those before it."""

    mask: Tensor

    def __init__(self, variables: int, ins: int, outs: int, *, strict: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(variables, outs, variables, ins))
        self.bias = nn.Parameter(torch.zeros(variables, outs))
        nn.init.normal_(self.weight, std=(variables * ins) ** -0.5)
        mask = torch.ones(variables, variables).tril(-1 if strict else 0)
        self.register_buffer("mask", mask[:, None, :, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        weight = (self.weight * self.mask).flatten(0, 1).flatten(1)
        return functional.linear(x.flatten(-2), weight).unflatten(-1, self.bias.shape) + self.bias


class Chain(Distribution):
    """One class after the other, as vectors of zeros and a one.

    ``log p(z) = Σ_i log softmax(f_i(z_<i))[k(z_i)]``

    Args:
        logits: ``f``, from variables ``(…, n, K)`` to their logits ``(…, n, K)``.
        event_shape: ``(*n, K)``.
        like: a tensor of the type and on the device of draws.

    Example:
        >>> Chain(torch.zeros_like, (4, 3), torch.zeros(1)).log_prob(torch.eye(3)[[0, 1, 2, 0]]).exp()
        tensor(0.0123)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(
        self, logits: Callable[[Tensor], Tensor], event_shape: tuple[int, ...], like: Tensor
    ) -> None:
        self._logits, self._like = logits, like
        super().__init__(torch.Size(), torch.Size(event_shape), validate_args=False)

    @property
    def support(self) -> constraints.Constraint:  # type: ignore[override]
        return stacked(constraints.one_hot, tuple(self.event_shape))

    def expand(self, batch_shape: Any, _instance: object = None) -> "Chain":
        other = Chain(self._logits, tuple(self.event_shape), self._like)
        other._batch_shape = torch.Size(batch_shape)
        return other

    def log_prob(self, value: Tensor) -> Tensor:
        z = value.flatten(-len(self.event_shape), -2) if len(self.event_shape) > 1 else value[..., None, :]
        # Codes have no precision of their own.
        z = z.to(self._like.dtype)
        found = (self._logits(z).log_softmax(-1) * z).sum((-2, -1))
        return found.expand(torch.broadcast_shapes(found.shape, self._batch_shape))

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        *places, classes = self.event_shape
        variables = math.prod(tuple(places))
        shape = (*sample_shape, *self._batch_shape)
        z = self._like.new_zeros((*shape, variables, classes))
        for i in range(variables):
            drawn = Categorical(logits=self._logits(z)[..., i, :], validate_args=False).sample()
            z[..., i, :] = functional.one_hot(drawn, classes).to(z.dtype)
        return z.reshape(*shape, *self.event_shape)
