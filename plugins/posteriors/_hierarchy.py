"""Groups of normal latents side by side in one vector, each given those above it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, constraints
from torch.distributions.utils import _standard_normal

from genmod import Activation, UsageError, bounded_log_scale, diagonal_normal
from genmod.distributions import drawn, own_of, plain, register_kl_by_part
from genmod.nn import mlp

__all__ = ["Conditional", "Groups", "Hierarchy", "Levels", "Step", "Value", "Walked", "sizes_of"]

Groups = Annotated[int, Ge(2)] | Sequence[Annotated[int, Gt(0)]]

Value = Callable[[int, Tensor, Tensor, Tensor], Tensor]
Walked = tuple[Tensor, Tensor, Tensor, Mapping[Any, Tensor]]

Step = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Values of the groups above ``(*sample, *batch, n)`` → mean and log-scale of the next group, ``(*sample, *batch, size)``."""


class Levels(Distribution, ABC):
    """A chain of normals side by side in one vector, drawn from the top down.

    ``log p(z) = Σ_g log N(z_g; loc_g(z_<g), scale_g(z_<g)²)``, the group at the top first

    A draw keeps the means and scales that it was made with: its density, and the KL from another hierarchy, cost no
    second pass.

    Args:
        batch_shape: of the distribution.
        sizes: of the groups.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    has_rsample = True
    support = constraints.real_vector

    def __init__(self, batch_shape: torch.Size, sizes: Sequence[int]) -> None:
        self.sizes = tuple(sizes)
        super().__init__(batch_shape, torch.Size([sum(self.sizes)]), validate_args=False)

    @abstractmethod
    def walk(self, given: Sequence[Tensor], value: Value) -> Walked:
        """Go down the groups.

        Args:
            given: something of each group, ``(*sample, *batch, size)``.
            value: makes the values of a group of what is given, of its number, its means and its log-scales.

        Returns:
            Values, means and log-scales, ``(*sample, *batch, n)``, and what else a draw is to keep.
        """

    @property
    @abstractmethod
    def like(self) -> Tensor:
        """A tensor of the device and the type of the draws."""

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape, like = (*sample_shape, *self.batch_shape), self.like
        noise = [_standard_normal((*shape, size), like.dtype, like.device) for size in self.sizes]
        z, loc, log_scale, more = self.walk(noise, lambda i, own, loc, log_scale: loc + own * log_scale.exp())
        return drawn(z, {(self, "loc"): loc, (self, "log_scale"): log_scale, **more})

    def log_prob(self, value: Tensor) -> Tensor:
        _, loc, log_scale = self.at(value)
        return diagonal_normal(loc, log_scale, 1).log_prob(plain(value))

    def at(self, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Values, and means and log-scales of each group given the values of those above, ``(*sample, *batch, n)``."""
        values = plain(value)
        values = values.expand(torch.broadcast_shapes(values.shape, self.batch_shape + self.event_shape))
        loc, log_scale = (own_of(value, self, name) for name in ("loc", "log_scale"))
        if loc is None or log_scale is None:
            _, loc, log_scale, _ = self.walk(values.split(self.sizes, -1), lambda i, own, *_: own)
        return values, loc, log_scale

    def groups_at(self, value: Tensor) -> list[tuple[Independent, Tensor]]:
        """Each group's distribution given the values of those above, and its own values.

        Args:
            value: ``(*sample, *batch, n)``.

        Returns:
            Each of ``batch_shape (*sample, *batch)``, the first of a :class:`Hierarchy` of ``batch``; values
            ``(*sample, *batch, size)``.
        """
        values, *parameters = self.at(value)
        loc, log_scale = (each.split(self.sizes, -1) for each in parameters)
        normals = (diagonal_normal(*each, 1) for each in zip(loc, log_scale, strict=True))
        return list(zip(normals, values.split(self.sizes, -1), strict=True))

    def tempered(self, value: Tensor, temperature: float | Sequence[float]) -> Tensor:
        """A draw as it would have been with the standard deviations of each group, given those above, times a number.

        Args:
            value: draws, ``(*sample, *batch, n)``.
            temperature: of all groups, or of each from the top on.
        """
        each = temperature if isinstance(temperature, Sequence) else [temperature] * len(self.sizes)
        if len(each) != len(self.sizes):
            raise UsageError(f"{len(each)} temperatures were given for latents of {len(self.sizes)} groups")
        values, loc, log_scale = self.at(plain(value))
        noise = (values - loc) * (-log_scale).exp()
        return self.walk(
            noise.split(self.sizes, -1),
            lambda i, own, loc, log_scale: loc + each[i] * own * log_scale.exp(),
        )[0]


