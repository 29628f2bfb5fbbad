"""Features of the Inception network, for scores as they are published."""

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d

from genmod import DataInfo, Features
from genmod.plugins.encoders._backbone import fill
from genmod.plugins.features._images import (
    WeightsFile,
    check_images,
    file_checksum,
    from_zero_to_one,
    outputs,
    read_weights,
    three_colours,
)

__all__ = ["InceptionFeatures", "enlarged"]

_SIDE = 299
_LAYERS = ("Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c")
"""The last ones of each size of its maps."""

_HOW = """\
the weights that published scores are by, once, if you trust the file:
  curl -LO https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth
  python -P -c "import torch, safetensors.torch as s; \
s.save_file(torch.load('pt_inception-2015-12-05-6726825d.pth', weights_only=True), 'inception.safetensors')"
then: --metric 'fid[inception:weights=inception.safetensors]'"""


@final
class InceptionFeatures(Features):
    """The inputs of the last layer of Inception v3.

    ``x (N, 1 or 3, height, width) → (N, 2048)``

    Of two files of weights: the one by which FID is published, ``pt_inception-2015-12-05`` with 1,008 classes, whose
    network differs from torchvision's in how it pools; and ``inception_v3`` of torchvision with 1,000 classes. Images
    are brought to 256 levels and enlarged to 299×299 as TensorFlow 1 does it, from where the weights are; grey ones are
    repeated for each colour. The first digits of the checksum of the weights are part of the name.

    Raises:
        UndefinedError: the data are no grey or colour images with bounded values.
        UsageError: no file was given.
        FileError: the file is missing, damaged, of another network, or no ``.safetensors`` file.

    Reference:
        GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al., 2017),
        arXiv:1706.08500

    Example:
        >>> from genmod import UsageError
        >>> try:
        ...     InceptionFeatures(DataInfo((3, 32, 32)))
        ... except UsageError as error:
        ...     error.message
        "features 'inception' need a file of weights, and none was given"
    """

    def __init__(self, data: DataInfo, *, weights: WeightsFile = None) -> None:
        check_images(data, "features 'inception' need", least=2)
        tensors = read_weights(weights, "inception", _HOW)
        classes = len(tensors.get("fc.weight", ()))
        # Weights and counts that only training uses.
        tensors = {
            name: tensor
            for name, tensor in tensors.items()
            if not name.startswith("AuxLogits.") and not name.endswith("num_batches_tracked")
        }
        super().__init__(data)
        self.net = _network(classes)
        fill(self.net, tensors, weights, "Inception v3", _HOW)
        self.net.fc = nn.Identity()
        if classes == 1008:
            _as_in_tensorflow(self.net)
        self.version = file_checksum(tensors)

    def forward(self, x: Tensor) -> Tensor:
        levels = (255 * from_zero_to_one(x, self.data)).round().clamp(0, 255)
        # In pieces: 500 images of this size take gigabytes.
        pieces = [self.net((enlarged(three_colours(some), _SIDE) - 128) / 128) for some in levels.split(50)]
        return torch.cat(pieces)

    def layers(self, x: Tensor) -> Mapping[str, Tensor]:
        """The last layer of each size of the maps; pictures are not rounded, through which no gradient passes."""
        levels = 255 * three_colours(from_zero_to_one(x, self.data))
        return outputs(self.net, _LAYERS, (enlarged(levels, _SIDE) - 128) / 128)


def enlarged(x: Tensor, side: int) -> Tensor:
    """Bilinear interpolation as in TensorFlow 1: pixel i of the result is at ``i · height / side`` of the image.

    ``(N, channels, height, width) → (N, channels, side, side)``

    Example:
        >>> enlarged(torch.tensor([[[[0.0, 1.0]]]]), 4)[0, 0, 0]
        tensor([0.0000, 0.5000, 1.0000, 1.0000])
    """
    for dim in (2, 3):
        size = x.shape[dim]
        place = torch.arange(side, dtype=x.dtype, device=x.device) * (size / side)
        below = place.long().clamp(max=size - 1)
        share = (place - below).reshape(-1, *[1] * (3 - dim))
        low, high = (x.index_select(dim, each) for each in (below, (below + 1).clamp(max=size - 1)))
        x = low + (high - low) * share
    return x


def _network(classes: int) -> nn.Module:
    from torchvision.models.inception import Inception3

    net: nn.Module = Inception3(num_classes=max(1, classes), aux_logits=False, init_weights=False)
    # Only in evaluation mode does it return the features of a batch.
    return net.eval()


def _as_in_tensorflow(net: nn.Module) -> None:
    """Averages that leave the border out, and a maximum in the last block: how the weights of 1,008 classes are used."""
    for name in ("5b", "5c", "5d", "6b", "6c", "6d", "6e", "7b"):
        branch = net.get_submodule(f"Mixed_{name}.branch_pool")
        net.set_submodule(f"Mixed_{name}.branch_pool", nn.Sequential(_WithoutBorder(), branch))
    pool = _MaximumOfInput(net.get_submodule("Mixed_7c.branch_pool"))
    net.set_submodule("Mixed_7c.branch_pool", pool)
    net.get_submodule("Mixed_7c").register_forward_pre_hook(pool.take)


class _WithoutBorder(nn.Module):
    """Averages over 3×3 pixels with zeros around the picture → averages over the pixels that are there."""

    def forward(self, x: Tensor) -> Tensor:
        there = avg_pool2d(x.new_ones(1, 1, *x.shape[-2:]), 3, stride=1, padding=1)
        return x / there


class _MaximumOfInput(nn.Module):
    """The branch of a block that pools, applied to the maximum of the input of the block."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self._given: tuple[Tensor, ...] = ()

    def take(self, block: nn.Module, given: tuple[Tensor, ...]) -> None:
        self._given = given

    def forward(self, averages: Tensor) -> Tensor:
        (x,), self._given = self._given, ()
        made: Tensor = self.branch(max_pool2d(x, 3, stride=1, padding=1))
        return made
