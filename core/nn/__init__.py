"""Layers for component authors."""

from genmod.nn.convolution import Norm, default_channels, halvings, image_shape, norm_layer
from genmod.nn.layers import activation, mlp
from genmod.nn.maps import Maps
from genmod.nn.pooled import GroupNorm, Own, Pool, PooledLayer
from genmod.nn.weights import initial_weights, weights_wanted

__all__ = [
    "GroupNorm",
    "Maps",
    "Norm",
    "Own",
    "Pool",
    "PooledLayer",
    "activation",
    "default_channels",
    "halvings",
    "image_shape",
    "initial_weights",
    "mlp",
    "norm_layer",
    "weights_wanted",
]
