"""Posterior of groups of maps, from coarse to fine, relative to the prior's path."""

from collections.abc import Sequence
from typing import Annotated, Any, final

import torch
from annotated_types import Ge, Gt, MinLen
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from genmod import Activation, Doc, GivenModel, Posterior, UsageError, bounded_log_scale
from genmod.nn import Maps
from genmod.plugins.posteriors._top_down import Bottleneck, Choose, Path, TopDown

__all__ = ["TopDownPosterior"]


@final
class TopDownPosterior(Posterior):
    """Groups of normals on maps, the coarsest first, each given the features of its resolution and the prior's path so far.

    ``q(z|x) = Π_g N(z_g; loc_p + Δloc, (scale_p Δscale)²)``, ``(Δloc, Δscale) = f_g(features_g, h_g)``

    ``features (B, *feature_shape) → batch_shape (B,), event_shape (n,)``, with ``--latent D``: D channels in each group; ``z``
    are the maps of the groups one after the other. Features of several resolutions (encoder ``pyramid``) have groups at each,
    a map has groups of its size, a vector has groups of D numbers. ``loc_p``, ``scale_p`` and ``h_g`` are those of prior
    ``top-down``, which has the residual blocks that both share; without ``relative``, q is estimated by itself.

    Reference:
        Very Deep VAEs Generalize Autoregressive Models and Can Outperform Them on Images (Child, 2021), arXiv:2011.10650;
        NVAE: A Deep Hierarchical Variational Autoencoder (Vahdat and Kautz, 2020), arXiv:2007.03898, for the residual normals

    Raises:
        UsageError: the latents are no number, there is not a number of groups for each resolution, or the prior is another.

    Example:
        >>> posterior = TopDownPosterior(Maps.of([(8, 4, 4), (8, 2, 2)]), (3,), groups=[2, 1])
        >>> posterior.latent_shape, posterior.latent_shape.parts
        ((72,), ((3, 2, 2), (3, 2, 2), (3, 4, 4)))
    """

    wants_prior = True
    zeros: Tensor

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        *,
        groups: Annotated[
            Annotated[int, Gt(0)] | Annotated[Sequence[Annotated[int, Ge(0)]], MinLen(1)],
            Doc("groups of latents at each resolution, or at the coarsest, the next finer, …"),
        ] = 1,
        width: Annotated[int, Gt(0), Doc("channels of the prior's path, as its option of that name")] = 64,
        relative: Annotated[bool, Doc("estimate the difference to the prior")] = True,
        activation: Annotated[Activation, Doc("function before each convolution")] = "silu",
    ) -> None:
        features = Maps.in_shape(feature_shape)
        levels = features.parts[::-1]
        counts = [groups] * len(levels) if isinstance(groups, int) else list(groups)
        if len(latent_shape) != 1 or len(counts) > len(levels) or not sum(counts):
            raise UsageError(
                f"posterior 'top-down' has {groups} groups at {len(levels)} resolutions, and latents of shape {latent_shape}",
                hint="give a number of channels, and the groups of each resolution from the coarsest on: --latent 4 "
                f"-s posterior.groups={','.join(['2'] * len(levels))}",
            )
        self.places = [i for i, count in enumerate(counts) for _ in range(count)]
        self.maps = Maps.of((latent_shape[0], *levels[i][1:]) for i in self.places)
        super().__init__(feature_shape, self.maps)
        self.support = constraints.real_vector
        self.features, self.width, self.relative = features, width, relative
        self.heads = nn.ModuleList(
            # Near the prior at first: what the first groups are off by grows on the way down.
            Bottleneck(
                levels[i][0] + width,
                2 * latent_shape[0],
                levels[i][1:],
                activation,
                inner=max(width // 4, 1),
                gain=0.1,
            )
            for i in self.places
        )
        self.register_buffer("zeros", torch.zeros(1, self.maps[0]), persistent=False)

    def bind(self, model: GivenModel) -> None:
        prior: Any = model.prior
        wanted = self.maps.parts, self.width
        if (getattr(getattr(prior, "maps", None), "parts", None), getattr(prior, "width", None)) != wanted:
            raise UsageError(
                f"posterior 'top-down' shares the path of prior 'top-down', of {self.width} channels",
                hint=f"choose --prior top-down -s prior.width={self.width}",
            )

    def forward(self, features: Tensor, prior: Distribution | None = None) -> TopDown:
        maps = self.features.split(features)[::-1]

        def estimate(
            i: int, loc: Tensor, log_scale: Tensor, h: Tensor, rows: Tensor | None
        ) -> tuple[Tensor, Tensor]:
            own = maps[self.places[i]]
            made = self.heads[i](torch.cat([own if rows is None else own[rows], h], 1))
            shift, stretch = made.flatten(1).chunk(2, 1)
            if not self.relative:
                return shift, bounded_log_scale(stretch)
            return loc + shift, bounded_log_scale(log_scale + stretch)

        like = self.zeros.to(features)
        if not isinstance(prior, TopDown):
            # By itself, as while it is checked, it meets standard normals.
            return TopDown(
                _Nothing(self.maps, self.width), like, examples=features.shape[0], estimate=estimate
            )
        return TopDown(
            prior.path,
            like,
            context=prior.context,
            key=prior.key,
            examples=features.shape[0],
            estimate=estimate,
        )


@final
class _Nothing(Path):
    """A path without blocks."""

    def __init__(self, maps: Maps, width: int) -> None:
        self.maps, self.width = maps, width
        self.values_of_a_row = max(width * height * across for _, height, across in maps.parts)

    def descend(self, context: Tensor | None, choose: Choose, like: Tensor) -> Tensor:
        for i, (channels, *size) in enumerate(self.maps.parts):
            h = like.new_zeros(like.shape[0], self.width, *size)
            zeros = like.new_zeros(like.shape[0], channels * size[0] * size[1])
            choose(i, zeros, zeros, h)
        return h
