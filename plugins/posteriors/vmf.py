"""Von Mises-Fisher posterior, on the unit sphere."""

from functools import cache
from typing import Any, cast, final

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Beta

from genmod.plugins.posteriors._sphere import Directions, DirectionsPosterior, around, log_area
from genmod.system import any_process

__all__ = ["VonMisesFisher", "VonMisesFisherPosterior", "mean_length"]

_WIDTHS = 40.0
_TERMS = 640


def mean_length(concentration: Tensor, d: int) -> Tensor:
    """Length of the mean, ``A_d(κ) = I_{d/2}(κ) / I_{d/2-1}(κ)``, by its continued fraction; not differentiable.

    ``A = 1/(d/κ + 1/((d + 2)/κ + …))``, begun with a bound of the ratio that is close for high orders.

    Example:
        >>> round(float(mean_length(torch.tensor(2.0, dtype=torch.float64), 3)), 4)  # coth 2 - 1/2
        0.5373
    """
    terms = _terms(concentration)
    order = d / 2 + terms
    # Ratios of Bessel functions from above and below (Amos, 1974).
    ratio = concentration / (
        order - 0.5 + torch.hypot(concentration, torch.full_like(concentration, order + 0.5))
    )
    for k in range(terms - 1, -1, -1):
        ratio = concentration / (d + 2 * k + concentration * ratio)
    return ratio


def _terms(concentration: Tensor) -> int:
    """How many terms give all digits of double precision: about ``8 + 6 √κ``, and few different numbers of them."""
    if concentration.is_meta:
        return 1
    # Looking at a number on a GPU would wait for it, and a graph has one number of terms for all values.
    if concentration.device.type != "cpu" or not concentration.numel() or torch.compiler.is_compiling():
        return _TERMS
    largest = float(concentration.detach().max().nan_to_num(torch.inf))
    return next((terms for terms in (32, 64, 128, 256) if 8 + 6 * largest**0.5 <= terms), _TERMS)


def _width(concentration: Tensor, length: Tensor, d: int) -> Tensor:
    """Standard deviation of ``w = locᵀ x``, the root of ``A'(κ)``."""
    return (1 - length.square() - (d - 1) * length / concentration).clamp(min=1e-30).sqrt()


@cache
def _legendre(count: int) -> tuple[list[float], list[float]]:
    points, weights = np.polynomial.legendre.leggauss(count)
    return points.tolist(), weights.tolist()


