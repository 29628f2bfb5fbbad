"""Sampler that is a kernel density estimate."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, final

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.distributions import Distribution, constraints

from genmod import Doc, Sampler
from genmod.plugins.samplers._standard import scale_tril_of, shaped
from genmod.system import seed_for

__all__ = ["KdeSampler", "KernelDensity"]

_DISTANCES = 2**24
"""Number of distances that are held at a time."""
_LEFT_OUT = 1000
"""Number of codes that are left out, one at a time, to choose the bandwidth."""


@final
class KernelDensity(Distribution):
    """Normals of one covariance around points, all alike.

    ``p(z) = 1/N Σ_i N(z; point_i, L Lᵀ)``

    Args:
        points: ``(N, d)``.
        scale_tril: the Cholesky factor ``L (d, d)``.

    Example:
        >>> KernelDensity(torch.zeros(3, 2), torch.eye(2)).log_prob(torch.zeros(2))
        tensor(-1.8379)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real_vector

    def __init__(self, points: Tensor, scale_tril: Tensor) -> None:
        self.points, self.scale_tril = points, scale_tril
        super().__init__(torch.Size(), points.shape[1:], validate_args=False)

    def expand(self, batch_shape: Any, _instance: object = None) -> "KernelDensity":
        other = KernelDensity(self.points, self.scale_tril)
        other._batch_shape = torch.Size(batch_shape)
        return other

    @property
    def mean(self) -> Tensor:
        return self.points.mean(0).expand(self._extended_shape())

    @property
    def variance(self) -> Tensor:
        own = self.points.var(0, correction=0) + self.scale_tril.square().sum(-1)
        return own.expand(self._extended_shape())

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        chosen = torch.randint(len(self.points), shape[:-1], device=self.points.device)
        noise = torch.randn(shape, dtype=self.points.dtype, device=self.points.device)
        return self.points[chosen] + noise @ self.scale_tril.T

    def log_prob(self, value: Tensor) -> Tensor:
        flat = value.reshape(-1, value.shape[-1])
        # Around the middle of the points, where differences lose no digits.
        middle = self.points.mean(0)
        points, rows = (
            torch.linalg.solve_triangular(self.scale_tril, (each - middle).T, upper=False).T
            for each in (self.points, flat)
        )
        size = max(1, _DISTANCES // len(points))
        parts = [_log_kernels(part, points).logsumexp(1) for part in rows.split(size)]
        constant = 0.5 * len(self.scale_tril) * torch.log(2 * torch.pi * points.new_ones(()))
        constant = constant + self.scale_tril.diagonal().log().sum() + points.new_tensor(len(points)).log()
        found = (torch.cat(parts) - constant).reshape(value.shape[:-1])
        return found.expand(torch.broadcast_shapes(found.shape, self._batch_shape))


def _log_kernels(rows: Tensor, points: Tensor) -> Tensor:
    """``-½ |row - point|²``, ``(B, d), (N, d) → (B, N)``; never by squares of norms, which lose digits."""
    distances = torch.cdist(rows, points, compute_mode="donot_use_mm_for_euclid_dist")
    return -0.5 * distances.square()


@final
class KdeSampler(Sampler):
    """A normal around each code, with the covariance of all codes scaled down by the bandwidth.

    ``p(z) = 1/N Σ_i N(z; z_i, h² Σ)``, ``batch_shape ()``, ``event_shape latent_shape``

    With ``scott``, ``h = N^(-1/(d+4))``, with ``silverman``, ``h = (N (d+2)/4)^(-1/(d+4))``, as in SciPy; with
    ``likelihood``, the h under which codes that are left out one by one are most likely. A small h draws near copies
    of the codes.

    Reference:
        On Estimation of a Probability Density Function and Mode (Parzen, 1962), doi:10.1214/aoms/1177704472

    Example:
        >>> sampler = KdeSampler((1,), bandwidth="scott")
        >>> sampler.fit(torch.linspace(-1.0, 1.0, 100)[:, None])
        >>> sampler().sample((5,)).shape
        torch.Size([5, 1])
    """

    points: Tensor
    scale_tril: Tensor

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        *,
        bandwidth: Annotated[
            Annotated[float, Gt(0)] | Literal["likelihood", "scott", "silverman"],
            Doc("width of each normal relative to all codes: a number, or how it is chosen"),
        ] = "likelihood",
        points: Annotated[int, Ge(1), Doc("most codes to keep; a random part of more than these")] = 20_000,
    ) -> None:
        super().__init__(latent_shape)
        size = torch.Size(latent_shape).numel()
        self.bandwidth = bandwidth
        self.most = points
        self.register_buffer("points", torch.zeros(1, size))
        self.register_buffer("scale_tril", torch.eye(size))

    def reserve(self, count: int) -> None:
        self.points = self.points.new_zeros(min(count, self.most), self.points.shape[1])

    def fit(self, codes: Tensor, *, seed: int = 0, on_step: Callable[[int, int], None] | None = None) -> None:
        flat = codes.detach().flatten(1)
        fixed = torch.Generator().manual_seed(seed_for(seed, "kde"))
        order = torch.randperm(len(flat), generator=fixed).to(flat.device)[: self.most]
        self.points = flat[order].clone()
        covariance = scale_tril_of(flat)
        count, size = self.points.shape
        match self.bandwidth:
            case "scott":
                width = count ** (-1 / (size + 4))
            case "silverman":
                width = (count * (size + 2) / 4) ** (-1 / (size + 4))
            case "likelihood":
                width = _most_likely(self.points.double(), covariance)
            case number:
                width = float(number)
        self.scale_tril = (width * covariance).to(codes).contiguous()

    def forward(self) -> Distribution:
        return shaped(KernelDensity(self.points, self.scale_tril), self.latent_shape)


def _most_likely(points: Tensor, scale_tril: Tensor) -> float:
    """The bandwidth among 40 from 0.01 to 2 under which points left out one by one are most likely."""
    if len(points) == 1:
        return 1.0
    centred = (points - points.mean(0)).T
    whitened = torch.linalg.solve_triangular(scale_tril, centred, upper=False).T
    widths = torch.logspace(-2, 0.301, 40, dtype=points.dtype, device=points.device)
    total = torch.zeros_like(widths)
    some = whitened[:_LEFT_OUT]
    for start in range(0, len(some), size := max(1, _DISTANCES // len(points))):
        kernels = _log_kernels(some[start : start + size], whitened)
        kernels[torch.arange(len(kernels)), torch.arange(start, start + len(kernels))] = -torch.inf
        for i, width in enumerate(widths):
            total[i] += (kernels / width.square()).logsumexp(1).sum()
    return float(widths[(total - len(some) * points.shape[1] * widths.log()).argmax()])
