"""Codes in standard units, and the map back: the first and last step of all samplers."""

from typing import Any, final

import torch
from torch import Tensor, nn
from torch.distributions import AffineTransform, Distribution, ReshapeTransform, TransformedDistribution

__all__ = ["Standard", "scale_tril_of", "shaped", "spread"]

_RIDGE = 1e-6
_AT_ONCE = 2**26
"""Numbers that are worked on in double precision at a time."""


def spread(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each dimension, ``(N, d) → (d,), (d,)``, in double precision.

    A dimension that does not vary, as a latent that the model does not use, gets a millionth of the largest standard
    deviation.

    Example:
        >>> spread(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))[1].tolist()
        [1.0, 1e-06]
    """
    if codes.numel() <= _AT_ONCE:
        deviation, mean = torch.std_mean(codes.double(), 0, correction=0)
    else:
        pieces = codes.split(max(1, _AT_ONCE // codes.shape[1]))
        mean = torch.stack([each.double().sum(0) for each in pieces]).sum(0) / len(codes)
        squares = torch.stack([(each.double() - mean).square().sum(0) for each in pieces]).sum(0)
        deviation = (squares / len(codes)).sqrt()
    largest = deviation.max()
    return mean, deviation.clamp(min=float(largest) * 1e-6 or 1e-6)


def scale_tril_of(codes: Tensor) -> Tensor:
    """The Cholesky factor of the covariance of codes, ``(N, d) → (d, d)``, in double precision.

    A millionth of each variance is added as noise, so that codes on a plane have a density around it too.
    """
    mean, deviation = spread(codes)
    standard = (codes.double() - mean) / deviation
    correlation = standard.T @ standard / len(codes)
    # A dimension that does not vary has no correlations, and the variance that it was given.
    correlation.fill_diagonal_(1.0 + _RIDGE)
    return deviation[:, None] * torch.linalg.cholesky(correlation)


def shaped(distribution: Distribution, shape: tuple[int, ...]) -> Distribution:
    """A distribution over vectors as one over tensors, ``event_shape (d,) → shape``."""
    if len(shape) == 1:
        return distribution
    return TransformedDistribution(
        distribution, ReshapeTransform(distribution.event_shape, torch.Size(shape)), validate_args=False
    )


@final
class Standard(nn.Module):
    """Moves each dimension to mean 0 and standard deviation 1.

    ``y = (z - loc) / scale``, ``z (*batch, *shape) → y (*batch, d)``

    Args:
        shape: of one latent.

    Example:
        >>> standard = Standard((2,))
        >>> standard.fit(torch.tensor([[1.0, 0.0], [3.0, 8.0]]))
        >>> standard(torch.tensor([3.0, 0.0]))
        tensor([ 1., -1.])
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        size = torch.Size(shape).numel()
        self.register_buffer("loc", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    def fit(self, codes: Tensor) -> None:
        """Take mean and scale from codes, ``(N, *shape)``."""
        loc, scale = spread(codes.flatten(1))
        self.loc, self.scale = loc.to(codes), scale.to(codes)

    def forward(self, z: Tensor) -> Tensor:
        return (z.flatten(-len(self.shape)) - self.loc) / self.scale

    def back(self, distribution: Distribution) -> Distribution:
        """The distribution of ``z`` where ``y`` has this one, ``event_shape (d,) → shape``."""
        moved: Any = AffineTransform(self.loc, self.scale, event_dim=1)
        return shaped(TransformedDistribution(distribution, moved, validate_args=False), self.shape)
