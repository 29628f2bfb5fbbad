"""Posterior of groups of latents, each given those above it."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, final

from annotated_types import Gt
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from genmod import Activation, Doc, GivenModel, Posterior, UsageError, bounded_log_scale, diagonal_normal
from genmod.nn import mlp
from genmod.plugins.posteriors._hierarchy import Conditional, Groups, Hierarchy, sizes_of

__all__ = ["HierarchicalPosterior"]


@final
class HierarchicalPosterior(Posterior):
    """Groups of normals, drawn from the top down, each given the features and the groups above it.

    ``q(z|x) = N(z_1; loc_1(x), scale_1(x)²) Π_g N(z_g; loc_g(z_<g, x), scale_g(z_<g, x)²)``

    ``features (B, *feature_shape) → batch_shape (B,), event_shape (n,)``; ``z`` are the groups one after the other, the
    top one first. On the way up ``d_g = f_g(d_g+1)``, beginning with the features below the last group. Without
    ``ladder``, means and scales are made of ``d_g`` and ``z_<g`` by a network. With it, those of the top are linear in
    ``d_1``; below, estimates linear in ``d_g``, ``N(m, s²)``, are combined with the prior's ``N(m_p, s_p²)`` by precision:

    ``scale_g⁻² = s⁻² + s_p⁻²``, ``loc_g = scale_g² (m s⁻² + m_p s_p⁻²)``

    With ``relative``, means and logarithms of scales are those of the prior and what the networks add to them.

    The prior is ``hierarchical`` with the same groups. ``kl`` is the sum of those of the groups, each in closed form given
    draws of the groups above.

    Reference:
        Ladder Variational Autoencoders (Sønderby et al., 2016), arXiv:1602.02282;
        VAE with a VampPrior (Tomczak and Welling, 2018), arXiv:1705.07120, for two levels that both reach the data

    Raises:
        UsageError: the latents are no vector, the groups do not add up to it; or a ladder with another prior.

    Example:
        >>> import torch
        >>> q = HierarchicalPosterior((256,), (6,), groups=[2, 4])(torch.zeros(3, 256))
        >>> q.rsample((5,)).shape
        torch.Size([5, 3, 6])
    """

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        *,
        groups: Annotated[
            Groups, Doc("number of groups of latents, or the size of each, the top one first")
        ] = 2,
        ladder: Annotated[
            bool, Doc("combine estimates from below with those of the prior, by precision")
        ] = False,
        relative: Annotated[bool, Doc("estimate the difference to the prior")] = False,
        hidden: Annotated[
            Sequence[Annotated[int, Gt(0)]],
            Doc("units of the hidden layers of each network, on the way up too"),
        ] = (64,),
        activation: Annotated[Activation, Doc("function between the layers")] = "silu",
    ) -> None:
        super().__init__(feature_shape, latent_shape)
        self.sizes = sizes_of(groups, latent_shape, "posterior")
        self.support = constraints.real_vector
        if ladder and relative:
            raise UsageError(
                "a ladder combines estimates with the prior's by precision, and relative ones are added to it",
                hint="choose one: -s posterior.ladder=true or -s posterior.relative=true",
            )
        self.ladder, self.wants_prior = ladder, ladder or relative
        widths = [math.prod(feature_shape)]
        ups, heads = [], []
        for i in reversed(range(len(self.sizes))):
            ups.append(mlp((widths[-1], *hidden), activation, end_with_activation=True))
            widths.append(hidden[-1] if hidden else widths[-1])
            above = 0 if ladder else sum(self.sizes[:i])
            between = hidden if above else ()
            heads.append(Conditional(widths[-1] + above, between, self.sizes[i], activation))
        self.ups, self.heads = nn.ModuleList(ups), nn.ModuleList(heads)

    def bind(self, model: GivenModel) -> None:
        if self.wants_prior and getattr(model.prior, "sizes", None) != self.sizes:
            raise UsageError(
                "a ladder, and a posterior that is relative, follow prior 'hierarchical' with the same groups, "
                f"{','.join(map(str, self.sizes))}",
                hint=f"choose --prior hierarchical -s prior.groups={','.join(map(str, self.sizes))}",
            )

    def forward(self, features: Tensor, prior: Distribution | None = None) -> Hierarchy:
        x, rising = features.flatten(1), []
        for up in self.ups:
            rising.append(x := up(x))
        estimates = [
            partial(head, d) if self.ladder else partial(head, beside=d)
            for d, head in reversed(list(zip(rising, self.heads, strict=True)))
        ]
        standard = [(size, _standard(size)) for size in self.sizes[1:]]
        steps = prior.steps if isinstance(prior, Hierarchy) else standard
        join = _combined if self.ladder else _added
        own: list[Any] = [
            partial(join, estimate, step) if self.wants_prior else estimate
            for estimate, (_, step) in zip(estimates[1:], steps, strict=True)
        ]
        nothing = features.new_zeros(features.shape[0], 0)
        loc, log_scale = estimates[0]() if self.ladder else estimates[0](nothing)
        if self.wants_prior and not self.ladder and isinstance(prior, Hierarchy):
            base: Any = prior.top.base_dist
            loc, log_scale = base.loc + loc, bounded_log_scale(base.log_scale + log_scale)
        return Hierarchy(diagonal_normal(loc, log_scale, 1), list(zip(self.sizes[1:], own, strict=True)))


def _standard(size: int) -> Any:
    def step(above: Tensor) -> tuple[Tensor, Tensor]:
        zeros = above.new_zeros(*above.shape[:-1], size)
        return zeros, zeros

    return step


def _added(estimate: Any, step: Any, above: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log-scale of the prior, moved by an estimate."""
    (shift, stretch), (loc, log_scale) = estimate(above), step(above)
    return loc + shift, bounded_log_scale(log_scale + stretch)


def _combined(estimate: Any, step: Any, above: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log-scale of the product of two normals, without squares that overflow.

    ``scale⁻² = s⁻² + s_p⁻²``, and the mean lies between the two by the share ``σ(2 (log s_p - log s))`` of the first.

    Args:
        estimate: makes those from below, ``(B, size)`` each.
        step: the prior's.
        above: values of the groups above, ``(*sample, B, n)``.
    """
    (m, log_s), (m_p, log_p) = estimate(), step(above)
    share = 2 * (log_p - log_s)
    loc = m_p + share.sigmoid() * (m - m_p)
    log_scale = log_s - 0.5 * nn.functional.softplus(-share)
    return loc, log_scale
