"""Weights of diffusers' autoencoders from those of genmod's models, and the other way."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genmod import DataInfo, FileError, LatentVariableModel, UsageError
from genmod.plugins.formats._layout import Layout
from genmod.system import read_float_tensors, shapes_in

__all__ = ["folded", "taken"]

_OLDER = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""What layers of attention were called before diffusers 0.12."""
_PARTS = ("encoder.", "posterior.", "network.")


@torch.no_grad()
def folded(model: LatentVariableModel, layout: Layout) -> dict[str, Tensor]:
    """The weights of a model under the keys of diffusers, for values from -1 to 1, in single precision.

    Layers that are linear one after the other are one there where diffusers has no place for both.
    """
    own = {
        name: t.detach().cpu().double()
        for name, t in model.state_dict().items()
        if name.startswith(_PARTS) and t.is_floating_point()
    }
    head = {weight: own[f"posterior.places.head.{weight}"] for weight in ("weight", "bias")}
    if getattr(model.posterior, "scale", "") == "bounded":
        # There it is the logarithm of the variance.
        head = {weight: torch.cat([t[: layout.length], 2 * t[layout.length :]]) for weight, t in head.items()}
    own |= {f"posterior.places.head.{weight}": t for weight, t in head.items()}
    features = own["encoder.conv_out.bias"].numel()
    wanted = layout.features
    if features != wanted or not layout.quant:
        before = {weight: own[f"encoder.conv_out.{weight}"] for weight in ("weight", "bias")}
        mix = head["weight"][..., 0, 0]
        own["encoder.conv_out.weight"] = torch.einsum("of,fihw->oihw", mix, before["weight"])
        own["encoder.conv_out.bias"] = mix @ before["bias"] + head["bias"]
        own["posterior.places.head.weight"] = torch.eye(wanted, dtype=mix.dtype)[..., None, None]
        own["posterior.places.head.bias"] = torch.zeros(wanted, dtype=mix.dtype)
    half, middle = _range(model.data)
    # Of a scale for each pixel, diffusers has no part.
    weight = own["network.conv_out.weight"][: layout.inputs]
    bias = own["network.conv_out.bias"][: layout.inputs]
    own["network.conv_out.weight"], own["network.conv_out.bias"] = weight / half, (bias - middle) / half
    made = {}
    for theirs, ours in layout.keys().items():
        tensor = own[ours] if ours else torch.zeros(layout.channels[-1], dtype=torch.float64)
        made[theirs] = tensor.float().contiguous()
    return made


def taken(path: Path, layout: Layout, model: Any) -> dict[str, Tensor]:
    """The weights in a file of diffusers under the names of a model of genmod, for values of its data.

    Args:
        path: a safetensors file.
        layout: what the configuration says.
        model: built so; it may be on the meta device.

    Raises:
        FileError: the file is damaged, or has other weights; the message names them.
        UsageError: the model has other layers, by options of its own.
    """
    keys, expected = layout.keys(), model.state_dict()
    absent = [
        part
        for part, present in (("posterior.places.head", layout.quant), ("network.start", layout.post_quant))
        if not present
    ]
    _check_layers(model, {ours for ours in keys.values() if ours}, absent)
    there = {_renamed(name): (name, shape) for name, shape in shapes_in(path).items()}
    unknown, missing = sorted(set(there) - set(keys)), sorted(set(keys) - set(there))
    if unknown or missing:
        what = [f"has {', '.join(there[key][0] for key in unknown[:3])}, which is no weight of it"] * bool(
            unknown
        )
        what += [f"lacks {', '.join(missing[:3])}"] * bool(missing)
        raise FileError(
            f"{path} is not of the {layout.cls} that config.json describes: it {' and '.join(what)}",
            hint="give a folder that save_pretrained wrote",
        )
    for key, (name, shape) in there.items():
        wanted = tuple(expected[keys[key]].shape) if keys[key] else (layout.channels[-1],)
        if shape != wanted:
            raise FileError(
                f"{path} has {name} of shape {shape}, where the model has {wanted}",
                hint="config.json says another shape, or the decoder wants more than a mean for each pixel: "
                "--decoder laplace",
            )
    tensors = {_renamed(name): tensor for name, tensor in read_float_tensors(path).items()}
    found = {ours: tensors[theirs] for theirs, ours in keys.items() if ours}
    for part in absent:
        size = len(expected[f"{part}.bias"])
        found[f"{part}.weight"] = torch.eye(size)[..., None, None]
        found[f"{part}.bias"] = torch.zeros(size)
    half, middle = _range(model.data)
    found["network.conv_out.weight"] = found["network.conv_out.weight"] * half
    found["network.conv_out.bias"] = found["network.conv_out.bias"] * half + middle
    if layout.codes:
        # Else the first step would put the vectors among what is encoded.
        found["posterior.books.0.started"] = torch.ones((), dtype=torch.bool)
        if "posterior.books.0.sums" in expected:
            found["posterior.books.0.sums"] = found["posterior.books.0.vectors"].clone()
    return found


def _check_layers(model: Any, wanted: set[str], absent: Sequence[str]) -> None:
    """Refuse a model whose encoder, posterior and network have other layers than those that are read.

    Args:
        model: built with the options of the configuration, and perhaps with others that a user set.
        wanted: names of the weights that are read.
        absent: layers that change nothing, for which there are no weights.

    Raises:
        UsageError: it has.
    """
    wanted = wanted | {f"{part}.{weight}" for part in absent for weight in ("weight", "bias")}
    own = {name for name, _ in model.named_parameters() if name.startswith(_PARTS)}
    other = sorted(wanted - set(model.state_dict())) + sorted(own - wanted)
    if other:
        raise UsageError(
            f"with the options that were set, the layers are not those that are read; {other[0]} is one of "
            f"{len(other)} weights of only one of the two",
            hint="leave out options of encoder, posterior and network; config.json has them",
        )


def _renamed(name: str) -> str:
    """The key that a weight has now."""
    parts = name.split(".")
    if "attentions" in parts and len(parts) > 1 and parts[-2] in _OLDER:
        parts[-2] = _OLDER[parts[-2]]
    return ".".join(parts)


def _range(data: DataInfo) -> tuple[float, float]:
    """Half the range of the data and its middle: ``value = half · value there + middle``."""
    if not math.isfinite(data.high - data.low):
        return 1.0, 0.0
    return (data.high - data.low) / 2, (data.high + data.low) / 2
