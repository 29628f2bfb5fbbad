"""Layers that look at a map as a whole, and what they are told of it where it comes in tiles."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar, final

import torch
from torch import Tensor, nn

__all__ = ["GroupNorm", "Own", "Pool", "PooledLayer"]

Found = TypeVar("Found")
Own = Sequence[tuple[slice, slice]]
"""Rows and columns of each tile that count as its own: each place of the map is of one tile at most."""


class Pool(ABC):
    """What layers have found in all tiles of a picture, kept by whoever runs these."""

    @abstractmethod
    def of_all(self, layer: "PooledLayer", size: tuple[int, int], find: Callable[[Own], Found]) -> Found:
        """What a layer finds in the whole picture.

        Args:
            layer: the one that asks; it may ask several times on the way of a tile through the networks.
            size: height and width of the layer's map of one tile.
            find: finds it in the tiles of one picture that are run side by side, ``(tiles, …)``, given which rows and columns
                of each count; it is not called where that was found before.
        """


class PooledLayer(nn.Module):
    """Base of layers whose result at one place depends on all places of a map, as that of norms and of attention does.

    Alone, a tile of a large picture has a mean, a variance, keys and values of its own. So :func:`genmod.encode_tiled` and
    :func:`genmod.decode_tiled` give each such layer a pool: where there is one, ``forward`` asks it what holds of the whole.

    Example:
        >>> class Centred(PooledLayer):
        ...     def forward(self, maps):
        ...         if self.pool is None:
        ...             return maps - maps.mean((2, 3), keepdim=True)
        ...         def mean(own):
        ...             parts = [each[:, rows, columns].flatten(1) for each, (rows, columns) in zip(maps, own)]
        ...             return torch.cat(parts, 1).mean(1)
        ...         return maps - self.pool.of_all(self, maps.shape[2:], mean)[:, None, None]
        >>> Centred()(torch.ones(1, 2, 3, 3)).sum()
        tensor(0.)
    """

    pool: Pool | None = None


@final
class GroupNorm(nn.GroupNorm, PooledLayer):
    """Normalisation over groups of channels and all places, as torch has it; of tiles, by mean and variance of the picture.

    ``maps (B, channels, height, width) → the same``

    Example:
        >>> GroupNorm(2, 8)(torch.zeros(1, 8, 3, 3)).shape
        torch.Size([1, 8, 3, 3])
    """

    def forward(self, maps: Tensor) -> Tensor:
        if self.pool is None:
            return super().forward(maps)
        mean, variance = self.pool.of_all(
            self, (maps.shape[-2], maps.shape[-1]), lambda own: _moments(maps, own, self.num_groups)
        )
        # As scale and offset of each channel, so that no second map is needed.
        each = self.num_channels // self.num_groups
        scale = (variance + self.eps).rsqrt().repeat_interleave(each)
        offset = -mean.repeat_interleave(each) * scale
        if self.affine:
            scale, offset = scale * self.weight, offset * self.weight + self.bias
        return torch.addcmul(offset[:, None, None], maps, scale[:, None, None]).to(maps.dtype)


def _moments(maps: Tensor, own: Own, groups: int) -> tuple[Tensor, Tensor]:
    """Means and variances over the channels of each group and the places that count, ``(groups,)`` each.

    In single precision at least, as torch's own: numbers of 16 bits cannot even count the places.
    """
    precision = torch.promote_types(maps.dtype, torch.float32)
    counts, found = [], []
    for one, (rows, columns) in zip(maps, own, strict=True):
        part = one[:, rows, columns].to(precision).reshape(groups, -1)
        if part.shape[1]:
            counts.append(part.shape[1])
            found.append(torch.stack(torch.var_mean(part, 1, correction=0)))
    variances, means = torch.stack(found, 1)
    share = torch.tensor(counts, dtype=precision, device=maps.device)[:, None] / sum(counts)
    mean = (share * means).sum(0)
    return mean, (share * (variances + (means - mean).square())).sum(0)
