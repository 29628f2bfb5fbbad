"""Features of VGG."""

from collections.abc import Mapping
from typing import final

from torch import Tensor

from genmod import DataInfo, Features
from genmod.plugins.features._images import (
    WeightsFile,
    check_images,
    file_checksum,
    from_zero_to_one,
    given_file,
)
from genmod.plugins.features._perceptual import backbone, save_network

__all__ = ["VggFeatures"]

_HOW = f"""\
weights of torchvision's VGG with 16 layers, once, if you trust the file:
{save_network("vgg")}
then: --critic perceptual -s critic.features=vgg:weights=vgg16.safetensors"""


@final
class VggFeatures(Features):
    """The maps of the last convolution of VGG with 16 layers, averaged over the places.

    ``x (N, 1 or 3, height, width) → (N, 512)``

    Its layers, by which critic ``perceptual`` compares pictures, are the last ones of each size of its maps, as LPIPS has
    them. Images with a shorter side than 32 pixels are enlarged to that, and all are normalised as ImageNet's; grey ones are
    repeated for each colour. The first digits of the checksum of the weights are part of the name.

    Raises:
        UndefinedError: the data are no grey or colour images with bounded values.
        UsageError: no file was given.
        FileError: the file is missing, damaged, of another network, or no ``.safetensors`` file.

    Reference:
        Very Deep Convolutional Networks for Large-Scale Image Recognition (Simonyan and Zisserman, 2015), arXiv:1409.1556

    Example:
        >>> from genmod import UsageError
        >>> try:
        ...     VggFeatures(DataInfo((3, 32, 32)))
        ... except UsageError as error:
        ...     error.message
        "features 'vgg' need a file of weights, and none was given"
    """

    def __init__(self, data: DataInfo, *, weights: WeightsFile = None) -> None:
        check_images(data, "features 'vgg' need", least=2)
        super().__init__(data)
        self.net = backbone("vgg", given_file(weights, "vgg", _HOW), data.shape)
        self.version = file_checksum(self.net.net.state_dict())

    def forward(self, x: Tensor) -> Tensor:
        *_, last = self.layers(x).values()
        return last.mean((2, 3))

    def layers(self, x: Tensor) -> Mapping[str, Tensor]:
        return self.net(from_zero_to_one(x, self.data))  # type: ignore[no-any-return]
