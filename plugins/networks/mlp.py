"""Fully connected network below a decoder."""

import math
from typing import Annotated, final

from torch import Tensor

from genmod import Activation, Doc, Network
from genmod.nn import mlp
from genmod.plugins.networks._spectral import normalise_spectrally
from genmod.plugins.networks._stages import SpectralNorm, Widths

__all__ = ["MlpNetwork"]


@final
class MlpNetwork(Network):
    """Linear layers with activations between them, to parameters of any shape.

    ``z (B, *in_shape) → parameters (B, *out_shape)``; without hidden layers it is one linear map. With
    ``spectral_norm`` no layer can enlarge a difference, as in arXiv:1903.12436.

    Reference:
        Auto-Encoding Variational Bayes (Kingma and Welling, 2013), arXiv:1312.6114

    Example:
        >>> import torch
        >>> MlpNetwork((20,), (1, 28, 28), hidden=[400])(torch.zeros(2, 20)).shape
        torch.Size([2, 1, 28, 28])
    """

    def __init__(
        self,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        *,
        hidden: Widths = (256, 512),
        activation: Annotated[Activation, Doc("function between the layers")] = "silu",
        spectral_norm: SpectralNorm = False,
    ) -> None:
        super().__init__(in_shape, out_shape)
        self.layers = mlp(
            (math.prod(in_shape), *hidden, math.prod(out_shape)), activation, end_with_activation=False
        )
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, z: Tensor) -> Tensor:
        parameters: Tensor = self.layers(z.flatten(1))
        return parameters.unflatten(1, self.out_shape)
