"""Maximum mean discrepancy between aggregate posterior and prior."""

from collections.abc import Sequence
from typing import Annotated, Literal, final

from annotated_types import Ge, Gt, MinLen
from torch import Tensor
from torch.distributions import Distribution

from genmod import Doc, Schedule
from genmod.plugins.divergences._beside_kl import BesideKL, WeightOfKL
from genmod.plugins.divergences._draws import check_draws, draws_of
from genmod.system import gather_batch

__all__ = ["MMD"]


@final
class MMD(BesideKL):
    """``MMD² = E[k(z, z')] + E[k(y, y')] - 2 E[k(z, y)]``, ``z, z' ~ E_x[q(z|x)]``, ``y, y' ~ p``, by a U-statistic.

    ``q (B,), p (), z (K, B, *latent_shape) → (B,)``, the same number for each example: ``kl·KL + weight·MMD²``.
    The estimate leaves out the pairs of a draw with itself, so that it is unbiased, and negative about half of
    the time where both distributions are equal. With ``d²`` the squared distance of two latents, ``D`` their
    number and ``c = 2 D scale``, which is the mean ``d²`` of two standard normal draws times ``scale``, the
    kernel is a sum over scales of ``c / (c + d²)`` (imq) or ``exp(-d²/c)`` (rbf).

    A batch of a single example has no pairs: its MMD² counts as zero. The KL, where it has a weight, is in closed form
    where one is known, else estimated from the draws.

    Reference:
        A Kernel Two-Sample Test (Gretton et al., 2012), Journal of Machine Learning Research 13;
        Wasserstein Auto-Encoders (Tolstikhin et al., 2018), arXiv:1711.01558, for kernels and scales;
        InfoVAE (Zhao et al., 2017), arXiv:1706.02262, for the two weights: 1 - α and α + λ - 1

    Raises:
        UndefinedError: the prior is learned, and its draws cannot be differentiated.

    Example:
        >>> import torch
        >>> from genmod import diagonal_normal
        >>> q, p = diagonal_normal(torch.ones(3, 2), torch.zeros(3, 2), 1), diagonal_normal(torch.zeros(2), torch.zeros(2), 1)
        >>> MMD(kernel="rbf")(q, p, q.sample((5,))).shape
        torch.Size([3])
    """

    def __init__(
        self,
        *,
        kernel: Annotated[Literal["imq", "rbf"], Doc("inverse multiquadratic, or Gaussian")] = "imq",
        scales: Annotated[
            Sequence[Annotated[float, Gt(0)]],
            MinLen(1),
            Doc("widths of the kernels that are added up, 1 for the distance of two prior draws"),
        ] = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
        weight: Annotated[
            Schedule | float, Ge(0), Doc("weight of the discrepancy, may change during training")
        ] = 1.0,
        kl: WeightOfKL = 0.0,
    ) -> None:
        super().__init__(kl)
        self.kernel = kernel
        self.scales = tuple(scales)
        self.weight = Schedule.parse(weight)

    def check(self, q: Distribution, p: Distribution) -> None:
        check_draws(q, p)

    def forward(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        y = draws_of(p, z)
        z_points, y_points = (gather_batch(t.flatten(2).transpose(0, 1)).transpose(0, 1) for t in (z, y))
        value = float(self.weight) * self.discrepancy(z_points, y_points).mean()
        return self.with_kl(value, q, p, z)

    def discrepancy(self, z: Tensor, y: Tensor) -> Tensor:
        """The U-statistic of each of ``K`` pairs of samples, ``z (K, n, D), y (K, n, D) → (K,)``."""
        n = z.shape[1]
        if n < 2:
            return z.new_zeros(z.shape[0])
        inside = sum(
            k.sum((1, 2)) - k.diagonal(dim1=1, dim2=2).sum(1) for k in (self._k(z, z), self._k(y, y))
        )
        return inside / (n * (n - 1)) - 2 * self._k(z, y).mean((1, 2))

    def _k(self, a: Tensor, b: Tensor) -> Tensor:
        """The kernel of all pairs, ``(K, n, D), (K, m, D) → (K, n, m)``."""
        squares = a.square().sum(2)[:, :, None] + b.square().sum(2)[:, None, :]
        distance = (squares - 2 * a @ b.mT).clamp(min=0)
        widths = [2 * a.shape[2] * scale for scale in self.scales]
        if self.kernel == "imq":
            kernels = [width / (width + distance) for width in widths]
        else:
            kernels = [(-distance / width).exp() for width in widths]
        total: Tensor = sum(kernels[1:], kernels[0])
        return total
