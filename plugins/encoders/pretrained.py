"""Encoder that is a network of torchvision, with weights from a file."""

from pathlib import Path
from typing import Annotated, final

from annotated_types import Gt
from torch import Tensor

from genmod import ComponentSpec, Doc, Encoder, UsageError
from genmod.nn import image_shape
from genmod.plugins.encoders._backbone import (
    Backbone,
    expected_size,
    headless,
    load_weights,
    torchvision_model,
)

__all__ = ["PretrainedEncoder"]


@final
class PretrainedEncoder(Encoder):
    """The inputs of the last layer of a classifier of torchvision, for grey or colour images with values from 0 to 1.

    ``x (B, 1 or 3, height, width) → features (B, features of the network)``. Images are resized to what the network
    expects and normalised as ImageNet's, grey ones are repeated for each colour. The network stays in evaluation
    mode, also where it is trained on. A model directory holds its weights, so that the file is needed once.

    Reference:
        How transferable are features in deep neural networks? (Yosinski et al., 2014), arXiv:1411.1792

    Raises:
        UsageError: the data are no grey or colour images of at least 8×8; there is no such network, or it cannot
            take images of that size.
        FileError: the file of weights is missing, damaged, of another network, or no ``.safetensors`` file.

    Example:
        >>> import torch
        >>> PretrainedEncoder((1, 28, 28))(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 1024])
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        *,
        model: Annotated[str, Doc("name of the network in torchvision.models")] = "mobilenet_v3_small",
        weights: Annotated[
            Path | None, Doc("its weights, a .safetensors file; by default they are drawn at random")
        ] = None,
        frozen: Annotated[bool, Doc("keep its weights as they are")] = True,
        size: Annotated[
            Annotated[int, Gt(0)] | None,
            Doc("height and width that images are resized to; by default what the network was made for"),
        ] = None,
    ) -> None:
        super().__init__(data_shape)
        channels, _, _ = image_shape(data_shape, "encoder pretrained")
        if channels not in (1, 3):
            raise UsageError(
                f"encoder pretrained works on grey and colour images; these have {channels} channels",
                hint="use an encoder that is trained from scratch: --encoder resnet",
            )
        net = torchvision_model(model)
        whole = list(net.state_dict())
        self.feature_shape = (headless(model, net),)
        if weights is not None:
            load_weights(net, weights, whole)
        side = size or expected_size(model, net)
        self.backbone = Backbone(net, (side, side), frozen=frozen)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.backbone(x.flatten(1, -3))
        return features

    def mirror(self) -> ComponentSpec:
        return ComponentSpec("conv")
