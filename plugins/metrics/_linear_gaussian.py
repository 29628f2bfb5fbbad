"""Models that are linear and Gaussian: their likelihood is a normal density."""

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from genmod import LatentVariableModel, UndefinedError
from genmod.distributions import Marginal

__all__ = ["LinearGaussian", "linear_gaussian"]

_TRIES = 8
"""Latents at which the linearity of a decoder is checked."""


@dataclass(frozen=True)
class LinearGaussian:
    """``x = A u + b + σ ε``, ``u`` and ``ε`` standard normal; of each of ``B`` examples, or of all alike (``B = 1``).

    Args:
        weight: ``A (B, D, d)`` float64.
        offset: ``b (B, D)``.
        scale: ``σ (B, D)``.

    Example:
        >>> ones = torch.ones(1, 2, dtype=torch.float64)
        >>> model = LinearGaussian(torch.zeros(1, 2, 3, dtype=torch.float64), 0 * ones, ones)
        >>> model.log_prob(torch.zeros(4, 2))[0]
        tensor(-1.8379, dtype=torch.float64)
    """

    weight: Tensor
    offset: Tensor
    scale: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        """``log N(x; b, A Aᵀ + σ²)`` of observations ``(B, *shape)``, those that are NaN left out; ``(B,)``, nats.

        ``-½ (|(x - b - A û)/σ|² + |û|² + log det(I + Aᵀ σ⁻² A) + Σ log 2πσ²)``, ``û`` the mean of the posterior: a
        sum of squares, in which nothing cancels.
        """
        x = x.flatten(1).double()
        seen = ~x.isnan()
        residual = torch.where(seen, (x - self.offset) / self.scale, 0.0)
        weight = self.weight / self.scale[:, :, None]
        if not seen.all():
            weight = torch.where(seen[:, :, None], weight, 0.0)
        d = weight.shape[-1]
        root = torch.linalg.cholesky(torch.eye(d, dtype=x.dtype, device=x.device) + weight.mT @ weight)
        mean = torch.cholesky_solve((weight.mT @ residual[:, :, None]).expand(len(x), -1, -1), root)
        left = residual - (weight @ mean)[:, :, 0]
        log_det = 2 * root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        constant = torch.where(seen, self.scale.log() * 2 + math.log(2 * math.pi), 0.0).sum(-1)
        return -0.5 * (left.square().sum(-1) + mean.square().sum((-2, -1)) + log_det + constant)


def linear_gaussian(model: LatentVariableModel, context: Tensor | None = None) -> LinearGaussian:
    """The model as a linear map with normal noise, in double precision.

    The map is found by decoding ``d + 1`` latents, and then checked at others.

    Args:
        model: any.
        context: conditions of examples, ``(B, size)``, of a conditional model.

    Raises:
        UndefinedError: some part of the model is not linear or not Gaussian; says which.
    """
    precise = copy.deepcopy(model).double().eval()
    given = precise.given(None if context is None else context.double())
    mean, scale = _normal(given.prior(), "prior")
    latent, examples = model.latent_shape, 1 if context is None else len(context)
    centre = mean.reshape(-1, math.prod(latent)).expand(examples, -1)
    spread = scale.reshape(-1, math.prod(latent)).expand(examples, -1)
    d = centre.shape[1]

    def decoded(u: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and scale at latents ``centre + spread u``, ``(n, B, D)`` each."""
        z = centre + spread * u[:, None]
        likelihood = given.decode(z.reshape(len(u), examples, *latent))
        parts = _normal(likelihood.likelihood if isinstance(likelihood, Marginal) else likelihood, "decoder")
        return tuple(part.expand(len(u), examples, *model.data.shape).flatten(2) for part in parts)  # type: ignore[return-value]

    with torch.no_grad():
        base, sigma = decoded(centre.new_zeros(1, d))
        columns, _ = decoded(torch.eye(d, dtype=centre.dtype, device=centre.device))
        weight = (columns - base).movedim(0, -1)
        # Of fixed numbers, so that whether a model is linear does not depend on the seed.
        u = (
            torch.sin(torch.arange(1.0, _TRIES * d + 1, dtype=centre.dtype, device=centre.device)).reshape(
                -1, d
            )
            * 3
        )
        found, scales = decoded(u)
        expected = base + torch.einsum("bxd,nd->nbx", weight, u)
    size = found.abs().amax() + base.abs().amax()
    if not bool((found - expected).abs().amax() <= 1e-9 * size):
        raise UndefinedError("the mean of its decoder is not linear in the latents")
    if not bool((scales - sigma).abs().amax() <= 1e-9 * sigma.abs().amax()):
        raise UndefinedError("the scale of its decoder depends on the latents")
    return LinearGaussian(weight, base[0], sigma[0])


def _normal(p: Distribution, what: str) -> tuple[Tensor, Tensor]:
    """Means and scales of independent normals, also where columns of a table have normals of their own."""
    base = p.base_dist if isinstance(p, Independent) else p
    parts = getattr(base, "parts", None)
    if not isinstance(p, Independent) or not all(
        isinstance(each, Normal) for each in (parts if isinstance(parts, tuple) else (base,))
    ):
        raise UndefinedError(f"its {what} is no product of normal distributions")
    return base.mean, base.stddev
