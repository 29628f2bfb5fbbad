"""Hilbert-Schmidt independence criterion between the latents."""

from typing import Annotated, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.distributions import Distribution

from genmod import Doc, Schedule
from genmod.plugins.divergences._beside_kl import BesideKL, WeightOfKL
from genmod.system import gather_batch

__all__ = ["HSIC"]


@final
class HSIC(BesideKL):
    """``Σ_{i<j} HSIC(z_i, z_j)``, the dependence of each two latents under ``E_x[q(z|x)]``, estimated without bias.

    ``q (B,), p (), z (K, B, *latent_shape) → (B,)``, the same number for each example: ``kl·KL + weight·Σ HSIC``. HSIC is
    zero if and only if the two are independent. With the kernel ``exp(-d²/(2 bandwidth²))`` of one latent between
    all pairs of the batch in a matrix K, of the other in L, both with zeros on the diagonal, the estimate is

    ``(tr KL + (1ᵀK1)(1ᵀL1)/((n-1)(n-2)) - 2/(n-2) 1ᵀKL1) / (n(n-3))``

    The KL is in closed form where one is known, else estimated from the draws. Of less than four examples, or of one
    latent alone, the dependence counts as zero.

    Reference:
        Measuring Statistical Dependence with Hilbert-Schmidt Norms (Gretton et al., 2005), doi:10.1007/11564089_7;
        Feature Selection via Dependence Maximization (Song et al., 2012), for the estimate;
        Information Constraints on Auto-Encoding Variational Bayes (Lopez et al., 2018), arXiv:1805.08672

    Example:
        >>> from genmod import diagonal_normal
        >>> q = diagonal_normal(torch.ones(4, 2), torch.zeros(4, 2), 1)
        >>> HSIC()(q, diagonal_normal(torch.zeros(2), torch.zeros(2), 1), q.sample((5,))).shape
        torch.Size([4])
    """

    def __init__(
        self,
        *,
        bandwidth: Annotated[float, Gt(0), Doc("width of the kernel, in units of the latents")] = 1.0,
        weight: Annotated[
            Schedule | float, Ge(0), Doc("weight of the dependence, may change during training")
        ] = 100.0,
        kl: WeightOfKL = 1.0,
    ) -> None:
        super().__init__(kl)
        self.bandwidth = bandwidth
        self.weight = Schedule.parse(weight)

    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        points = gather_batch(z.flatten(2).transpose(0, 1)).transpose(0, 1)
        dependence = torch.stack([self.dependence(each) for each in points]).mean()
        value = float(self.weight) * dependence
        return self.with_kl(value, q, p, z)

    def dependence(self, z: Tensor) -> Tensor:
        """``Σ_{i<j} HSIC(z_i, z_j)``, ``(n, D) → ()``."""
        n = len(z)
        if n < 4:
            return z.new_zeros(())
        kernels = ((z[:, None] - z[None]).square() * (-0.5 / self.bandwidth**2)).exp()
        kernels = kernels * (1 - torch.eye(n, dtype=z.dtype, device=z.device))[..., None]
        # The estimate is linear in each of its two matrices: all pairs at once from the sum of all.
        return (_with_itself(kernels.sum(2, keepdim=True)) - _with_itself(kernels)).sum() / 2


def _with_itself(kernels: Tensor) -> Tensor:
    """The estimate for ``K = L``, of each of ``(n, n, D)`` matrices: a common term, ``(D,)`` or ``(1,)``, summed."""
    n = len(kernels)
    rows = kernels.sum(1)
    total = rows.sum(0)
    products = kernels.square().sum((0, 1)) - 2 / (n - 2) * rows.square().sum(0)
    return ((products + total.square() / ((n - 1) * (n - 2))) / (n * (n - 3))).sum()
