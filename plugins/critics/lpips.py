"""The perceptual distance of reconstructions, as people judged it, in the loss."""

from typing import final

from torch import Tensor, nn

from genmod import DataInfo
from genmod.plugins.critics._distance import ByLayers, Distance, Weight
from genmod.plugins.features._images import check_images, from_zero_to_one
from genmod.plugins.features._perceptual import (
    LinearFile,
    Network,
    NetworkFile,
    backbone,
    heads,
    require_files,
)

__all__ = ["LpipsCritic"]


@final
class LpipsCritic(Distance):
    """Adds LPIPS, a distance of pictures weighted as people judged, to the model's loss; it learns nothing.

    ``lpips = Σ_l mean_p w_l · (Φ_lp(x) - Φ_lp(x̃))²``, ``x̃ = E[x|z]``, ``z ~ q(z|x)``, ``Φ_lp`` what layer l puts out at
    place p, of length 1 over the channels: what metric ``lpips`` measures.

    ``x (B, *data.shape), x̃ (K, B, *data.shape) → (B,)``, without a unit. The model's loss has ``weight · D`` times that, D
    the number of values of an example. The network is torchvision's, from a file; its linear weights are those of the
    package lpips where no file of them is given. Neither is saved with the model, but the checksum is.

    Reference:
        The Unreasonable Effectiveness of Deep Features as a Perceptual Metric (Zhang et al., 2018), arXiv:1801.03924

    Raises:
        UsageError: a file was not given.
        UndefinedError: the data are no grey or colour images with bounded values.
        FileError: a file is missing, damaged, or of another network.

    Example:
        >>> from genmod import UsageError
        >>> try:
        ...     LpipsCritic(DataInfo((3, 32, 32)), (2,))
        ... except UsageError as error:
        ...     error.message
        'lpips needs two files, of the weights of a network and of its linear weights'
    """

    name = "lpips"

    def __init__(
        self,
        data: DataInfo,
        latent_shape: tuple[int, ...],
        *,
        network: Network = "vgg",
        weights: NetworkFile = None,
        linear: LinearFile = None,
        weight: Weight = 1.0,
    ) -> None:
        other = "critic perceptual compares any data: --critic perceptual -s critic.features=pixel"
        check_images(data, "critic 'lpips' needs", least=2, hint=other)
        super().__init__(data, latent_shape, weight)
        given = "--critic lpips -s critic.weights={file} -s critic.linear=lpips.safetensors"
        self.weights = require_files(network, weights, linear, given)
        self.kind, self.linear = network, linear
        self.begin()

    def make(self) -> nn.Module:
        net = _Scaled(backbone(self.kind, self.weights, self.data.shape), self.data)
        return ByLayers(net, heads(self.kind, self.linear))


class _Scaled(nn.Module):
    """A network of images from 0 to 1, given examples in the units of the data."""

    def __init__(self, net: nn.Module, data: DataInfo) -> None:
        super().__init__()
        self.net, self.data = net, data

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return dict(self.net(from_zero_to_one(x, self.data)))
