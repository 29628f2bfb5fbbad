"""Normalising-flow posterior."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, cast, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.distributions import constraints

from genmod import Doc, Posterior, UsageError, bounded_log_scale, diagonal_normal
from genmod.plugins.posteriors._maps import Affine, Householder, Planar, Radial
from genmod.plugins.posteriors._neural_maps import NeuralKind, NeuralMaps
from genmod.plugins.posteriors._transported import Map, Transported

__all__ = ["FlowPosterior"]


@final
class FlowPosterior(Posterior):
    """A diagonal normal carried through invertible maps; all of their parameters depend on the features.

    ``z = f_T(… f_1(ε))``, ``ε ~ N(loc(x), scale(x)²)``, ``log q(z|x) = log q(ε|x) - Σ_t log |det df_t|``

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``. The density of a draw comes with
    it; that of other values takes as many steps as there are latents for ``iaf``, and so do the draws of ``maf``.
    The maps of ``planar``, ``radial`` and ``householder`` take their parameters from the features directly, the others
    from networks that take a projection of the features. There is no closed-form KL; use ``kl-mc``.

    Reference:
        Variational Inference with Normalizing Flows (Rezende and Mohamed, 2015), arXiv:1505.05770;
        Improving Variational Auto-Encoders using Householder Flow (Tomczak and Welling, 2016), arXiv:1611.09630;
        Improved Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016), arXiv:1606.04934;
        Neural Spline Flows (Durkan et al., 2019), arXiv:1906.04032

    Raises:
        UsageError: hidden layers for maps that have none.

    Example:
        >>> q = FlowPosterior((256,), (16,), kind="planar")(torch.zeros(2, 256))
        >>> q.rsample((5,)).shape
        torch.Size([5, 2, 16])
    """

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        *,
        kind: Annotated[
            Literal["planar", "radial", "householder", "iaf", "maf", "nsf", "realnvp"],
            Doc("what the maps are"),
        ] = "iaf",
        transforms: Annotated[int, Ge(1), Doc("number of maps")] = 3,
        hidden: Annotated[
            Sequence[Annotated[int, Gt(0)]] | None,
            Doc(
                "units of the hidden layers of each map's network, 32 and 32 unless given; for iaf, maf, nsf, realnvp"
            ),
        ] = None,
    ) -> None:
        super().__init__(feature_shape, latent_shape)
        self.support = constraints.independent(constraints.real, len(latent_shape))
        self.kind, self.transforms, self.n = kind, transforms, math.prod(latent_shape)
        self.networks: NeuralMaps | None = None
        sizes = {"planar": 2 * self.n + 1, "radial": self.n + 2, "householder": self.n}
        if kind in sizes:
            if hidden is not None:
                raise UsageError(
                    f"posterior 'flow' of kind {kind!r} has no networks, and was given hidden = {list(hidden)}",
                    hint="leave hidden out, or choose -s posterior.kind=iaf",
                )
            self.given = transforms * sizes[kind]
        else:
            hidden = hidden or (32, 32)
            self.given = hidden[0]
            self.networks = NeuralMaps(cast(NeuralKind, kind), self.n, self.given, transforms, hidden)
        self.head = nn.Linear(math.prod(feature_shape), 2 * self.n + self.given)

    def forward(self, features: Tensor) -> Transported:
        loc, log_scale, given = self.head(features.flatten(1)).split([self.n, self.n, self.given], 1)
        log_scale, given = bounded_log_scale(log_scale), bounded_log_scale(given)
        maps = self._maps(given) if self.networks is None else self.networks.maps(given)
        if self.kind == "nsf":
            # Splines bend between -5 and 5, so they come first.
            maps, loc, log_scale = (
                [*maps, Affine(loc, log_scale)],
                torch.zeros_like(loc),
                torch.zeros_like(loc),
            )
        return Transported(diagonal_normal(loc, log_scale, 1), maps, self.latent_shape)

    def _maps(self, given: Tensor) -> list[Map]:
        n, each = self.n, given.unflatten(1, (self.transforms, -1)).unbind(1)
        match self.kind:
            case "planar":
                return [Planar(p[:, :n], p[:, n : 2 * n], p[:, 2 * n]) for p in each]
            case "radial":
                return [Radial(p[:, :n], p[:, n], p[:, n + 1]) for p in each]
        return [Householder(p) for p in each]
