"""Features of DINOv2."""

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

from genmod import DataInfo, Features, FileError
from genmod.plugins.encoders._backbone import IMAGENET, fill
from genmod.plugins.features._images import (
    WeightsFile,
    check_images,
    file_checksum,
    from_zero_to_one,
    outputs,
    read_weights,
    three_colours,
)

__all__ = ["DinoFeatures"]

_SIDE, _PATCH, _HEAD = 224, 14, 64
_HOW = """\
weights of DINOv2 without registers, once, if you trust the file:
  curl -LO https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth
  python -P -c "import torch, safetensors.torch as s; \
s.save_file(torch.load('dinov2_vits14_pretrain.pth', weights_only=True), 'dino.safetensors')"
then: --metric 'fid[dino:weights=dino.safetensors]'"""


@final
class DinoFeatures(Features):
    """The class token of DINOv2, a vision transformer that was trained on images alone.

    ``x (N, 1 or 3, height, width) → (N, D)``, ``D = 384`` for ViT-S/14, 768 for ViT-B/14, 1024 for ViT-L/14

    The size of the network is that of the weights. Images are enlarged to 224×224 and normalised as ImageNet's; grey
    ones are repeated for each colour. Files with registers and ViT-g are of other networks and are refused. The blocks
    are checked against torchvision's transformer; the published weights are not needed for that, and no score by them
    is. The first digits of their checksum are part of the name.

    Raises:
        UndefinedError: the data are no grey or colour images with bounded values.
        UsageError: no file was given.
        FileError: the file is missing, damaged, of another network, or no ``.safetensors`` file.

    Reference:
        DINOv2: Learning Robust Visual Features without Supervision (Oquab et al., 2023), arXiv:2304.07193; Exposing
        flaws of generative model evaluation metrics (Stein et al., 2023), arXiv:2306.04675

    Example:
        >>> from genmod import UsageError
        >>> try:
        ...     DinoFeatures(DataInfo((3, 32, 32)))
        ... except UsageError as error:
        ...     error.message
        "features 'dino' need a file of weights, and none was given"
    """

    def __init__(self, data: DataInfo, *, weights: WeightsFile = None) -> None:
        check_images(data, "features 'dino' need", least=2)
        tensors = read_weights(weights, "dino", _HOW)
        super().__init__(data)
        places = tensors.get("pos_embed", torch.empty(0))
        depth = 1 + max((int(n.split(".")[1]) for n in tensors if n.startswith("blocks.")), default=-1)
        if places.dim() != 3 or places.shape[2] % _HEAD or not depth:
            raise FileError(f"{weights} does not belong to a vision transformer of DINOv2", hint=_HOW)
        self.net = _Transformer(places.shape[2], depth, places.shape[1])
        tensors.pop("mask_token", None)  # which only training uses
        fill(self.net, tensors, weights, "a DINOv2 without registers", _HOW)
        self.version = file_checksum(tensors)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.net(self._enlarged(some)) for some in x.split(50)])

    def layers(self, x: Tensor) -> Mapping[str, Tensor]:
        """The patches after each third of the blocks."""
        depth = len(self.net.blocks)
        names = [f"blocks.{max(1, depth * third // 3) - 1}" for third in (1, 2, 3)]
        tokens = outputs(self.net, list(dict.fromkeys(names)), self._enlarged(x))
        return {name: each[:, 1:].mT for name, each in tokens.items()}

    def _enlarged(self, x: Tensor) -> Tensor:
        pictures = three_colours(from_zero_to_one(x, self.data))
        larger = interpolate(pictures, size=(_SIDE, _SIDE), mode="bicubic", antialias=True).clamp(0, 1)
        mean, deviation = (x.new_tensor(values)[:, None, None] for values in IMAGENET)
        return (larger - mean) / deviation


class _Transformer(nn.Module):
    """Patches of 14×14 → the class token after all blocks, ``(N, 3, 224, 224) → (N, width)``.

    Attributes are named as in the files.
    """

    def __init__(self, width: int, depth: int, places: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, places, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, _PATCH, stride=_PATCH)})
        self.blocks = nn.ModuleList(_Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embed["proj"](x).flatten(2).mT
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), patches], 1)
        tokens = tokens + self._places(x.shape[-1] // _PATCH)
        for block in self.blocks:
            tokens = block(tokens)
        out: Tensor = self.norm(tokens[:, 0])
        return out

    def _places(self, side: int) -> Tensor:
        """The embedding of the places, which was trained for larger pictures, interpolated as it was when published."""
        own = round((self.pos_embed.shape[1] - 1) ** 0.5)
        if own == side:
            return self.pos_embed
        grid = self.pos_embed[:, 1:].reshape(1, own, own, -1).permute(0, 3, 1, 2)
        scale = (side + 0.1) / own
        made = interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], made.flatten(2).mT], 1)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.ls1 = _Scale(width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})
        self.ls2 = _Scale(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self._attention(self.norm1(x)))
        hidden = torch.nn.functional.gelu(self.mlp["fc1"](self.norm2(x)))
        out: Tensor = x + self.ls2(self.mlp["fc2"](hidden))
        return out

    def _attention(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        parts = self.attn["qkv"](x).reshape(batch, tokens, 3, width // _HEAD, _HEAD).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(*parts).transpose(1, 2).reshape(batch, tokens, width)
        out: Tensor = self.attn["proj"](mixed)
        return out


class _Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma
