"""How fast values move on their way from noise: networks for it, and what these are matched to."""

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor, nn

from genmod import Doc
from genmod.nn import mlp, norm_layer

__all__ = [
    "Hidden",
    "MapNetwork",
    "VectorNetwork",
    "log_density_bound",
    "mismatch",
    "network_for",
    "velocity",
]

Hidden = Annotated[
    Sequence[Annotated[int, Gt(0)]] | None,
    Doc(
        "width of each hidden layer, 128,128,128 unless given; of maps channels of each convolution, 64,64,64"
    ),
]

_NOISE = 0.01
"""Standard deviation σ of what is added to the values: without it the velocity towards values on a plane is infinite."""
_WAVES = 4


def velocity(network: nn.Module, y: Tensor, t: Tensor | float, context: Tensor | None = None) -> Tensor:
    """``v(y, t) = (t - (1 - σ) a) y / s² + network(y / s, t)``, ``a = 1 - (1 - σ) t``, ``s² = a² + t²``.

    ``y (N, d), t (N,) or a number → (N, d)``. The first term is right for values of a standard normal; the network adds
    what others need.
    """
    t = torch.as_tensor(t, dtype=y.dtype, device=y.device).expand(y.shape[0])
    a = 1 - (1 - _NOISE) * t
    variance = a.square() + t.square()
    usual = ((t - (1 - _NOISE) * a) / variance)[:, None] * y
    return usual + network(y / variance.sqrt()[:, None], t, context)  # type: ignore[no-any-return]


def mismatch(
    network: nn.Module, y: Tensor, noise: Tensor, t: Tensor, context: Tensor | None = None
) -> Tensor:
    """``(v(a ε + t y, t) - (y - (1 - σ) ε))²`` of values y, noise ε and times t: ``(N, d), (N, d), (N,) → (N, d)``.

    Its mean over all of them is least where v carries noise to the values.

    Reference:
        Flow Matching for Generative Modeling (Lipman et al., 2022), arXiv:2210.02747
    """
    between = (1 - (1 - _NOISE) * t)[:, None] * noise + t[:, None] * y
    return (velocity(network, between, t, context) - (y - (1 - _NOISE) * noise)).square()


def log_density_bound(
    network: nn.Module, y: Tensor, noise: Tensor, u: Tensor, context: Tensor | None = None
) -> Tensor:
    """An estimate of a lower bound of ``log p(y)`` from one time, which is cheap where ``log p(y)`` is not.

    ``log p(y) ≥ -∫ (t / a) E‖v(y_t, t) - (y - (1 - σ) ε)‖² dt - ½ d log(2πe σ²)``, ``y_t = a ε + t y``, p the diffusion with
    the velocity's marginals. With v that of a standard normal and what the network n adds, it is

    ``log N(y; 0, (1 + σ²) I) - ½ d σ² / (1 + σ²) - ∫ (t / a) E[‖n‖² - 2 n · (a y - t ε) / s²] dt``

    whose integral alone is estimated, at a that is e to the power of minus a uniform number. Where v is that of the
    values, this is their log-density but for σ, and so is that of the ordinary differential equation.

    Args:
        network: n.
        y: values, ``(N, d)``.
        noise: ε, standard normal, ``(N, d)``.
        u: uniform between 0 and 1, ``(N,)``.
        context: of each value, ``(N, size)``.

    Returns:
        ``(N,)``, nats.

    Reference:
        Variational Diffusion Models (Kingma et al., 2021), arXiv:2107.00630;
        Score-based Generative Modeling in Latent Space (Vahdat et al., 2021), arXiv:2106.05931, for the mixture with
        what is right for a normal
    """
    longest, wide = -math.log(_NOISE), 1 + _NOISE**2
    a = torch.exp(-longest * u)[:, None]
    t = (1 - a) / (1 - _NOISE)
    variance = a.square() + t.square()
    added = network((a * noise + t * y) / variance.sqrt(), t[:, 0], context)
    gain = (added * (2 * (a * y - t * noise) / variance - added)).sum(1)
    normal = -0.5 * (y.square() / wide + math.log(2 * math.pi * wide) + 1 - 1 / wide).sum(1)
    return normal + longest / (1 - _NOISE) * t[:, 0] * gain


def _seen(t: Tensor, context: Tensor | None) -> Tensor:
    """What a network sees of times between 0 and 1 and of contexts, ``(N,), (N, size) → (N, 9 + size)``."""
    angles = math.pi * t[:, None] * torch.arange(1, _WAVES + 1, dtype=t.dtype, device=t.device)
    waves = [t[:, None] - 0.5, angles.cos(), angles.sin()]
    return torch.cat(waves if context is None else [*waves, context], 1)


class VectorNetwork(nn.Module):
    """Linear layers with the time beside the values, ``y (N, d), t (N,), context (N, size) → (N, d)``; 0 at first.

    Args:
        size: d.
        hidden: width of each hidden layer.
        context: size of a context, 0 for none.
    """

    def __init__(self, size: int, hidden: Sequence[int], context: int = 0) -> None:
        super().__init__()
        sizes = [size + 1 + 2 * _WAVES + context, *hidden, size]
        self.layers = mlp(sizes, "silu", end_with_activation=False)
        _silence(self.layers[-1])

    def forward(self, y: Tensor, t: Tensor, context: Tensor | None = None) -> Tensor:
        return self.layers(torch.cat([y, _seen(t, context)], 1))  # type: ignore[no-any-return]


class MapNetwork(nn.Module):
    """Convolutions of 3×3 to whose channels the time adds, as :class:`VectorNetwork` of ``y (N, C·H·W)``; 0 at first.

    Args:
        shape: ``(C, H, W)``.
        hidden: channels of each convolution; where two agree, what goes in is added to what comes out.
        context: size of a context, 0 for none.
    """

    def __init__(self, shape: tuple[int, ...], hidden: Sequence[int], context: int = 0) -> None:
        super().__init__()
        self.shape = shape
        sizes = [shape[0], *hidden]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1) for a, b in zip(sizes, hidden, strict=False)
        )
        self.times = nn.ModuleList(nn.Linear(1 + 2 * _WAVES + context, n) for n in hidden)
        self.norms = nn.ModuleList(norm_layer("group", n) for n in hidden)
        self.last = nn.Conv2d(sizes[-1], shape[0], 3, padding=1)
        _silence(self.last)

    def forward(self, y: Tensor, t: Tensor, context: Tensor | None = None) -> Tensor:
        maps, seen = y.unflatten(1, self.shape), _seen(t, context)
        for convolution, time, norm in zip(self.convolutions, self.times, self.norms, strict=True):
            made = nn.functional.silu(norm(convolution(maps)) + time(seen)[:, :, None, None])
            maps = maps + made if made.shape == maps.shape else made
        return self.last(maps).flatten(1)  # type: ignore[no-any-return]


def network_for(
    shape: tuple[int, ...], hidden: Sequence[int] | None, context: int = 0
) -> VectorNetwork | MapNetwork:
    """Convolutions for maps ``(C, H, W)``, linear layers for everything else."""
    if len(shape) == 3 and min(shape[1:]) > 1:
        return MapNetwork(shape, hidden or (64, 64, 64), context)
    return VectorNetwork(math.prod(shape), hidden or (128, 128, 128), context)


def _silence(layer: nn.Module) -> None:
    """Let a layer put out nothing at first."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
