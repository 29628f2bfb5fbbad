"""Difference of the features of a network as a reconstruction error."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, final

import torch
from annotated_types import Ge, Gt, MinLen
from torch import Tensor
from torch.distributions import Distribution, constraints

from genmod import DataInfo, Decoder, Doc, UsageError
from genmod.plugins.encoders._backbone import Backbone, intermediate, load_weights, torchvision_model

__all__ = ["Perceptual", "PerceptualDecoder"]

_LEAST = 32
"""Shorter side, in pixels, below which the deeper layers of most networks have nothing left to see."""

_LAYERS = {
    "alexnet": ("features.1", "features.4", "features.7", "features.9", "features.11"),
    "squeezenet1_0": ("features.1", "features.5", "features.10", "features.12"),
    "squeezenet1_1": ("features.1", "features.4", "features.7", "features.12"),
    "vgg16": ("features.3", "features.8", "features.15", "features.22", "features.29"),
    "vgg19": ("features.3", "features.8", "features.17", "features.26", "features.35"),
    **dict.fromkeys(
        ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
        ("layer1", "layer2", "layer3", "layer4"),
    ),
}
"""Network → the layers compared by default: the last one of each size of its maps."""


@final
class Perceptual(Distribution):
    """The difference of images in place of a log-density.

    ``-weight · Σ_l mean (Φ_l(x) - Φ_l(picture))² / L - pixel · mean (x - picture)²``, ``Φ_l`` the maps of layer l of L

    Args:
        picture: ``(*batch, channels, height, width)``, values from 0 to 1.
        data: range of the data.
        network: images from 0 to 1 to maps by layer.
        weight: nats for each unit of the difference of features.
        pixel: nats for each unit of the squared difference of values.

    Example:
        >>> p = Perceptual(torch.zeros(3, 1, 2, 2), DataInfo((1, 2, 2)), lambda x: {"it": 2 * x}, 1.0, 0.5)
        >>> p.log_prob(torch.ones(3, 1, 2, 2))
        tensor([-4.5000, -4.5000, -4.5000])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.independent(constraints.real, 3)

    def __init__(self, picture: Tensor, data: DataInfo, network: Any, weight: float, pixel: float) -> None:
        self.picture, self.data, self.network = picture, data, network
        self.weight, self.pixel = weight, pixel
        super().__init__(picture.shape[:-3], picture.shape[-3:], validate_args=False)

    def expand(self, batch_shape: Any, _instance: object = None) -> "Perceptual":
        picture = self.picture.expand(*batch_shape, *self.event_shape)
        return Perceptual(picture, self.data, self.network, self.weight, self.pixel)

    def _maps(self, images: Tensor) -> list[Tensor]:
        """Of each layer, ``(*batch, numbers)``."""
        made = self.network(images.reshape(-1, *self.event_shape)).values()
        return [maps.flatten(1).unflatten(0, images.shape[:-3]) for maps in made]

    def log_prob(self, value: Tensor) -> Tensor:
        x = (value - self.data.low) / (self.data.high - self.data.low)
        # With one batch dimension at least, from which the maps' are taken.
        x, picture = (each if each.dim() > 3 else each[None] for each in (x, self.picture))
        pairs = list(zip(self._maps(x), self._maps(picture), strict=True))
        layers = torch.stack([(a - b).square().mean(-1) for a, b in pairs])
        total = self.weight * layers.mean(0) + self.pixel * (x - picture).square().mean((-3, -2, -1))
        return -total.reshape(torch.broadcast_shapes(value.shape[:-3], self.batch_shape))

    @property
    def mean(self) -> Tensor:
        return self.data.low + (self.data.high - self.data.low) * self.picture

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """The picture: an error has no noise to draw."""
        return self.mean.detach().expand(self._extended_shape(sample_shape))


@final
class PerceptualDecoder(Decoder):
    """How unlike two images look to a classifier of torchvision; no density, so there is no ELBO, NLL or bits/dim.

    ``log p(x|z) := -D (weight · Σ_l mean (Φ_l(x) - Φ_l(y))² / L + pixel · mean (x - y)²)``, ``y = σ(parameters)``, values
    scaled to between 0 and 1, ``D`` the number of values in an image, ``Φ_l`` the maps of layer l of L

    ``parameters (*batch, *data.shape) → batch_shape batch, event_shape data.shape``. Grey images are repeated for each
    colour. Strides of some networks pass over the last rows and columns, which ``pixel`` alone then trains. The network
    keeps its weights, and a model directory holds them, so that the file is needed once.

    Reference:
        Deep Feature Consistent Variational Autoencoder (Hou et al., 2016), arXiv:1610.00291

    Raises:
        UsageError: the data are no grey or colour images with bounded values; there is no such network or layer, or
            it cannot take images of that size.
        FileError: the file of weights is missing, damaged, of another network, or no ``.safetensors`` file.

    Example:
        >>> decoder = PerceptualDecoder(DataInfo((1, 8, 8)))
        >>> decoder(torch.zeros(1, 1, 8, 8)).log_prob(torch.full((1, 1, 8, 8), 0.5)) > -1e-6
        tensor([True])
    """

    is_density = False

    def __init__(
        self,
        data: DataInfo,
        *,
        model: Annotated[str, Doc("name of the network in torchvision.models")] = "squeezenet1_1",
        weights: Annotated[
            Path | None, Doc("its weights, a .safetensors file; by default they are drawn at random")
        ] = None,
        layers: Annotated[
            Annotated[Sequence[str], MinLen(1)] | None,
            Doc("names of the modules whose outputs are compared; by default the last one of each size"),
        ] = None,
        weight: Annotated[
            float, Ge(0), Doc("of the difference of features, for each value of an image")
        ] = 1.0,
        pixel: Annotated[float, Ge(0), Doc("of the squared difference of values, for each of them")] = 1.0,
        size: Annotated[
            Annotated[int, Gt(0)] | None,
            Doc("shorter side that images are resized to; by default their own, and at least 32"),
        ] = None,
    ) -> None:
        if not data.is_image or data.shape[0] not in (1, 3) or math.isinf(data.high - data.low):
            raise UsageError(
                f"decoder 'perceptual' compares grey and colour images with bounded values; these data have the shape "
                f"{data.shape} and reach from {data.low:g} to {data.high:g}",
                hint="choose a likelihood for such data: --decoder gaussian",
            )
        super().__init__(data)
        net = torchvision_model(model)
        whole = list(net.state_dict())
        chosen = layers or _LAYERS.get(model)
        if chosen is None:
            raise UsageError(
                f"decoder 'perceptual' does not know which layers of {model!r} to compare",
                hint=f"name them, -s decoder.layers=…, or choose one of: {', '.join(_LAYERS)}",
            )
        part = intermediate(model, net, chosen)
        if weights is not None:
            load_weights(part, weights, whole)
        shorter = min(data.shape[1:])
        scale = (size or max(shorter, _LEAST)) / shorter
        self.backbone = Backbone(
            part, (round(scale * data.shape[1]), round(scale * data.shape[2])), frozen=True
        )
        self.weight, self.pixel = weight * data.size, pixel * data.size
        self.support = constraints.independent(constraints.interval(data.low, data.high), 3)
        self.parameter_shape = data.shape

    def forward(self, parameters: Tensor) -> Perceptual:
        return Perceptual(parameters.sigmoid(), self.data, self.backbone, self.weight, self.pixel)
