"""Pictures of any size, encoded and decoded in tiles, so that memory does not grow with them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from genmod.defaults import MAPS
from genmod.errors import UsageError
from genmod.interfaces.given import GivenModel
from genmod.interfaces.prior import Prior
from genmod.model.evaluating import evaluating
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.resized import resized_parts

__all__ = ["code_of", "decode_tiled", "encode_tiled", "reconstruct_tiled"]

_TILE, _OVERLAP = 512, 128
_CODING = ("inputs", "encoder", "posterior", "network", "decoder")

OnStep = Callable[[int, int], None]


def encode_tiled(
    model: LatentVariableModel,
    x: Tensor,
    *,
    tile: int = _TILE,
    overlap: int = _OVERLAP,
    context: Tensor | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Codes of pictures of any size: the mean of ``q(z|x)``, or a draw where it has no known mean.

    A picture that is no larger than a tile is encoded as a whole. Of larger ones the codes of tiles are blended linearly where
    these overlap, or each taken from the tile in which it lies deepest, where latents are no free numbers, such as those of a
    codebook. Memory is that of one tile and of the codes.

    A tile is normalised by its own statistics: its codes are those of the whole picture as far as group norms and attention do
    not look beyond the tile, and convolutions no further than the overlap.

    Args:
        model: a fully convolutional one, as for :func:`genmod.resized`; the size that it was built for does not matter.
        x: pictures as they are stored, or observations, ``(B, channels, height, width)``. Where the decoder makes binary
            pictures, those of each tile are drawn by themselves.
        tile: side of a tile in pixels, a multiple of the pixels of one place of the latents.
        overlap: pixels that neighbouring tiles have in common, at least.
        context: of each picture, ``(B, size)``, where the model is conditional.
        on_step: called after each tile with how many are done, and how many there are.

    Returns:
        ``(B, *places)`` on the device of ``x``, with as many places as :func:`genmod.resized` gives pictures of this size.

    Raises:
        UsageError: the model is not fully convolutional, or tile and overlap do not fit it.

    Reference:
        High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2021), arXiv:2112.10752

    Example:
        >>> import genmod
        >>> model = genmod.build(encoder="conv-map", posterior="normal-map", latent=4)
        >>> encode_tiled(model, torch.rand(1, 1, 20, 40), tile=16, overlap=4).shape
        torch.Size([1, 4, 5, 10])
    """
    with evaluating(model):
        return _Tiles(model, x.shape[2:], tile, overlap).encode(x, context, on_step)


