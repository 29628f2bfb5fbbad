"""The panels of the figure of the latents, but for that of the codes."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from genmod.errors import UndefinedError
from genmod.figures.bars import activity_bars, variables_of
from genmod.figures.codes_panel import Drawer, codes_panel, radius
from genmod.figures.draw import bare, show_tiles
from genmod.figures.following import followed
from genmod.figures.gaps import roaming, yardstick
from genmod.figures.palette import QUIET
from genmod.figures.scene import Scene
from genmod.figures.traversals import active_traversal
from genmod.figures.views import cycled, decode_means, rows_of
from genmod.figures.walks import activity
from genmod.model.pieces import held

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MAKERS", "Drawer"]

_ROWS = 8
_ACROSS = 12
_SIDE = 15
_KL_EXAMPLES = 1000


# Manifold


def _manifold(scene: Scene) -> Drawer:
    model, blank = scene.model, None
    if scene.space.kind == "sphere" and scene.size == 3:
        heights = torch.linspace(0.94, -0.94, 9)
        angles = torch.linspace(-math.pi, math.pi, 17)[:-1]
        height, angle = torch.meshgrid(heights, angles, indexing="ij")
        across = (1 - height.square()).sqrt()
        z = torch.stack([across * angle.cos(), across * angle.sin(), height], -1)
        note = "latitudes of equal areas; longitudes from -180° to 180°"
    elif scene.space.kind == "sphere" and scene.size == 2:
        angles = torch.linspace(0, 2 * math.pi, 65)[:-1].reshape(8, 8)
        z = torch.stack([angles.cos(), angles.sin()], -1)
        note = "once around the circle, line by line"
    elif scene.size == 2 and scene.space.kind in ("free", "interval", "ball"):
        z, note = _grid_of_quantiles(scene)
        blank = ~scene.space.contains(z.flatten(0, 1)).reshape(z.shape[:2])
        z = torch.where(blank[..., None], torch.zeros_like(z), z)
    else:
        raise UndefinedError(
            f"a manifold is drawn of two dimensions; these latents have {scene.size} numbers"
            if scene.size != 2
            else "a manifold is drawn where latents are numbers; these are classes"
        )
    z = z.to(model.device, model.dtype).reshape(*z.shape[:2], *model.latent_shape)
    images = decode_means(model, z, context=scene.given)
    scene.arrays |= {"manifold": images, "manifold_latents": z}

    def drawer(axes: "Axes") -> None:
        show_tiles(axes, images, model.data, blank=blank)
        bare(axes, "Decoded manifold", f"{note}{scene.told}")

    return drawer


def _grid_of_quantiles(scene: Scene) -> tuple[Tensor, str]:
    """A grid on quantiles of each dimension of the prior, of the codes where there is none; a square over a ball."""
    side = math.isqrt(held(_SIDE**2, scene.model.data))
    if scene.space.kind == "ball":
        edge = 0.97 * radius(scene)
        marks = torch.linspace(-edge, edge, side)
        x, y, note = marks, marks, "a square grid over the disc"
    else:
        source = scene.codes if scene.prior is None else scene.prior
        levels = torch.linspace(0.02, 0.98, side, device=source.device)
        x, y = source.flatten(1).float().quantile(levels, dim=0).T.cpu()
        note = f"on quantiles, 2 to 98 %, of the {'codes' if scene.prior is None else 'prior'}"
    across, up = torch.meshgrid(x, y.flip(0), indexing="xy")
    return torch.stack([across, up], -1), f"{note}; z0 to the right, z1 upwards"


# KL of each dimension


def _amounts(scene: Scene) -> tuple[Tensor, str]:
    given = rows_of(scene.context, slice(_KL_EXAMPLES))
    amounts, measure = activity(scene.model, scene.seen[:_KL_EXAMPLES], context=given, seed=scene.seed)
    return amounts.float().cpu(), measure


def _kl(scene: Scene) -> Drawer:
    amounts, measure = _amounts(scene)
    if len(amounts) < 2:
        raise UndefinedError("these latents are one variable; there is nothing to compare")
    order = amounts.argsort(descending=True)
    scene.arrays |= {"kl": amounts, "order": order}
    names = variables_of(scene.model)
    return lambda axes: activity_bars(axes, amounts, measure, names)


# Traversals


def _traversals(scene: Scene) -> Drawer:
    model = scene.model
    picture = active_traversal(model, scene.codes, _amounts(scene)[0], _ROWS, 9, context=scene.context)
    known = {} if scene.batch is None else followed(model, scene.codes, scene.batch)
    names = zip(picture.extra["dimensions"].tolist(), picture.row_labels, strict=True)
    rows = [f"{name}, {known[d][0]}" if d in known else name for d, name in names]
    scene.arrays |= {f"traversals_{name}": tensor for name, tensor in picture.arrays().items()}

    def drawer(axes: "Axes") -> None:
        show_tiles(axes, picture.images, model.data, rows=rows, columns=picture.column_labels)
        how = picture.title.removeprefix("Traversals").lstrip(", ")
        bare(axes, "Traversals from one code", f"{how}{scene.told}")

    return drawer


# Gaps


def _gaps(scene: Scene) -> Drawer:
    model, many = scene.model, 2 * _ACROSS
    measure = yardstick(model, scene.codes, scene.reference, context=scene.context)
    points, origin = roaming(model, scene.codes, context=scene.context, seed=scene.seed)
    made = decode_means(model, points, context=cycled(scene.context, len(points)))
    far = measure.far(made)
    found = scene.gap = measure.gap(far, origin)
    scene.arrays |= {"draws": points, "draws_distances": far, "gap": torch.tensor([found.share, found.error])}
    # As many of the draws as fit; where they are few, the first ones again.
    some = torch.arange(many) % len(points)
    images, amounts, rows = made[some], far[some], ["draws", ""]
    if scene.path is not None:
        way = decode_means(model, scene.path, context=scene.given)
        scene.arrays |= {"path": scene.path, "path_images": way, "path_distances": measure.far(way)}
        images, amounts = torch.cat([way, images]), torch.cat([scene.arrays["path_distances"], amounts])
        rows = ["widest line", *rows]

    def drawer(axes: "Axes") -> None:
        shape = (len(rows), _ACROSS)
        show_tiles(
            axes, images.unflatten(0, shape), model.data, rows=rows, marked=(amounts > 1).reshape(shape)
        )
        axes.set_xlabel(
            "framed: farther from the nearest example than 99 of 100 examples and reconstructions are",
            color=QUIET,
            fontsize=9,
        )
        given = f"; widest line{scene.told}" if scene.told and scene.path is not None else ""
        bare(axes, "Gaps between codes", f"{found}{given}")

    return drawer


MAKERS: dict[str, Callable[[Scene], Drawer]] = {
    "scatter": codes_panel,
    "manifold": _manifold,
    "kl": _kl,
    "traversals": _traversals,
    "gaps": _gaps,
}
