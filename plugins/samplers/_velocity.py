"""Networks that say how fast each value moves, at each time."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genmod.nn import mlp, norm_layer

__all__ = ["MapNetwork", "VectorNetwork", "network_for"]

_WAVES = 4


def _waves(t: Tensor) -> Tensor:
    """What a network sees of a time between 0 and 1, ``(N,) → (N, 9)``."""
    angles = math.pi * t[:, None] * torch.arange(1, _WAVES + 1, dtype=t.dtype, device=t.device)
    return torch.cat([t[:, None] - 0.5, angles.cos(), angles.sin()], 1)


class VectorNetwork(nn.Module):
    """Linear layers with the time beside the values, ``y (N, d), t (N,) → (N, d)``; 0 at first.

    Args:
        size: d.
        hidden: width of each hidden layer.
    """

    def __init__(self, size: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.layers = mlp([size + 1 + 2 * _WAVES, *hidden, size], "silu", end_with_activation=False)
        _silence(self.layers[-1])

    def forward(self, y: Tensor, t: Tensor) -> Tensor:
        return self.layers(torch.cat([y, _waves(t)], 1))  # type: ignore[no-any-return]


class MapNetwork(nn.Module):
    """Convolutions of 3×3 to whose channels the time adds, ``y (N, C·H·W), t (N,) → (N, C·H·W)``; 0 at first.

    Args:
        shape: ``(C, H, W)``.
        hidden: channels of each convolution; where two agree, what goes in is added to what comes out.
    """

    def __init__(self, shape: tuple[int, ...], hidden: Sequence[int]) -> None:
        super().__init__()
        self.shape = shape
        sizes = [shape[0], *hidden]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1) for a, b in zip(sizes, hidden, strict=False)
        )
        self.times = nn.ModuleList(nn.Linear(1 + 2 * _WAVES, n) for n in hidden)
        self.norms = nn.ModuleList(norm_layer("group", n) for n in hidden)
        self.last = nn.Conv2d(sizes[-1], shape[0], 3, padding=1)
        _silence(self.last)

    def forward(self, y: Tensor, t: Tensor) -> Tensor:
        maps, waves = y.unflatten(1, self.shape), _waves(t)
        for convolution, time, norm in zip(self.convolutions, self.times, self.norms, strict=True):
            made = nn.functional.silu(norm(convolution(maps)) + time(waves)[:, :, None, None])
            maps = maps + made if made.shape == maps.shape else made
        return self.last(maps).flatten(1)  # type: ignore[no-any-return]


def network_for(shape: tuple[int, ...], hidden: Sequence[int] | None) -> VectorNetwork | MapNetwork:
    """Convolutions for maps ``(C, H, W)``, linear layers for everything else."""
    if len(shape) == 3 and min(shape[1:]) > 1:
        return MapNetwork(shape, hidden or (64, 64, 64))
    return VectorNetwork(math.prod(shape), hidden or (128, 128, 128))


def _silence(layer: nn.Module) -> None:
    """Let a layer put out nothing at first."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
