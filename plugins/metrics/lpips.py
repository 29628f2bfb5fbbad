"""Perceptual distance of reconstructions, by a network and weights from files."""

from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor

from genmod import Metric, Row, Subject, Undefined, UndefinedError, mean_row
from genmod.plugins.features._images import file_checksum
from genmod.plugins.features._perceptual import (
    LinearFile,
    Network,
    NetworkFile,
    backbone,
    heads,
    layer_distance,
    require_files,
)
from genmod.plugins.metrics._bounded_range import bounded_range

__all__ = ["Lpips"]


@final
class Lpips(Metric):
    """The perceptual distance of reconstructions: that of the features of a network, weighted as people judged.

    ``Σ_l mean_{h,w} w_l · (Φ_l(x) - Φ_l(x'))²``, ``Φ_l`` the maps of layer l, of length 1 over the channels

    The weights of the network are from a file, the linear ones from another or from the package lpips; the first digits of
    their checksum are part of the name. Images with a shorter side than 32 pixels are enlarged to that; grey ones are
    repeated for each colour.

    Reference:
        The Unreasonable Effectiveness of Deep Features as a Perceptual Metric (Zhang et al., 2018), arXiv:1801.03924

    Raises:
        UsageError: the file of the network was not given, or that of the linear weights where the package is not installed.

    Example:
        >>> from genmod import UsageError
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
        network: Network = "alex",
        weights: NetworkFile = None,
        linear: LinearFile = None,
    ) -> None:
        given = "--metric lpips -s lpips.weights={file} -s lpips.linear=lpips.safetensors"
        self.weights = require_files(network, weights, linear, given)
        self.network = network
        self.linear = linear

    def measure(self, subject: Subject) -> Iterator[Row | Undefined]:
        data, model = subject.model.data, subject.model
        if not data.is_image or data.shape[0] not in (1, 3):
            raise UndefinedError(
                f"lpips needs grey and colour images, and an example has the shape {data.shape}"
            )
        width = bounded_range(subject, "lpips")
        net = backbone(self.network, self.weights, data.shape).to(model.device)
        linear = heads(self.network, self.linear)

        def distance(*pair: Tensor) -> Tensor:
            x, y = ((each.float() - data.low) / width for each in pair)
            parts: list[Tensor] = []
            # In pieces: the maps of 500 images take gigabytes.
            for some in torch.arange(len(x), device=x.device).split(50):
                of_x, of_y = (net(images[some]).values() for images in (x, y))
                parts.append(layer_distance(of_x, of_y, linear).cpu())
            return torch.cat(parts)

        parts = subject.over_reconstructions(distance)
        known = {**net.net.state_dict(), **{f"linear.{i}": each for i, each in enumerate(linear)}}
        label = f"lpips[{self.network}-{file_checksum(known)}]"
        definition = "perceptual distance of reconstructions and observations, mean over the examples"
        details = {"size": f"{net.size[0]}×{net.size[1]}"}
        yield mean_row(label, torch.cat(parts), "", definition, "lower", details)
