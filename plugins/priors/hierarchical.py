"""Prior of groups of latents, each given those above it."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, final

import torch
from annotated_types import Gt
from torch import Tensor, nn
from torch.distributions import constraints

from genmod import Activation, Doc, Prior, UndefinedError, diagonal_normal
from genmod.distributions import standard_normal
from genmod.plugins.posteriors._hierarchy import Conditional, Groups, Hierarchy, sizes_of

__all__ = ["HierarchicalPrior"]


@final
class HierarchicalPrior(Prior):
    """Groups of normals, drawn from the top down; means and scales of each come from those above by a network.

    ``p(z) = N(z_1; 0, I) Π_g N(z_g; loc_g(z_<g), scale_g(z_<g)²)``, ``batch_shape ()``, ``event_shape (n,)``

    ``z`` are the groups one after the other, the top one first. It starts as the standard normal. In a conditional
    model every group depends on the condition too, and there is one distribution for each, ``batch_shape (B,)``.

    Reference:
        Ladder Variational Autoencoders (Sønderby et al., 2016), arXiv:1602.02282;
        VAE with a VampPrior (Tomczak and Welling, 2018), arXiv:1705.07120, for two levels that both reach the data

    Raises:
        UsageError: the latents are no vector, or the groups do not add up to it.

    Example:
        >>> prior = HierarchicalPrior((6,), 0, groups=[2, 4])
        >>> prior().sample((5,)).shape
        torch.Size([5, 6])
    """

    wants_context = True
    zeros: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        context_size: int,
        *,
        groups: Annotated[
            Groups, Doc("number of groups of latents, or the size of each, the top one first")
        ] = 2,
        hidden: Annotated[
            Sequence[Annotated[int, Gt(0)]], Doc("units of the hidden layers of each group's network")
        ] = (64,),
        activation: Annotated[Activation, Doc("function between the layers")] = "silu",
    ) -> None:
        super().__init__(latent_shape)
        self.sizes = self.group_sizes = sizes_of(groups, latent_shape, "prior")
        self.support = constraints.real_vector
        self.context_size = context_size
        self.register_buffer("zeros", torch.zeros(self.sizes[0]), persistent=False)
        self.top = Conditional(context_size, hidden, self.sizes[0], activation) if context_size else None
        self.lower = nn.ModuleList(
            Conditional(context_size + sum(self.sizes[:i]), hidden, self.sizes[i], activation)
            for i in range(1, len(self.sizes))
        )
        for each in (self.top, *self.lower):
            for parameter in each.layers[-1].parameters() if isinstance(each, Conditional) else ():
                nn.init.zeros_(parameter)

    def forward(self, context: Tensor | None = None) -> Hierarchy:
        if context is None and self.context_size:
            raise UndefinedError(
                "prior 'hierarchical' of a conditional model has no distribution until it is given a condition"
            )
        given = context if self.context_size else None
        top = standard_normal(self.zeros, 1)
        if self.top is not None:
            loc, log_scale = self.top(given)
            top = diagonal_normal(loc, log_scale, 1)
        steps = [partial(each, beside=given) for each in self.lower]
        return Hierarchy(top, list(zip(self.sizes[1:], steps, strict=True)))
