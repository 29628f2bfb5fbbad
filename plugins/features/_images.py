"""What features of images share: which images they accept, their values, and weights and layers of networks."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from torch import Tensor, nn

from genmod import DataInfo, Doc, FileError, UndefinedError, UsageError
from genmod.nn import initial_weights
from genmod.system import checksum

__all__ = [
    "WeightsFile",
    "check_images",
    "file_checksum",
    "from_zero_to_one",
    "given_file",
    "outputs",
    "read_weights",
    "rectified",
    "stored_weights",
    "three_colours",
]

WeightsFile = Annotated[Path | None, Doc("the weights, a .safetensors file; without it there are none")]


def check_images(
    data: DataInfo,
    who: str,
    *,
    least: int = 8,
    channels: tuple[int, ...] = (1, 3),
    hint: str = "features pixel and pca take any data",
) -> None:
    """Refuse data that are not images of the usual colours with bounded values.

    Args:
        data: shape and range of the data.
        who: what needs images, with the verb, as ``"features 'vgg' need"``.
        least: pixels on a side.
        channels: numbers of channels that will do.
        hint: what takes other data.

    Raises:
        UndefinedError: they are not, or are smaller than ``least`` pixels on a side.
    """
    if (
        not data.is_image
        or data.shape[0] not in channels
        or min(data.shape[1:]) < least
        or math.isinf(data.high - data.low)
    ):
        colours = " or ".join(map(str, channels))
        raise UndefinedError(
            f"{who} images of {colours} channels and at least {least}×{least} pixels with bounded "
            f"values; these data have the shape {data.shape} and reach from {data.low:g} to {data.high:g}",
            hint=hint,
        )


def from_zero_to_one(x: Tensor, data: DataInfo) -> Tensor:
    """Values of examples → from 0 for the smallest value to 1 for the largest."""
    return (x - data.low) / (data.high - data.low)


def three_colours(x: Tensor) -> Tensor:
    """Grey images repeated for each colour, ``(N, 1 or 3, height, width) → (N, 3, height, width)``."""
    return x.expand(-1, 3, -1, -1)


def outputs(net: nn.Module, layers: Sequence[str], x: Tensor) -> dict[str, Tensor]:
    """What some layers of a network put out for ``x``, by their names.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.ReLU())
        >>> {name: tuple(found.shape) for name, found in outputs(net, ["0", "2"], torch.zeros(3, 2, 2)).items()}
        {'0': (3, 4), '2': (3, 2)}
    """
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        return lambda _layer, _given, made: found.update({name: made})

    hooks = [net.get_submodule(name).register_forward_hook(keep(name)) for name in layers]
    try:
        net(x)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def rectified(net: nn.Module) -> list[str]:
    """Names of the rectified layers of a network."""
    return [name for name, layer in net.named_modules() if isinstance(layer, nn.ReLU)]


def stored_weights(net: nn.Module, name: str) -> None:
    """Fill a network from the file of that name beside this module."""
    from safetensors.torch import load_file

    net.load_state_dict(load_file(Path(__file__).with_name(f"{name}.safetensors")))


def given_file(path: Path | None, who: str, how: str) -> Path:
    """The file of weights that a user gave.

    Raises:
        UsageError: none was given.
    """
    if path is None:
        raise UsageError(f"features {who!r} need a file of weights, and none was given", hint=how)
    return path


def read_weights(path: Path | None, who: str, how: str) -> dict[str, Tensor]:
    """The tensors of a file that a user gives.

    Args:
        path: a ``.safetensors`` file.
        who: name of the features.
        how: lines that say where the file comes from.

    Raises:
        UsageError: none was given.
        FileError: it is missing, damaged, or of another format.
    """
    tensors = initial_weights(given_file(path, who, how))
    if tensors is None:
        raise FileError(f"{path} cannot be read here", hint=how)
    return tensors


def file_checksum(tensors: dict[str, Tensor]) -> str:
    """The first digits of the SHA-256 of weights, which tell two files apart.

    Example:
        >>> import torch
        >>> file_checksum({"a": torch.zeros(1)})
        '309fb866'
    """
    return checksum(tensors)[:8]
