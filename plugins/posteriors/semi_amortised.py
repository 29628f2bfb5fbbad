"""Posterior that an encoder proposes and gradient steps refine."""

import math
from typing import Annotated, final

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn
from torch.distributions import Independent, constraints

from genmod import Doc, Joint, Posterior, bounded_log_scale, diagonal_normal

__all__ = ["SemiAmortisedPosterior"]


@final
class SemiAmortisedPosterior(Posterior):
    """A diagonal normal from the encoder, after a few steps up the ELBO of each example.

    ``μ ← μ + h(η σ g)σ``, ``log σ ← log σ + ½ h(η σ g ε)``, ``g = ∇_z [log p(x, z) - log q(z)]`` at ``z = μ + σ ε``,
    ``h(u) = u / √(1 + u²)``

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``. Each step is the natural gradient of the
    ELBO, by its path through draws ε and -ε, which is free of noise where q is exact; it is bounded by one standard
    deviation. The paper steps along the plain gradient, with momentum. With ``second_order`` the encoder is
    trained through the steps, at the price of second derivatives of the decoder; without, as if the steps were constants
    that are added to what it gives.

    Reference:
        Semi-Amortized Variational Autoencoders (Kim et al., 2018), arXiv:1802.02550

    Example:
        >>> normal = SemiAmortisedPosterior((256,), (16,))(torch.zeros(2, 256), lambda z: -z.square().sum(-1))
        >>> normal.rsample((5,)).shape
        torch.Size([5, 2, 16])
    """

    wants_joint = True

    def __init__(
        self,
        feature_shape: tuple[int, ...],
        latent_shape: tuple[int, ...],
        *,
        steps: Annotated[int, Ge(0), Doc("gradient steps")] = 3,
        rate: Annotated[float, Gt(0), Le(1), Doc("size of the steps, η")] = 0.3,
        pairs: Annotated[int, Ge(1), Doc("pairs of draws, ε and -ε, for each step")] = 1,
        second_order: Annotated[bool, Doc("train the encoder through the steps")] = True,
    ) -> None:
        super().__init__(feature_shape, latent_shape)
        self.support = constraints.independent(constraints.real, len(latent_shape))
        self.steps, self.rate, self.pairs, self.second_order = steps, rate, pairs, second_order
        self.head = nn.Linear(math.prod(feature_shape), 2 * math.prod(latent_shape))

    def forward(self, features: Tensor, joint: Joint | None = None) -> Independent:
        loc, log_scale = self.head(features.flatten(1)).unflatten(1, (2, *self.latent_shape)).unbind(1)
        log_scale = bounded_log_scale(log_scale)
        if joint is not None and self.steps:
            through = self.second_order and torch.is_grad_enabled()
            found = (loc, log_scale) if through else (loc.detach(), log_scale.detach())
            begun = found
            for _ in range(self.steps):
                found = self._step(joint, *found, through=through)
            loc, log_scale = (
                at if through else start + (at - before)
                for at, start, before in zip(found, (loc, log_scale), begun, strict=True)
            )
        return diagonal_normal(loc, log_scale, len(self.latent_shape))

    def _step(self, joint: Joint, loc: Tensor, log_scale: Tensor, *, through: bool) -> tuple[Tensor, Tensor]:
        noise = torch.randn((self.pairs, *loc.shape), dtype=loc.dtype, device=loc.device)
        noise = torch.cat([noise, -noise])
        scale = log_scale.exp()
        with torch.enable_grad():
            z = loc + scale * noise
            # Without a graph behind it a draw is a leaf.
            z = z if through and z.requires_grad else z.detach().requires_grad_()
            (slope,) = torch.autograd.grad(joint(z).sum(), z, create_graph=through)
        # The gradient of -log q at a draw of its own is ε / σ.
        gain = self.rate * (scale * slope + noise)
        return loc + _bounded(gain.mean(0)) * scale, log_scale + 0.5 * _bounded((gain * noise).mean(0))


def _bounded(u: Tensor) -> Tensor:
    """The identity near 0, never beyond 1."""
    return u / torch.hypot(u, torch.ones_like(u))
