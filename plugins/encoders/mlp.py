"""Fully connected encoder."""

import math
from typing import Annotated, final

from torch import Tensor

from genmod import Activation, ComponentSpec, Doc, Encoder
from genmod.nn import mlp
from genmod.plugins.networks._stages import Widths

__all__ = ["MlpEncoder"]


@final
class MlpEncoder(Encoder):
    """Linear layers with activations between them, for data of any shape.

    ``x (B, *data_shape) → features (B, hidden[-1])``; without hidden layers the features are the data,
    flattened, so that a posterior of linear maps makes a linear encoder.

    Reference:
        Auto-Encoding Variational Bayes (Kingma and Welling, 2013), arXiv:1312.6114

    Example:
        >>> import torch
        >>> MlpEncoder((1, 28, 28), hidden=[400])(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 400])
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        *,
        hidden: Widths = (512, 256),
        activation: Annotated[Activation, Doc("function between the layers")] = "silu",
        compress: Annotated[
            bool,
            Doc("take asinh of the data first, for counts of several magnitudes"),
        ] = False,
    ) -> None:
        super().__init__(data_shape)
        self.hidden = tuple(hidden)
        self.activation: Activation = activation
        self.compress = compress
        sizes = (math.prod(data_shape), *self.hidden)
        self.feature_shape = (sizes[-1],)
        self.layers = mlp(sizes, activation, end_with_activation=True)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        features: Tensor = self.layers(flat.asinh() if self.compress else flat)
        return features

    def mirror(self) -> ComponentSpec:
        return ComponentSpec("mlp", {"hidden": list(self.hidden[::-1]), "activation": self.activation})
