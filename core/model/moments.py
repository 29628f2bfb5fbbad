"""Mean and variance of what does not fit into memory."""

import torch
from torch import Tensor

__all__ = ["Moments"]


class Moments:
    """Mean and variance of each column of vectors, or of each channel of maps, from one shard after another.

    Args:
        shape: of a vector ``(columns,)``, or of a map ``(channels, height, width)``.

    Reference:
        Updating Formulae and a Pairwise Algorithm for Computing Sample Variances (Chan, Golub and LeVeque, 1979)

    Example:
        >>> moments = Moments((2,))
        >>> moments.add(torch.tensor([[0.0, 5.0], [2.0, 5.0]]))
        >>> moments.add(torch.tensor([[4.0, 5.0]]))
        >>> moments.mean.tolist(), moments.variance.tolist()
        ([2.0, 5.0], [2.6666666666666665, 0.0])
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.dims = [0, *range(2, 1 + len(shape))]
        self.count = 0
        self.mean = torch.zeros(shape[0], dtype=torch.float64)
        self.squares = torch.zeros(shape[0], dtype=torch.float64)

    def add(self, x: Tensor) -> None:
        """Take in ``x (n, *shape)``."""
        x = x.double()
        n, mean = x.numel() // x.shape[1], x.mean(self.dims)
        apart = (x - mean.reshape(-1, *[1] * (x.dim() - 2))).square().sum(self.dims)
        total = self.count + n
        self.squares = self.squares + apart + (mean - self.mean).square() * self.count * n / total
        self.mean = self.mean + (mean - self.mean) * n / total
        self.count = total

    @property
    def variance(self) -> Tensor:
        """Of each column or channel, float64."""
        return self.squares / max(1, self.count)

    @property
    def square(self) -> Tensor:
        """The mean of the squares."""
        return self.variance + self.mean.square()

    def scale(self) -> tuple[float, ...]:
        """Standard deviations; 1 of what does not vary, but for rounding."""
        deviation = self.variance.sqrt()
        varies = deviation > 1e-12 * self.mean.abs()
        return tuple(torch.where(varies & (deviation > 0), deviation, 1.0).tolist())