def decode_tiled(
    model: LatentVariableModel,
    z: Tensor,
    size: tuple[int, int],
    *,
    tile: int = _TILE,
    overlap: int = _OVERLAP,
    context: Tensor | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Means of ``p(x|z)`` of codes of any size, blended linearly where tiles overlap.

    Args:
        model: as for :func:`encode_tiled`; so are the other arguments.
        z: ``(B, *places)``, as :func:`encode_tiled` returns them.
        size: height and width of the pictures.
        tile: side of a tile in pixels.
        overlap: pixels that neighbouring tiles have in common, at least.
        context: of each picture, ``(B, size)``, where the model is conditional.
        on_step: called after each tile with how many are done, and how many there are.

    Returns:
        ``(B, channels, height, width)`` on the device of ``z``, values as those of the data.

    Raises:
        UsageError: as for :func:`encode_tiled`; or the codes are not those of pictures of this size.

    Example:
        >>> import genmod
        >>> model = genmod.build(encoder="conv-map", posterior="normal-map", latent=4)
        >>> decode_tiled(model, torch.zeros(1, 4, 5, 10), (20, 38), tile=16, overlap=4).shape
        torch.Size([1, 1, 20, 38])
    """
    with evaluating(model):
        return _Tiles(model, size, tile, overlap).decode(z, context, on_step)


def reconstruct_tiled(
    model: LatentVariableModel,
    x: Tensor,
    *,
    tile: int = _TILE,
    overlap: int = _OVERLAP,
    context: Tensor | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Means of ``p(x|z)`` at the codes of pictures: :func:`encode_tiled`, then :func:`decode_tiled`, with their arguments.

    Returns:
        ``(B, channels, height, width)`` on the device of ``x``, values as those of the data.

    Raises:
        UsageError: as for :func:`encode_tiled`.

    Example:
        >>> import genmod
        >>> model = genmod.build(encoder="conv-map", posterior="normal-map", latent=4)
        >>> reconstruct_tiled(model, torch.rand(1, 1, 20, 38), tile=16, overlap=4).shape
        torch.Size([1, 1, 20, 38])
    """
    step = on_step or (lambda done, of: None)
    with evaluating(model):
        tiles = _Tiles(model, x.shape[2:], tile, overlap)
        z = tiles.encode(x, context, lambda done, of: step(done, 2 * of))
        return tiles.decode(z, context, lambda done, of: step(of + done, 2 * of))


def code_of(model: GivenModel, x: Tensor) -> Tensor:
    """One latent of each observation: the mean of ``q(z|x)``, or a draw where it has no known mean, ``(B, *latent_shape)``.

    Where latents are directions, classes or bits, it is the one nearest to the mean.
    """
    q = model.encode(x)
    try:
        mean: Tensor = q.mean
    except NotImplementedError:
        return q.sample()
    # The mean of points on a sphere is not on it, and that of classes is no class: decoders are never given those.
    return model.space.settled(mean.flatten(1)).reshape(mean.shape)


@dataclass(frozen=True)
class _Axis:
    """The tiles along one side of a picture.

    Args:
        size: of the picture, in pixels.
        pixels: of a tile.
        places: of the latents, in a tile.
        stride: pixels from one place to the next.
        overlap: places that neighbouring tiles have in common, at least.
        starts: first place of each tile.
    """

    size: int
    pixels: int
    places: int
    stride: int
    overlap: int
    starts: tuple[int, ...]

    @classmethod
    def of(cls, size: int, pixels: int, places: int, overlap: int) -> "_Axis":
        """A single tile, or as many as are needed, spread evenly, so that all are of one size.

        Raises:
            UsageError: a place is no whole number of pixels, or neighbouring tiles have all in common.
        """
        if size == pixels:
            return cls(size, pixels, places, 1, 1, (0,))
        stride = pixels // places
        common = -(-overlap // stride)
        if pixels % places or common >= places:
            raise UsageError(
                f"tiles of {pixels} pixels, {places} places of the latents, cannot overlap by {overlap} pixels",
                hint="give a tile that is a multiple of 32, and an overlap of a quarter of it",
            )
        last = -(-size // stride) - places
        steps = -(-last // (places - common))
        starts = tuple(round(i * last / steps) for i in range(steps + 1))
        return cls(size, pixels, places, stride, max(common, 1), starts)

    @property
    def total(self) -> int:
        """Places of the whole picture."""
        return self.starts[-1] + self.places

    def place_weights(self, *, cut: bool) -> list[Tensor]:
        """How much each place of each tile counts."""
        return _weights(self.starts, self.places, self.overlap, cut=cut)

    def pixel_weights(self) -> list[Tensor]:
        """How much each pixel of each tile counts."""
        starts = [self.stride * start for start in self.starts]
        return _weights(starts, self.pixels, self.stride * self.overlap, cut=False)


def _weights(starts: Sequence[int], length: int, ramp: int, *, cut: bool) -> list[Tensor]:
    """Weights of tiles, which add up to 1 everywhere: rising linearly from its ends, or 1 in the tile that reaches furthest."""
    depth = torch.zeros(len(starts), starts[-1] + length, dtype=torch.float64)
    inner = torch.arange(length, dtype=torch.float64) + 0.5
    far = torch.full_like(inner, torch.inf)
    for i, start in enumerate(starts):
        left, right = inner if i else far, inner.flip(0) if i < len(starts) - 1 else far
        depth[i, start : start + length] = torch.minimum(left, right)
    if cut:
        weights = one_hot(depth.argmax(0), len(starts)).T
    else:
        weights = (depth / ramp).clamp(max=1)
        weights = weights / weights.sum(0)
    return [weights[i, start : start + length] for i, start in enumerate(starts)]


class _Tiles:
    """The tiles of pictures of one size, and a model of pictures as large as one of them."""

    def __init__(self, model: LatentVariableModel, size: Sequence[int], tile: int, overlap: int) -> None:
        pixels = [min(side, tile) for side in size]
        # Of the prior only what a network is given of it must fit: priors of codes often have weights for each place.
        needed = _CODING if type(model.prior).features is Prior.features else (*_CODING, "prior")
        self.model = resized_parts(model, (model.data.shape[0], *pixels), needed).eval()
        latent = self.model.latent_shape
        if len(latent) != 3:
            raise UsageError(
                f"pictures in tiles need latents that are maps; those of this model have the shape {latent}",
                hint=f"build one with maps: {MAPS}",
            )
        self.size = tuple(size)
        self.down, self.across = (
            _Axis.of(*each, overlap) for each in zip(size, pixels, latent[1:], strict=True)
        )

    def encode(self, x: Tensor, context: Tensor | None, on_step: OnStep | None) -> Tensor:
        model = self.model.given(context)
        cut = model.space.kind != "free"
        made: Tensor | None = None
        weights = [axis.place_weights(cut=cut) for axis in (self.down, self.across)]
        for i, j in self._each(on_step):
            part = _cut(_cut(x, self.down, i, -2), self.across, j, -1)
            code = code_of(model, self.model.observe(part.to(self.model.device)))
            if made is None:
                made = code.new_zeros(*code.shape[:2], self.down.total, self.across.total, device=x.device)
            _add(made, code, weights[0][i], weights[1][j], self.down.starts[i], self.across.starts[j])
        assert made is not None
        return made

    def decode(self, z: Tensor, context: Tensor | None, on_step: OnStep | None) -> Tensor:
        model, (down, across) = self.model.given(context), (self.down, self.across)
        wanted = (self.model.latent_shape[0], down.total, across.total)
        if tuple(z.shape[1:]) != wanted:
            raise UsageError(
                f"pictures of {self.size[0]}×{self.size[1]} have codes of shape {wanted}, these have {tuple(z.shape[1:])}",
                hint="give the height and width of the pictures that were encoded",
            )
        made: Tensor | None = None
        weights = [axis.pixel_weights() for axis in (down, across)]
        for i, j in self._each(on_step):
            top, left = down.starts[i], across.starts[j]
            part = z[:, :, top : top + down.places, left : left + across.places]
            picture = model.decode(part.to(self.model.device)).mean
            if made is None:
                made = picture.new_zeros(*picture.shape[:2], *self.size, device=z.device)
            _add(made, picture, weights[0][i], weights[1][j], top * down.stride, left * across.stride)
        assert made is not None
        return made

    def _each(self, on_step: OnStep | None) -> Iterator[tuple[int, int]]:
        every = list(product(range(len(self.down.starts)), range(len(self.across.starts))))
        for done, each in enumerate(every, 1):
            yield each
            if on_step is not None:
                on_step(done, len(every))


def _cut(x: Tensor, axis: _Axis, i: int, dim: int) -> Tensor:
    """The pixels of a tile; beyond the edge of the picture its last ones go on."""
    first = axis.stride * axis.starts[i]
    beyond = first + axis.pixels - axis.size
    part = x.narrow(dim, first, axis.pixels - max(beyond, 0))
    if beyond <= 0:
        return part
    return torch.cat([part, part.narrow(dim, -1, 1).repeat_interleave(beyond, dim)], dim)


def _add(made: Tensor, part: Tensor, down: Tensor, across: Tensor, top: int, left: int) -> None:
    """Add a tile to what is made of all, as far as it lies inside."""
    there = made[..., top : top + len(down), left : left + len(across)]
    height, width = there.shape[-2:]
    weights = (down[:height, None] * across[:width]).to(there)
    there += weights * part[..., :height, :width].to(made.device)
