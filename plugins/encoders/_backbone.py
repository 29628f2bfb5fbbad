"""Networks of torchvision with weights from a file, for encoder ``pretrained``, decoder ``perceptual`` and features."""

import difflib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Self, final

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import interpolate

from genmod import FileError, UsageError
from genmod.nn import initial_weights

__all__ = [
    "IMAGENET",
    "Backbone",
    "expected_size",
    "fill",
    "headless",
    "intermediate",
    "load_weights",
    "torchvision_model",
    "without_parameters",
]

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Means and deviations of the channels of ImageNet, by which all of these networks expect their input normalised."""

_SEVERAL_OUTPUTS = ("googlenet", "inception_v3")


def torchvision_model(name: str) -> nn.Module:
    """A classifier of torchvision, with freshly drawn weights.

    Raises:
        UsageError: there is none of that name.
    """
    models = _models()
    known = [each for each in models.list_models(module=models) if each not in _SEVERAL_OUTPUTS]
    if name not in known:
        close = difflib.get_close_matches(name, known, 1) or ["resnet18"]
        raise UsageError(
            f"torchvision has no network {name!r} whose features are known",
            hint=f"did you mean {close[0]}? There are: {', '.join(known)}",
        )
    net: nn.Module = models.get_model(name, weights=None)
    return net


def _models() -> ModuleType:
    """torchvision's networks, imported when they are asked for."""
    # It imports torch's compiler, which torch below 2.7 cannot do on the device without values.
    with torch.device("cpu"):
        from torchvision import models
    return models


def expected_size(name: str, net: nn.Module) -> int:
    """Height and width of the images that the network was made for."""
    models = _models()
    own = getattr(net, "image_size", None)
    if isinstance(own, int):
        return own
    try:
        transforms = models.get_model_weights(name)["DEFAULT"].transforms
    except (KeyError, ValueError):
        return 224
    return int(transforms.keywords["crop_size"])


def headless(name: str, net: nn.Module) -> int:
    """Take the last linear layer, which scores the classes, out of a classifier; the number of its inputs.

    Raises:
        UsageError: there is none.
    """
    linear = [(path, module) for path, module in net.named_modules() if isinstance(module, nn.Linear)]
    path, head = linear[-1] if linear else ("", None)
    if head is None or head.out_features != 1000:
        raise UsageError(
            f"network {name!r} does not end in a linear layer, so that its features are not known",
            hint="choose another, such as resnet18",
        )
    parent, _, attribute = path.rpartition(".")
    setattr(net.get_submodule(parent), attribute, nn.Identity())
    return head.in_features


def intermediate(name: str, net: nn.Module, layers: Sequence[str]) -> nn.Module:
    """The part of a network that computes the outputs of these layers, ``x → {layer: maps}``.

    Raises:
        UsageError: the network has no such layer.
    """
    from torchvision.models.feature_extraction import create_feature_extractor

    known = [path for path, _ in net.named_modules() if path]
    unknown = [layer for layer in layers if layer not in known]
    if unknown:
        raise UsageError(
            f"network {name!r} has no layer {unknown[0]!r}",
            hint=f"it has: {', '.join(path for path in known if path.count('.') < 2)}",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of layers that only training has
        part: nn.Module = create_feature_extractor(net, list(layers))
    return part


def load_weights(net: nn.Module, path: Path, whole: Sequence[str]) -> None:
    """Fill a part of a network from a file of the whole network's weights.

    Args:
        net: the part, changed in place.
        path: a ``.safetensors`` file.
        whole: names of all weights of the whole network; those that the part lacks are left out.

    Raises:
        FileError: the file is missing, damaged, of another format or of another network.
    """
    tensors = initial_weights(path)
    if tensors is not None:
        left_out = set(whole) - set(net.state_dict())
        fitting = {name: tensor for name, tensor in tensors.items() if name not in left_out}
        fill(net, fitting, path, "this network", "name the network it is of")


def fill(net: nn.Module, tensors: Mapping[str, Tensor], path: Path | None, whose: str, how: str) -> None:
    """Put the tensors of a user's file into a network; counts of batches, which only training uses, may be missing.

    Args:
        net: takes them.
        tensors: by name, as in its ``state_dict``.
        path: of the file, for the message.
        whose: what the network is called in the message.
        how: the hint, such as where the file comes from.

    Raises:
        FileError: names or shapes are not those of the network; names the first that is not.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            wrong = "" if name.endswith("num_batches_tracked") else f"it lacks {name}"
        elif name not in expected:
            wrong = f"it has unknown {name}"
        else:
            found, wanted = tuple(tensors[name].shape), expected[name]
            wrong = f"{name} has the shape {found}, expected {wanted}" if found != wanted else ""
        if wrong:
            raise FileError(f"{path} does not belong to {whose}: {wrong}", hint=how)
    net.load_state_dict(dict(tensors), strict=False)


def without_parameters(net: nn.Module) -> nn.Module:
    """The network with buffers in place of parameters, which no optimizer, decay or penalty changes.

    Example:
        >>> len(list(without_parameters(nn.Linear(2, 3)).parameters()))
        0
    """
    for module in net.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach())
    return net


@final
class Backbone(nn.Module):
    """A network of torchvision that takes pictures of any size, and is always in evaluation mode.

    ``pictures (B, 1 or 3, height, width), values from 0 to 1 → outputs of the network``. Grey pictures are repeated
    for each colour; all are resized to ``size`` and normalised as ImageNet's.

    Args:
        net: the network.
        size: height and width of its input.
        frozen: whether its weights are kept as they are.

    Raises:
        UsageError: the network cannot take pictures of that size.

    Example:
        >>> Backbone(nn.Flatten(), (4, 4), frozen=True)(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 48])
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, net: nn.Module, size: tuple[int, int], *, frozen: bool) -> None:
        super().__init__()
        self.net = without_parameters(net) if frozen else net
        self.size = size
        for name, values in zip(("mean", "deviation"), IMAGENET, strict=True):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        self.eval()
        self._try()

    def _try(self) -> None:
        """Run a picture through the network without values."""
        state = {
            name: torch.empty_like(tensor, device="meta")
            for name, tensor in [*self.net.named_parameters(), *self.net.named_buffers()]
        }
        picture = torch.empty(1, 3, *self.size, device="meta", dtype=self.mean.dtype)
        try:
            with torch.no_grad():
                functional_call(self.net, state, (picture,))
        except Exception as error:
            raise UsageError(
                f"the network cannot take pictures of {self.size[0]}×{self.size[1]}: {str(error)[:200]}",
                hint="leave the size out, or choose a larger one",
            ) from error

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: the statistics of the batches that it was trained on are part of the network."""
        return super().train(False)

    def forward(self, pictures: Tensor) -> Tensor:
        if tuple(pictures.shape[-2:]) != self.size:
            pictures = interpolate(pictures, size=self.size, mode="bilinear", antialias=True)
        made: Tensor = self.net((pictures.expand(-1, 3, -1, -1) - self.mean) / self.deviation)
        return made
