"""Distances of pictures by the layers of a network, as LPIPS has them: networks, their weights and those of their layers."""

import warnings
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import torch
from torch import Tensor

from genmod import Doc, FileError, UsageError
from genmod.nn import initial_weights
from genmod.plugins.encoders._backbone import Backbone, intermediate, load_weights, torchvision_model
from genmod.system import seeded

__all__ = [
    "LinearFile",
    "Network",
    "NetworkFile",
    "backbone",
    "heads",
    "layer_distance",
    "require_files",
    "save_network",
]

_LEAST = 32
_NETWORKS = {
    "alex": (
        "alexnet",
        {"features.1": 64, "features.4": 192, "features.7": 384, "features.9": 256, "features.11": 256},
    ),
    "vgg": (
        "vgg16",
        {"features.3": 64, "features.8": 128, "features.15": 256, "features.22": 512, "features.29": 512},
    ),
}
"""Network → its name in torchvision, and the layers that are compared with the channels of each."""

_SAVE_NETWORK = """\
  python -P -c "import torchvision.models as m, safetensors.torch as s; \
s.save_file(m.{net}(weights='DEFAULT').state_dict(), '{net}.safetensors')\""""

Network = Annotated[Literal["alex", "vgg"], Doc("AlexNet, or VGG with 16 layers")]
NetworkFile = Annotated[Path | None, Doc("weights of the network, a .safetensors file of torchvision's")]
LinearFile = Annotated[
    Path | None,
    Doc("weights of the layers, a .safetensors file of LPIPS 0.1; by default those of the package lpips"),
]


def save_network(network: str) -> str:
    """The command that writes the weights of a network of torchvision into a file."""
    return _SAVE_NETWORK.format(net=_NETWORKS[network][0])


def _how(network: str, given: str) -> str:
    net = _NETWORKS[network][0]
    return f"""\
two files, once, if you trust them: the network, from torchvision,
{save_network(network)}
and the linear weights, which the package lpips has (pip install 'genmod-torch[lpips]'), or {network}.pth of weights/v0.1 of \
github.com/richzhang/PerceptualSimilarity,
  python -P -c "import torch, safetensors.torch as s; \
s.save_file(torch.load('{network}.pth', weights_only=True), 'lpips.safetensors')"
then: {given.format(file=f"{net}.safetensors")}"""


def require_files(network: str, weights: Path | None, linear: Path | None, given: str) -> Path:
    """The file of the network, if what is needed for LPIPS is there.

    Args:
        network: name of the network.
        weights: its file.
        linear: the file of the layers, where the package is not to be asked.
        given: what a user types with both, for the hint; ``{file}`` is the network's.

    Raises:
        UsageError: a file was not given, and the package is not installed either.
    """
    if weights is None or (linear is None and find_spec("lpips") is None):
        raise UsageError(
            "lpips needs two files, of the weights of a network and of its linear weights",
            hint=_how(network, given),
        )
    return weights


def backbone(network: str, weights: Path, shape: Sequence[int]) -> Backbone:
    """A network that puts out the maps of its layers, of images of a size, enlarged to 32 pixels where they are smaller.

    Args:
        network: its name.
        weights: its file.
        shape: of the images, ``(channels, height, width)``.

    Raises:
        FileError: the file is missing, damaged, or of another network.
    """
    name, layers = _NETWORKS[network]
    # Drawing the weights of its large last layers, which are left out, would take seconds.
    with torch.device("meta"):
        whole = torchvision_model(name)
        part = intermediate(name, whole, list(layers))
    part = part.to_empty(device=torch.empty(0).device)
    load_weights(part, weights, list(whole.state_dict()))
    scale = max(1.0, _LEAST / min(shape[1:]))
    return Backbone(part, (round(scale * shape[1]), round(scale * shape[2])), frozen=True)


def heads(network: str, linear: Path | None) -> list[Tensor]:
    """The weights of the channels of each layer, ``(C_l,)``, from a file or the package lpips.

    Raises:
        FileError: the file does not hold them.
    """
    tensors = initial_weights(linear) or {} if linear is not None else _of_package(network)
    expected = {f"lin{i}.model.1.weight": (1, n, 1, 1) for i, n in enumerate(_NETWORKS[network][1].values())}
    if {name: tuple(each.shape) for name, each in tensors.items()} != expected:
        raise FileError(
            f"{linear or 'the package lpips'} does not hold the linear weights of LPIPS for network {network!r}",
            hint=_how(network, "give both files again"),
        )
    return [tensors[name].flatten() for name in expected]


def _of_package(network: str) -> dict[str, Tensor]:
    import lpips

    # The package makes a network of random weights too, which is dropped, and knows an old form of torchvision's names.
    with warnings.catch_warnings(), seeded(0), torch.device("cpu"):
        warnings.simplefilter("ignore")
        made = lpips.LPIPS(net=network, pnet_rand=True, verbose=False)
    return {
        name: each.detach()
        for name, each in made.state_dict().items()
        if name.startswith("lin") and name[3] in "01234"
    }


def layer_distance(
    x: Iterable[Tensor], y: Iterable[Tensor], weights: Iterable[Tensor | float], smallest: float = 1e-10
) -> Tensor:
    """``Σ_l mean_places Σ_c w_lc (x_lc / ‖x_l‖ - y_lc / ‖y_l‖)²``, norms over the channels of a place, ``(N,)``.

    Args:
        x: maps of each layer, ``(N, C_l, *places)``.
        y: likewise.
        weights: of the channels of each layer, ``(C_l,)``, or of all.
        smallest: added to the norms.

    Example:
        >>> layer_distance([torch.tensor([[3.0, 4.0]])], [torch.tensor([[1.0, 0.0]])], [1.0])
        tensor([0.8000])
    """
    total: Tensor | float = 0.0
    for a, b, weight in zip(x, y, weights, strict=True):
        squares = (
            a / (a.norm(dim=1, keepdim=True) + smallest) - b / (b.norm(dim=1, keepdim=True) + smallest)
        ).square()
        if isinstance(weight, Tensor):
            summed = (squares * weight.to(squares).view(-1, *[1] * (squares.dim() - 2))).sum(1)
        else:
            summed = weight * squares.sum(1)
        total = total + summed.flatten(1).mean(1) if summed.dim() > 1 else total + summed
    assert isinstance(total, Tensor)
    return total
