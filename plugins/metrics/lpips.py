"""Perceptual distance of reconstructions, by a network and weights from files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, final

import torch
from torch import Tensor

from genmod import Doc, FileError, Metric, Row, Subject, Undefined, UndefinedError, UsageError, mean_row
from genmod.nn import initial_weights
from genmod.plugins.encoders._backbone import Backbone, intermediate, load_weights, torchvision_model
from genmod.plugins.features._images import file_checksum
from genmod.plugins.metrics._reconstruction import bounded_range, reconstructions

__all__ = ["Lpips", "perceptual_distance"]

_LEAST = 32
_NETWORKS = {
    "alex": ("alexnet", ("features.1", "features.4", "features.7", "features.9", "features.11")),
    "vgg": ("vgg16", ("features.3", "features.8", "features.15", "features.22", "features.29")),
}
_HOW = """\
two files, once, if you trust them: the network, from torchvision,
  python -P -c "import torchvision.models as m, safetensors.torch as s; \
s.save_file(m.alexnet(weights='DEFAULT').state_dict(), 'alexnet.safetensors')"
and the linear weights, weights/v0.1/alex.pth of github.com/richzhang/PerceptualSimilarity,
  python -P -c "import torch, safetensors.torch as s; \
s.save_file(torch.load('alex.pth', weights_only=True), 'lpips.safetensors')"
then: --metric lpips -s lpips.weights=alexnet.safetensors -s lpips.linear=lpips.safetensors"""


@final
class Lpips(Metric):
    """The perceptual distance of reconstructions: that of the features of a network, weighted as people judged.

    ``Σ_l mean_{h,w} w_l · (Φ_l(x) - Φ_l(x'))²``, ``Φ_l`` the maps of layer l, of length 1 over the channels

    Both files are needed, of the network and of the linear weights; the first digits of their checksum are part of the
    name. Images with a shorter side than 32 pixels are enlarged to that; grey ones are repeated for each colour.

    Reference:
        The Unreasonable Effectiveness of Deep Features as a Perceptual Metric (Zhang et al., 2018), arXiv:1801.03924

    Raises:
        UsageError: one of the files was not given.

    Example:
        >>> try:
        ...     Lpips()
        ... except UsageError as error:
        ...     error.message
        'lpips needs two files, of the weights of a network and of its linear weights'
    """

    main = "network"

    def __init__(
        self,
        *,
        network: Annotated[Literal["alex", "vgg"], Doc("AlexNet, or VGG with 16 layers")] = "alex",
        weights: Annotated[
            Path | None, Doc("weights of the network, a .safetensors file of torchvision's")
        ] = None,
        linear: Annotated[Path | None, Doc("weights of the layers, a .safetensors file of LPIPS 0.1")] = None,
    ) -> None:
        if weights is None or linear is None:
            raise UsageError(
                "lpips needs two files, of the weights of a network and of its linear weights", hint=_HOW
            )
        self.network = network
        self.weights = weights
        self.linear = linear

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        data, model = subject.model.data, subject.model
        if not data.is_image or data.shape[0] not in (1, 3):
            raise UndefinedError(
                f"lpips needs grey and colour images, and an example has the shape {data.shape}"
            )
        width = bounded_range(subject, "lpips")
        name, layers = _NETWORKS[self.network]
        whole = torchvision_model(name)
        part = intermediate(name, whole, layers)
        load_weights(part, self.weights, list(whole.state_dict()))
        scale = max(1.0, _LEAST / min(data.shape[1:]))
        size = (round(scale * data.shape[1]), round(scale * data.shape[2]))
        net = Backbone(part, size, frozen=True).to(model.device)
        linear = _linear(self.linear, len(layers))
        weights = [each.to(model.device) for each in linear]
        parts = [
            perceptual_distance(
                net, (x.float() - data.low) / width, (y.float() - data.low) / width, weights
            ).cpu()
            for x, y in reconstructions(subject)
        ]
        known = {**part.state_dict(), **{f"linear.{i}": each for i, each in enumerate(linear)}}
        label = f"lpips[{self.network}-{file_checksum(known)}]"
        definition = "perceptual distance of reconstructions and observations, mean over the examples"
        yield mean_row(label, torch.cat(parts), "", definition, "lower", {"size": f"{size[0]}×{size[1]}"})


def perceptual_distance(net: torch.nn.Module, x: Tensor, y: Tensor, weights: list[Tensor]) -> Tensor:
    """The distance of images, ``(N, channels, height, width)`` with values from 0 to 1, → ``(N,)``.

    Args:
        net: images → maps by layer, ``(N, C_l, h, w)``.
        x: images.
        y: images.
        weights: of the channels of each layer, ``(C_l,)``.

    Example:
        >>> x = torch.rand(2, 3, 4, 4)
        >>> perceptual_distance(lambda images: {"one": images}, x, x, [torch.ones(3)])
        tensor([0., 0.])
    """
    total = x.new_zeros(len(x))
    for some in torch.arange(len(x), device=x.device).split(50):
        pairs = zip(net(x[some]).values(), net(y[some]).values(), weights, strict=True)
        for a, b, weight in pairs:
            squares = (_of_length_one(a) - _of_length_one(b)).square()
            total[some] += (squares * weight[:, None, None]).sum(1).mean((1, 2))
    return total


def _of_length_one(maps: Tensor) -> Tensor:
    return maps / (maps.norm(dim=1, keepdim=True) + 1e-10)


def _linear(path: Path, layers: int) -> list[Tensor]:
    """Weights of the channels of each layer, from a file with ``lin0.model.1.weight`` and so on."""
    tensors = initial_weights(path) or {}
    found = [tensors.get(f"lin{i}.model.1.weight") for i in range(layers)]
    if len(tensors) != layers or any(each is None for each in found):
        raise FileError(f"{path} does not hold the linear weights of LPIPS for this network", hint=_HOW)
    return [each.flatten() for each in found if each is not None]
