"""Invertible maps with few parameters: affine, planar, radial and Householder, each inverted exactly.

All take vectors ``(*sample, *batch, n)`` and parameters ``(*batch, …)``.
"""

import math
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import softplus

from genmod.plugins.posteriors._transported import Map

__all__ = ["Affine", "Householder", "Planar", "Radial"]

_HALVINGS, _NEWTON_STEPS = 30, 3


def _above_minus_one(x: Tensor) -> Tensor:
    """``log(1 + (e - 1) eˣ) - 1``: above -1, zero at zero, nearly the identity for large x."""
    return softplus(x + math.log(math.e - 1)) - 1


@final
class Affine(Map):
    """Scales each value and shifts it.

    ``y = loc + exp(log_scale) x``

    Args:
        loc: ``(*batch, n)``.
        log_scale: the same shape.

    Example:
        >>> Affine(torch.ones(2), torch.zeros(2)).forward(torch.ones(2))
        (tensor([2., 2.]), tensor(0.))
    """

    def __init__(self, loc: Tensor, log_scale: Tensor) -> None:
        self.loc, self.log_scale = loc, log_scale

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.loc + self.log_scale.exp() * x, self.log_scale.sum(-1)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return (y - self.loc) * (-self.log_scale).exp(), self.log_scale.sum(-1)


@final
class Planar(Map):
    """Moves points along a direction, by how far they lie on one side of a plane.

    ``y = x + û tanh(wᵀx + b)``, ``û = u + (m(wᵀu) - wᵀu) w/|w|²``, ``m(a) = log(1 + (e - 1) eᵃ) - 1 > -1``, so that
    ``|det| = 1 + wᵀû (1 - tanh²) > 0``

    The inverse is one equation with one unknown, ``wᵀx``, in a bracket of known ends: it is halved, then Newton's
    steps finish it.

    Args:
        u: ``(*batch, n)``.
        w: ``(*batch, n)``.
        b: ``(*batch)``.

    Reference:
        Variational Inference with Normalizing Flows (Rezende and Mohamed, 2015), arXiv:1505.05770, appendix A.1

    Example:
        >>> planar = Planar(torch.ones(2), torch.ones(2), torch.zeros(()))
        >>> planar.inverse(planar.forward(torch.ones(2))[0])[0]
        tensor([1., 1.])
    """

    def __init__(self, u: Tensor, w: Tensor, b: Tensor) -> None:
        self.w, self.b = w, b
        along = (w * u).sum(-1, keepdim=True)
        gain = _above_minus_one(along)
        square = w.square().sum(-1, keepdim=True).clamp(min=torch.finfo(w.dtype).eps)
        self.u = u + (gain - along) * w / square
        self.gain = gain[..., 0]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        bent = ((self.w * x).sum(-1) + self.b).tanh()
        return x + self.u * bent[..., None], self._log_det(bent)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        place = (self.w * y).sum(-1)
        with torch.no_grad():
            low, high = place - self.gain.abs(), place + self.gain.abs()
            for _ in range(_HALVINGS):
                middle = (low + high) / 2
                above = middle + self.gain * (middle + self.b).tanh() > place
                low, high = torch.where(above, low, middle), torch.where(above, middle, high)
            root = (low + high) / 2
        # The last steps carry the gradient: at the root, that of the implicit function.
        for _ in range(_NEWTON_STEPS):
            bent = (root.detach() + self.b).tanh()
            excess = root.detach() + self.gain * bent - place
            root = root.detach() - excess / self._slope(bent).clamp(min=torch.finfo(y.dtype).tiny)
        bent = (root + self.b).tanh()
        return y - self.u * bent[..., None], self._log_det(bent)

    def _slope(self, bent: Tensor) -> Tensor:
        """``1 + wᵀû (1 - tanh²)``, without cancellation where ``wᵀû`` is near -1."""
        square = bent.square()
        return square + (1 + self.gain) * (1 - square)

    def _log_det(self, bent: Tensor) -> Tensor:
        return self._slope(bent).clamp(min=torch.finfo(bent.dtype).tiny).log()


@final
class Radial(Map):
    """Pulls points to a centre, or pushes them away.

    ``y = x + β/(α + r) (x - c)``, ``r = |x - c|``, ``α > 0``, ``β > -α``, so that
    ``|det| = (1 + β/(α + r))^(n-1) (1 + αβ/(α + r)²) > 0``

    The inverse is the positive root of a quadratic equation for ``r``.

    Args:
        centre: ``c``, ``(*batch, n)``.
        log_reach: ``log α``, ``(*batch)``.
        pull: ``β/α = m(pull)``, ``m`` as in :class:`Planar`, ``(*batch)``.

    Reference:
        Variational Inference with Normalizing Flows (Rezende and Mohamed, 2015), arXiv:1505.05770, appendix A.2

    Example:
        >>> radial = Radial(torch.zeros(2), torch.zeros(()), torch.ones(()))
        >>> radial.inverse(radial.forward(torch.ones(2))[0])[0]
        tensor([1., 1.])
    """

    def __init__(self, centre: Tensor, log_reach: Tensor, pull: Tensor) -> None:
        self.centre, self.reach = centre, log_reach.exp()
        self.ratio = _above_minus_one(pull)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        apart = x - self.centre
        stretch, log_det = self._stretch(_norm(apart), x.shape[-1])
        return self.centre + stretch[..., None] * apart, log_det

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        apart = y - self.centre
        far = _norm(apart)
        # r² + (α + β - far) r - α far = 0, by the form of its root that does not cancel.
        half = (self.reach * (1 + self.ratio) - far) / 2
        root = (half.square() + self.reach * far).sqrt()
        near = torch.where(half > 0, self.reach * far / (half.abs() + root), half.abs() + root)
        stretch, log_det = self._stretch(near, y.shape[-1])
        return self.centre + apart / stretch[..., None], log_det

    def _stretch(self, radius: Tensor, n: int) -> tuple[Tensor, Tensor]:
        share = self.reach / (self.reach + radius)
        rest = 1 - share
        # 1 + ratio share, and 1 + ratio share², as sums of positive parts.
        stretch = rest + (1 + self.ratio) * share
        along = rest * (1 + share) + (1 + self.ratio) * share.square()
        return stretch, (n - 1) * stretch.log() + along.log()


@final
class Householder(Map):
    """Mirrors points at a plane through the origin: the determinant is one.

    ``y = x - 2 v (vᵀx)/|v|²``

    Args:
        v: at right angles to the plane, ``(*batch, n)``.

    Reference:
        Improving Variational Auto-Encoders using Householder Flow (Tomczak and Welling, 2016), arXiv:1611.09630

    Example:
        >>> Householder(torch.tensor([1.0, 0.0])).forward(torch.tensor([2.0, 3.0]))[0]
        tensor([-2.,  3.])
    """

    def __init__(self, v: Tensor) -> None:
        self.v = v / _norm(v)[..., None]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        along = (self.v * x).sum(-1, keepdim=True)
        return x - 2 * along * self.v, torch.zeros_like(along[..., 0])

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return self.forward(y)


def _norm(x: Tensor) -> Tensor:
    """Length of vectors, ``(*batch)``; at zero the gradient is zero."""
    return (x.square().sum(-1) + torch.finfo(x.dtype).tiny).sqrt()
