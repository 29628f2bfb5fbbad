"""Pieces of networks that several encoders and networks share."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from genmod.options.classes import classes_of, find_class
from genmod.options.schema import Activation

__all__ = ["activation", "mlp"]


def activation(name: Activation) -> nn.Module:
    """The elementwise function of that name, any shape → the same shape.

    Example:
        >>> activation("relu")
        ReLU()
    """
    made: nn.Module = find_class("activation", name, classes_of(nn, nn.Module))()
    return made


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
