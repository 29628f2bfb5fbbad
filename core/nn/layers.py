"""Pieces of networks that several encoders and networks share."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from genmod.options.schema import Activation

__all__ = ["activation", "mlp"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "silu": nn.SiLU,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "leaky-relu": nn.LeakyReLU,
    "softplus": nn.Softplus,
    "identity": nn.Identity,
}


def activation(name: Activation) -> nn.Module:
    """The elementwise function of that name, any shape → the same shape.

    Example:
        >>> activation("relu")
        ReLU()
    """
    return _ACTIVATIONS[name]()


def mlp(sizes: Sequence[int], name: Activation, *, end_with_activation: bool) -> nn.Sequential:
    """Linear layers of the given sizes, ``(B, sizes[0]) → (B, sizes[-1])``, with activations between.

    Example:
        >>> len(mlp([4, 8, 2], "relu", end_with_activation=False))
        3
    """
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(pairwise(sizes)):
        layers.append(nn.Linear(a, b))
        if end_with_activation or i < len(sizes) - 2:
            layers.append(activation(name))
    return nn.Sequential(*layers)
