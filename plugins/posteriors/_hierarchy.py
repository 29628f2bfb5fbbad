"""Groups of normal latents side by side in one vector, each given those above it."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, constraints

from genmod import Activation, UsageError, bounded_log_scale, diagonal_normal
from genmod.distributions import LogScaleNormal, drawn, own_of, plain, register_kl_by_part
from genmod.nn import mlp

__all__ = ["Conditional", "Groups", "Hierarchy", "Step", "sizes_of"]

Groups = Annotated[int, Ge(2)] | Sequence[Annotated[int, Gt(0)]]

Step = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Values of the groups above ``(*sample, *batch, n)`` → mean and log-scale of the next group, ``(*sample, *batch, size)``."""


@final
class Hierarchy(Distribution):
    """A chain of normals, drawn from the top down.

    ``log p(z) = Σ_g log N(z_g; loc_g(z_<g), scale_g(z_<g)²)``, the group at the top first

    A draw keeps the means and scales that it was made with: its density, and the KL from another hierarchy, cost no
    second pass.

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

    arg_constraints: ClassVar[dict[str, Any]] = {}
    has_rsample = True
    support = constraints.real_vector

    def __init__(self, top: Independent, steps: Sequence[tuple[int, Step]]) -> None:
        self.top, self.steps = top, tuple(steps)
        self.sizes = (top.event_shape[0], *(size for size, _ in steps))
        super().__init__(top.batch_shape, torch.Size([sum(self.sizes)]), validate_args=False)

    def expand(self, batch_shape: Any, _instance: object = None) -> "Hierarchy":
        return Hierarchy(self.top.expand(torch.Size(batch_shape)), self.steps)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        base: Any = self.top.base_dist
        z = self.top.rsample(torch.Size(sample_shape))
        locs, log_scales = [base.loc.expand(z.shape)], [base.log_scale.expand(z.shape)]
        for _, step in self.steps:
            loc, log_scale = step(z)
            z = torch.cat([z, LogScaleNormal(loc, log_scale, validate_args=False).rsample()], -1)
            locs.append(loc)
            log_scales.append(log_scale)
        return drawn(z, {(self, "loc"): torch.cat(locs, -1), (self, "log_scale"): torch.cat(log_scales, -1)})

    def log_prob(self, value: Tensor) -> Tensor:
        densities = (part.log_prob(z) for part, z in self.groups_at(value))
        return sum(densities, torch.zeros((), device=value.device, dtype=value.dtype))

    def groups_at(self, value: Tensor) -> list[tuple[Independent, Tensor]]:
        """Each group's distribution given the values of those above, and its own values.

        Args:
            value: ``(*sample, *batch, n)``.

        Returns:
            Of the top group ``batch_shape batch``, of the others ``(*sample, *batch)``; values ``(*sample, *batch, size)``.
        """
        values = plain(value)
        values = values.expand(torch.broadcast_shapes(values.shape, self.batch_shape + self.event_shape))
        pieces = values.split(self.sizes, -1)
        loc, log_scale = (own_of(value, self, name) for name in ("loc", "log_scale"))
        if loc is not None and log_scale is not None:
            given = zip(loc.split(self.sizes, -1)[1:], log_scale.split(self.sizes, -1)[1:], strict=True)
        else:
            ends = torch.tensor(self.sizes, device="cpu").cumsum(0).tolist()
            given = (step(values[..., :end]) for end, (_, step) in zip(ends, self.steps, strict=False))  # type: ignore[assignment]
        lower = [diagonal_normal(*each, 1) for each in given]
        return list(zip([self.top, *lower], pieces, strict=True))

    def tempered(self, value: Tensor, temperature: float | Sequence[float]) -> Tensor:
        """A draw as it would have been with the standard deviations of each group, given those above, times a number.

        Args:
            value: draws, ``(*sample, *batch, n)``.
            temperature: of all groups, or of each from the top on.
        """
        each = temperature if isinstance(temperature, Sequence) else [temperature] * len(self.sizes)
        if len(each) != len(self.sizes):
            raise UsageError(f"{len(each)} temperatures were given for latents of {len(self.sizes)} groups")
        z = value[..., :0]
        for i, (part, own) in enumerate(self.groups_at(plain(value))):
            base: Any = part.base_dist
            noise = (own - base.loc) * (-base.log_scale).exp()
            loc, log_scale = self.steps[i - 1][1](z) if i else (base.loc, base.log_scale)
            z = torch.cat([z, loc + each[i] * noise * log_scale.exp()], -1)
        return z


@register_kl_by_part(Hierarchy, Hierarchy)
def _groups(q: Hierarchy, p: Hierarchy, z: Tensor) -> list[tuple[Distribution, Distribution, Tensor]]:
    """The KL of each group given draws of those above: of the whole it is an estimate with less noise than the ratio's."""
    if q.sizes != p.sizes:
        return [(q, p, z)]
    pairs = zip(q.groups_at(z), p.groups_at(z), strict=True)
    return [(a, b, own if i == 0 else own[None]) for i, ((a, own), (b, _)) in enumerate(pairs)]


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
