"""A convolutional network with random weights as features."""

from collections.abc import Mapping
from typing import final

from torch import Tensor, nn

from genmod import DataInfo, Features
from genmod.plugins.features._images import (
    check_images,
    from_zero_to_one,
    outputs,
    rectified,
    stored_weights,
    three_colours,
)

__all__ = ["RandconvFeatures", "random_network"]


def random_network() -> nn.Sequential:
    """Three strided convolutions: ``(N, 3, height, width) → (N, 64, height / 8, width / 8)``.

    Example:
        >>> import torch
        >>> random_network()(torch.zeros(1, 3, 8, 8)).shape
        torch.Size([1, 64, 1, 1])
    """
    layers: list[nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.ReLU()]
    return nn.Sequential(*layers)


@final
class RandconvFeatures(Features):
    """The outputs of a convolutional network with random orthogonal weights, averaged over the places.

    ``x (N, 1 or 3, height, width) → (N, 64)``

    Nothing is learnt, so no kind of images is preferred. The weights are stored, so that they are the same with every
    version of torch; grey images are repeated for each colour.

    Raises:
        UndefinedError: the data are no grey or colour images with bounded values, or smaller than 8×8.

    Reference:
        Reliable Fidelity and Diversity Metrics for Generative Models (Naeem et al., 2020), arXiv:2002.09797

    Example:
        >>> import torch
        >>> RandconvFeatures(DataInfo((1, 28, 28)))(torch.zeros(3, 1, 28, 28)).shape
        torch.Size([3, 64])
    """

    version = "v1"

    def __init__(self, data: DataInfo) -> None:
        check_images(data, "features 'randconv' need")
        super().__init__(data)
        self.net = random_network()
        stored_weights(self.net, "randconv")

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.net(self._scaled(x))
        return made.mean((2, 3))

    def layers(self, x: Tensor) -> Mapping[str, Tensor]:
        return outputs(self.net, rectified(self.net), self._scaled(x))

    def _scaled(self, x: Tensor) -> Tensor:
        return three_colours(2 * from_zero_to_one(x, self.data) - 1)