def _nodes(low: Tensor, high: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Points and weights between two bounds ``(*batch)``, ``(*batch, count)``."""
    points, weights = (low.new_tensor(each) for each in _legendre(count))
    half = 0.5 * (high - low)[..., None]
    return 0.5 * (high + low)[..., None] + half * points, half * weights


def _log_integral(concentration: Tensor, length: Tensor, d: int) -> Tensor:
    """``log ∫_0^π exp(κ (cos θ - 1)) sin^(d-2) θ dθ``, over the forty widths that matter."""
    reach = _WIDTHS * _width(concentration, length, d)
    ends = (length + reach).clamp(max=1), (length - reach).clamp(min=-1)
    theta, weights = _nodes(ends[0].arccos(), ends[1].arccos(), 256)
    height = -2 * concentration[..., None] * (0.5 * theta).sin().square() + (d - 2) * theta.sin().log()
    return (height + weights.log()).logsumexp(-1)


@final
class _LogIntegral(torch.autograd.Function):
    """``log ∫ exp(κ (cos θ - 1)) sin^(d-2) θ dθ``, whose derivative is ``A - 1``, and ``A``, whose is ``A'``."""

    @staticmethod
    def forward(ctx: Any, concentration: Tensor, d: int) -> tuple[Tensor, Tensor]:
        length = mean_length(concentration, d)
        ctx.save_for_backward(length, _width(concentration, length, d).square())
        return _log_integral(concentration, length, d), length

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        length, slope = ctx.saved_tensors
        return gradients[0] * (length - 1) + gradients[1] * slope, None


@final
class _Height(torch.autograd.Function):
    """Draws of ``w = locᵀ x`` with ``dw/dκ = -(∂F/∂κ) / f``, which does not depend on how they were drawn."""

    @staticmethod
    def forward(ctx: Any, concentration: Tensor, sample_shape: Any, d: int) -> Tensor:
        drawn = _draw(concentration.expand(*sample_shape, *concentration.shape), d)
        ctx.save_for_backward(concentration, drawn)
        ctx.d = d
        return drawn

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        concentration, drawn = ctx.saved_tensors
        slope = _slope(concentration, drawn, ctx.d)
        return (gradients[0] * slope).sum_to_size(concentration.shape), None, None


def _slope(concentration: Tensor, drop: Tensor, d: int) -> Tensor:
    """``d(1 - w)/dκ`` of draws ``1 - w``, by the side of ``w`` away from the mean."""
    length = mean_length(concentration, d)
    reach = _WIDTHS * _width(concentration, length, d)
    below = 1 - drop < length
    end = torch.where(below, (1 - drop - reach).clamp(min=-1), (1 - drop + reach).clamp(max=1))
    angle = 2 * (0.5 * drop).sqrt().clamp(max=1).arcsin()
    theta, weights = _nodes(angle, end.arccos(), 128)
    ends = 1 - 2 * (0.5 * theta).sin().square()
    log_ratio = concentration[..., None] * (ends - 1 + drop[..., None]) + (d - 2) * theta.sin().log()
    log_ratio = log_ratio - (d - 3) * angle.sin().log()[..., None]
    # ∂F/∂κ = ∫_{-1}^w (t - A) f dt = -∫_w^1 (t - A) f dt; the nodes run from w to either end.
    return ((ends - length[..., None]) * log_ratio.exp() * weights).sum(-1)


def _draw(concentration: Tensor, d: int) -> Tensor:
    """``1 - w``, by rejection from a transformed Beta (Simulation of the von Mises Fisher distribution, Wood, 1994)."""
    b = (d - 1) / (2 * concentration + torch.hypot(2 * concentration, torch.full_like(concentration, d - 1)))
    x0 = (1 - b) / (1 + b)
    half = concentration.new_full((), 0.5 * (d - 1))
    drop = torch.empty_like(concentration)
    left = torch.ones_like(concentration, dtype=torch.bool)
    while any_process(left.any()):
        beta = Beta(half, half, validate_args=False).sample(concentration.shape)
        # 1 - w = 2 b z / (1 - (1 - b) z), without the cancellation
        proposal = 2 * b * beta / (1 - (1 - b) * beta)
        gain = -concentration * (proposal - (1 - x0)) + (d - 1) * torch.log(
            (1 - x0 * (1 - proposal)) / (1 - x0 * x0)
        )
        accepted = left & (gain >= torch.rand_like(gain).log())
        drop = torch.where(accepted, proposal, drop)
        left = left & ~accepted
    return drop.clamp(min=torch.finfo(drop.dtype).tiny)


@final
class VonMisesFisher(Directions):
    """Directions around ``loc``, as of a normal distribution cut with the sphere.

    ``log p(x) = κ (locᵀ x - 1) - log ∫_0^π exp(κ (cos θ - 1)) sin^(d-2) θ dθ - log area_{d-1}``

    Args:
        loc: unit vectors, ``(*batch, d)``.
        concentration: ``κ > 0``, ``(*batch)``.

    Example:
        >>> p = VonMisesFisher(torch.tensor([1.0, 0.0, 0.0]), torch.tensor(2.0))
        >>> p.mean
        tensor([0.5373, 0.0000, 0.0000])
    """

    def _integrals(self) -> tuple[Tensor, Tensor]:
        """Log-integral and length of the mean, ``(*batch)`` each, in double precision."""
        return cast(tuple[Tensor, Tensor], _LogIntegral.apply(self.concentration.double(), self.d))

    def log_prob(self, value: Tensor) -> Tensor:
        constant = (self._integrals()[0] + log_area(self.d - 1)).to(self.loc.dtype)
        # For unit vectors 1 - locᵀ x = ½ |x - loc|², which does not cancel near loc.
        return -0.5 * self.concentration * (value - self.loc).square().sum(-1) - constant

    @property
    def mean(self) -> Tensor:
        return self._integrals()[1].to(self.loc.dtype)[..., None] * self.loc

    @property
    def variance(self) -> Tensor:
        concentration = self.concentration.double()
        length = self._integrals()[1]
        along = _width(concentration, length, self.d).square().to(self.loc.dtype)[..., None]
        across = (length / concentration).to(self.loc.dtype)[..., None]
        return along * self.loc.square() + across * (1 - self.loc.square())

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        drop: Tensor = _Height.apply(self.concentration.double(), torch.Size(sample_shape), self.d)  # type: ignore[no-untyped-call]
        across = (drop * (2 - drop)).clamp(min=1e-30).sqrt()
        return around(self.loc, (1 - drop).to(self.loc.dtype), across.to(self.loc.dtype))

    def entropy(self) -> Tensor:
        log_integral, length = self._integrals()
        entropy = log_integral + log_area(self.d - 1) - self.concentration.double() * (length - 1)
        return entropy.to(self.loc.dtype)


@final
class VonMisesFisherPosterior(DirectionsPosterior):
    """Von Mises-Fisher directions around one that is linear in the features, on the unit sphere.

    ``q(z|x) ∝ exp(κ(x) loc(x)ᵀ z)``, ``|z| = 1``

    ``features (B, *feature_shape) → batch_shape (B,), event_shape latent_shape``. Draws are by rejection, and their
    gradient is implicit and unbiased: differentiating the accepted proposal alone is not. Power-spherical is faster
    and much the same.

    Reference:
        Hyperspherical Variational Auto-Encoders (Davidson et al., 2018), arXiv:1804.00891;
        Implicit Reparameterization Gradients (Figurnov et al., 2018), arXiv:1805.08498

    Raises:
        UsageError: the latents are not vectors of 2 or more numbers.

    Example:
        >>> VonMisesFisherPosterior((256,), (16,))(torch.randn(2, 256)).rsample((5,)).shape
        torch.Size([5, 2, 16])
    """

    name = "vmf"
    kind = VonMisesFisher
