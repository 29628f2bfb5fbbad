"""Pictures of any size, encoded and decoded in tiles, so that memory does not grow with them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import final

import torch
from torch import Tensor

from genmod.defaults import MAPS
from genmod.errors import UsageError
from genmod.interfaces.given import GivenModel
from genmod.interfaces.prior import Prior
from genmod.model.evaluating import evaluating
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.resized import resized_parts
from genmod.model.tile_grid import Axis, Grid, Part
from genmod.model.tile_pool import TilePool, pooled_layers
from genmod.system.memory import all_rows_at_once

__all__ = ["code_of", "decode_tiled", "encode_tiled", "reconstruct_tiled"]

_TILE, _OVERLAP, _TILES_TOGETHER = 512, 128, 4
_CODING = ("inputs", "encoder", "posterior", "network", "decoder")

OnStep = Callable[[int, int], None]
Cut = Callable[[Grid, Tensor, tuple[int, int]], Tensor]
Run = Callable[[LatentVariableModel, Tensor, Tensor | None], Tensor]


def encode_tiled(
    model: LatentVariableModel,
    x: Tensor,
    *,
    tile: int = _TILE,
    overlap: int = _OVERLAP,
    together: int | None = None,
    context: Tensor | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Codes of pictures of any size: the mean of ``q(z|x)``, or a draw where it has no known mean.

    A picture that is no larger than a tile is encoded as a whole. Of larger ones the codes of tiles are blended in the middle
    of what these have in common; or each is that of the tile in which it lies deepest, where latents are no free numbers,
    such as those of a codebook.

    Layers that look at a picture as a whole, such as group norms and attention, see all of it. Tiles that overlap by half are
    run side by side where they have no more than ``together`` pixels: the codes are those of the whole picture where
    convolutions look no further than a sixth of a tile. Of larger pictures these layers see small tiles first, spread all
    over, ``together`` pixels, and what they find there holds while the tiles are run one by one. Memory is that of one tile
    or of ``together`` pixels, and of the codes.

    Layers of other packages take part if they are :class:`genmod.nn.PooledLayer`, as :class:`genmod.nn.GroupNorm` is; a group
    norm of torch's own knows its tile alone.

    Args:
        model: a fully convolutional one, as for :func:`genmod.resized`; the size that it was built for does not matter.
        x: pictures as they are stored, or observations, ``(B, channels, height, width)``. Where the decoder makes binary
            pictures, those of each tile are drawn by themselves.
        tile: side of a tile in pixels, a multiple of the pixels of one place of the latents.
        overlap: pixels that neighbouring tiles have in common, at least.
        together: pixels of the tiles that are run side by side, by default those of four tiles, so that smaller tiles need less
            memory; with 0 each tile is taken for a picture of its own.
        context: of each picture, ``(B, size)``, where the model is conditional.
        on_step: called with how many steps are done, a tile or all tiles, and how many there are.

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
        return _Tiles(model, x.shape[2:], tile, overlap, together).encode(x, context, on_step)


def decode_tiled(
    model: LatentVariableModel,
    z: Tensor,
    size: tuple[int, int],
    *,
    tile: int = _TILE,
    overlap: int = _OVERLAP,
    together: int | None = None,
    context: Tensor | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Means of ``p(x|z)`` of codes of any size, blended in the middle of what tiles have in common.

    Args:
        model: as for :func:`encode_tiled`; so are the other arguments.
        z: ``(B, *places)``, as :func:`encode_tiled` returns them.
        size: height and width of the pictures.
        tile: side of a tile in pixels.
        overlap: pixels that neighbouring tiles have in common, at least.
        together: pixels of the tiles that are run side by side, by default those of four tiles, so that smaller tiles need less
            memory; with 0 each tile is taken for a picture of its own.
        context: of each picture, ``(B, size)``, where the model is conditional.
        on_step: called with how many steps are done, a tile or all tiles, and how many there are.

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
        return _Tiles(model, size, tile, overlap, together).decode(z, context, on_step)


def reconstruct_tiled(
    model: LatentVariableModel,
    x: Tensor,
    *,
    tile: int = _TILE,
    overlap: int = _OVERLAP,
    together: int | None = None,
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
        tiles = _Tiles(model, x.shape[2:], tile, overlap, together)
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


def _encoded(model: LatentVariableModel, x: Tensor, context: Tensor | None) -> Tensor:
    return code_of(model.given(context), model.observe(x))


def _decoded(model: LatentVariableModel, z: Tensor, context: Tensor | None) -> Tensor:
    mean: Tensor = model.given(context).decode(z).mean
    return mean


@final
class _Tiles:
    """The tiles of pictures of one size, and a model of pictures as large as one of them."""

    def __init__(
        self, model: LatentVariableModel, size: Sequence[int], tile: int, overlap: int, together: int | None
    ) -> None:
        # Of the prior only what a network is given of it must fit: priors of codes often have weights for each place.
        needed = _CODING if type(model.prior).features is Prior.features else (*_CODING, "prior")
        self.of = partial(resized_parts, model, needed=needed, shared=True)
        pixels = [min(side, tile) for side in size]
        self.model = self.of((model.data.shape[0], *pixels)).eval()
        latent = self.model.latent_shape
        if len(latent) != 3:
            raise UsageError(
                f"pictures in tiles need latents that are maps; those of this model have the shape {latent}",
                hint=f"build one with maps: {MAPS}",
            )
        self.size = tuple(size)

        def grid(overlap: int) -> Grid:
            return Grid(*(Axis.of(*each, overlap) for each in zip(size, pixels, latent[1:], strict=True)))

        self.grid = grid(overlap)
        together = _TILES_TOGETHER * tile**2 if together is None else together
        self.together = max(together, pixels[0] * pixels[1])
        self.pooled = len(self.grid) > 1 and together > 0 and bool(pooled_layers(self.model))
        wider = grid(max(overlap, tile // 2)) if self.pooled else self.grid
        self.at_once = self.pooled and wider.pixels <= self.together
        if self.at_once:
            self.grid = wider

    def encode(self, x: Tensor, context: Tensor | None, on_step: OnStep | None) -> Tensor:
        blended = partial(self.grid.blended_places, cut=self.model.space.kind != "free")
        return self._each(x, context, Grid.cut_pixels, _encoded, blended, on_step)

    def decode(self, z: Tensor, context: Tensor | None, on_step: OnStep | None) -> Tensor:
        wanted = (self.model.latent_shape[0], self.grid.down.total, self.grid.across.total)
        if tuple(z.shape[1:]) != wanted:
            raise UsageError(
                f"pictures of {self.size[0]}×{self.size[1]} have codes of shape {wanted}, these have {tuple(z.shape[1:])}",
                hint="give the height and width of the pictures that were encoded",
            )
        return self._each(z, context, Grid.cut_places, _decoded, self.grid.blended_pixels, on_step)

    def _each(
        self,
        given: Tensor,
        context: Tensor | None,
        cut: Cut,
        run: Run,
        blended: Callable[[Iterator[Part]], Tensor],
        on_step: OnStep | None,
    ) -> Tensor:
        """What tiles become, blended: of all pictures where there is one tile, else of one picture after the other."""
        size = 1 if len(self.grid) > 1 else len(given)
        pictures = given.split(size)
        contexts = [None] * len(pictures) if context is None else context.split(size)
        steps = 1 if self.at_once else len(self.grid) + self.pooled
        done = 0

        def step() -> None:
            nonlocal done
            done += 1
            if on_step is not None:
                on_step(done, steps * len(pictures))

        made = [
            blended(self._parts(one, told, cut, run, step))
            for one, told in zip(pictures, contexts, strict=True)
        ]
        return made[0] if len(made) == 1 else torch.cat(made)

    def _parts(
        self, given: Tensor, context: Tensor | None, cut: Cut, run: Run, step: Callable[[], None]
    ) -> Iterator[Part]:
        """Each tile, and what it becomes."""

        def through(model: LatentVariableModel, grid: Grid, tiles: Sequence[tuple[int, int]]) -> Tensor:
            batch = torch.cat([cut(grid, given, tile) for tile in tiles]).to(model.device)
            told = None if context is None else context.expand(len(batch), -1)
            with all_rows_at_once() if len(tiles) > 1 else nullcontext():
                made = run(model, batch, told).to(given.device)
            step()
            return made

        pool, tiles = TilePool(), list(self.grid)
        if self.at_once:
            pool.join(self.model, self.grid.own())
            yield from zip(tiles, through(self.model, self.grid, tiles).split(1), strict=True)
            return
        if self.pooled:
            probe = self.grid.probe(self.together)
            small = self.of((self.model.data.shape[0], probe.down.pixels, probe.across.pixels)).eval()
            pool.join(small, probe.own())
            through(small, probe, list(probe))
        for tile in tiles:
            if self.pooled:
                pool.join(self.model)
            yield tile, through(self.model, self.grid, [tile])