@final
class Hierarchy(Levels):
    """A chain of normals, each group of which comes from those above by a function.

    Args:
        top: of the first group, ``batch_shape batch``, ``event_shape (n,)``.
        steps: size of each further group, and what makes its mean and log-scale.

    Reference:
        Ladder Variational Autoencoders (Sønderby et al., 2016), arXiv:1602.02282

    Example:
        >>> top = diagonal_normal(torch.zeros(3, 2), torch.zeros(3, 2), 1)
        >>> q = Hierarchy(top, [(2, lambda above: (above, torch.zeros_like(above)))])
        >>> q.rsample((5,)).shape, q.log_prob(torch.zeros(4))
        (torch.Size([5, 3, 4]), tensor([-3.6758, -3.6758, -3.6758]))
    """

    def __init__(self, top: Independent, steps: Sequence[tuple[int, Step]]) -> None:
        self.top, self.steps = top, tuple(steps)
        super().__init__(top.batch_shape, (top.event_shape[0], *(size for size, _ in steps)))

    def expand(self, batch_shape: Any, _instance: object = None) -> "Hierarchy":
        return Hierarchy(self.top.expand(torch.Size(batch_shape)), self.steps)

    @property
    def like(self) -> Tensor:
        return self.top.base_dist.loc  # type: ignore[no-any-return,attr-defined]

    def groups_at(self, value: Tensor) -> list[tuple[Independent, Tensor]]:
        (_, own), *lower = super().groups_at(value)
        return [(self.top, own), *lower]

    def walk(self, given: Sequence[Tensor], value: Value) -> Walked:
        base: Any = self.top.base_dist
        found = [(base.loc.expand(given[0].shape), base.log_scale.expand(given[0].shape))]
        z = value(0, given[0], *found[0])
        for i, (_, step) in enumerate(self.steps, 1):
            found.append(step(z))
            z = torch.cat([z, value(i, given[i], *found[i])], -1)
        loc, log_scale = (torch.cat(each, -1) for each in zip(*found, strict=True))
        return z, loc, log_scale, {}


@register_kl_by_part(Levels, Levels)
def _groups(q: Levels, p: Levels, z: Tensor) -> list[tuple[Distribution, Distribution, Tensor]]:
    """The KL of each group given draws of those above: of the whole it is an estimate with less noise than the ratio's."""
    if q.sizes != p.sizes:
        return [(q, p, z)]
    pairs = zip(q.groups_at(z), p.groups_at(z), strict=True)
    # Of a group that depends on none, all draws are of one distribution.
    return [(a, b, own if len(a.batch_shape) < own.dim() - 1 else own[None]) for (a, own), (b, _) in pairs]


def sizes_of(groups: int | Sequence[int], latent_shape: tuple[int, ...], kind: str) -> tuple[int, ...]:
    """Sizes of the groups of a vector of latents, the top one first; their number alone means equal ones, nearly.

    Raises:
        UsageError: the latents are no vector, or the sizes do not add up to it.

    Example:
        >>> sizes_of(2, (5,), "prior"), sizes_of([1, 4], (5,), "prior")
        ((2, 3), (1, 4))
    """
    n = latent_shape[0] if len(latent_shape) == 1 else 0
    equal = (
        [n * (i + 1) // groups - n * i // groups for i in range(groups)] if isinstance(groups, int) else []
    )
    sizes = tuple(equal or groups)  # type: ignore[arg-type]
    if len(sizes) < 2 or min(sizes) < 1 or sum(sizes) != n:
        raise UsageError(
            f"{kind} 'hierarchical' has {groups} groups, which do not fill latents of shape {latent_shape}",
            hint="give the number of groups, or a size for each, and as many latents as there are in all: "
            f"-s {kind}.groups=8,8 --latent 16",
        )
    return sizes


@final
class Conditional(nn.Module):
    """Mean and log-scale of a group, made of numbers by a small network: ``(*batch, inputs) → two of (*batch, size)``.

    Args:
        inputs: how many numbers.
        hidden: width of each hidden layer.
        size: of the group.
        activation: between the layers.

    Example:
        >>> loc, log_scale = Conditional(3, [8], 2, "silu")(torch.zeros(5, 3))
        >>> loc.shape
        torch.Size([5, 2])
    """

    def __init__(self, inputs: int, hidden: Sequence[int], size: int, activation: Activation) -> None:
        super().__init__()
        self.layers = mlp((inputs, *hidden, 2 * size), activation, end_with_activation=False)

    def forward(self, x: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if beside is not None:
            x = torch.cat([beside.expand(*x.shape[:-1], beside.shape[-1]), x], -1)
        loc, log_scale = self.layers(x).chunk(2, -1)
        return loc, bounded_log_scale(log_scale)
