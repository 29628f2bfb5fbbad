"""The codes of examples on a plane: what is decoded there, the prior, some posteriors, the codes, a path."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from genmod.figures.contours import contours
from genmod.figures.draw import bare, draw_path, montage, name_axes, scatter
from genmod.figures.palette import INK, QUIET
from genmod.figures.plane import Plane
from genmod.figures.scene import Scene
from genmod.figures.views import decode_means, evaluating, rows_of
from genmod.model.pieces import held

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Drawer", "codes_panel", "radius"]

Drawer = Callable[["Axes"], None]
Extent = tuple[float, float, float, float]
"""Left, right, lower and upper edge."""

_ELLIPSES = 60
_TILES = 14
"""Decodings below the codes, along the longer side; of large pictures fewer."""
_FAINT = 0.25
_EDGE = "#b0b0b5"


def codes_panel(scene: Scene) -> Drawer:
    """The codes of examples, on what the latents between them decode to."""
    plane = scene.plane
    codes, _, path = plane.points
    scene.arrays["plane"] = codes
    if len(path):
        scene.arrays["path_plane"] = path
    lines = contours(scene, plane)
    ellipses = _ellipses(scene) if plane.direct and scene.space.kind == "free" else []
    extent = _extent(scene, plane)
    below = _decoded_below(scene, plane, extent)

    def drawer(axes: "Axes") -> None:
        notes = [plane.method] if plane.method else []
        if below is not None:
            axes.imshow(below.numpy(), extent=extent, alpha=_FAINT, zorder=0, interpolation="antialiased")
            notes.append(f"below: decoded{scene.told}")
        if lines is not None:
            axes.contour(
                lines.x.tolist(), lines.y.tolist(), lines.density.numpy(), levels=lines.levels, colors=[QUIET, INK],
                linewidths=[1.0, 1.3], linestyles=["dashed", "solid"], zorder=4,
            )  # fmt: skip
            notes.append(
                f"lines: 50 % and 90 % of {'the prior' if lines.exact else 'draws from the prior, smoothed'}"
            )
        elif scene.prior is None:
            notes.append("no prior")
        if ellipses:
            from matplotlib.patches import Ellipse

            for centre, width, height, angle in ellipses:
                axes.add_patch(
                    Ellipse(
                        centre, width, height, angle=angle, fill=False, edgecolor=INK, lw=0.5, alpha=0.55, zorder=5
                    )
                )  # fmt: skip
            notes.append(f"ellipses: q(z|x) of {len(ellipses)}")
        scatter(axes, codes, scene.groups)
        if len(path):
            # On a map, a path over the edge comes in again at the other side.
            whole = plane.direct or float(path.diff(dim=0).norm(dim=1).max()) < 0.5 * float(
                (codes.amax(0) - codes.amin(0)).norm()
            )
            draw_path(axes, path, joined=whole)
            notes.append("dots: widest line")
        _frame(axes, scene, plane, extent)
        what = f", coloured by {scene.groups.what}" if scene.groups.what else ""
        bare(axes, f"Codes{what}", _in_lines(notes))
        if not plane.axes[0]:
            axes.set_xticks([])
            axes.set_yticks([])
            for side in ("left", "bottom"):
                axes.spines[side].set_visible(False)

    return drawer


def _in_lines(notes: list[str], longest: int = 85) -> str:
    """Notes one after the other, in lines that are no longer than the panel is wide."""
    lines = [""]
    for note in notes:
        longer = f"{lines[-1]}; {note}" if lines[-1] else note
        if len(longer) <= longest:
            lines[-1] = longer
        else:
            lines.append(note)
    return "\n".join(lines)


def radius(scene: Scene) -> float:
    """The radius of a sphere or a ball."""
    return scene.space.pieces[0].high or 1.0


def _extent(scene: Scene, plane: Plane) -> Extent:
    """Room for all codes and most of the prior, and the whole of a space that has an edge."""
    if scene.space.kind in ("sphere", "ball") and plane.direct:
        reach = 1.04 * radius(scene)
        return -reach, reach, -reach, reach
    if plane.method.startswith("the whole sphere"):
        width, height = 1.02 * 2 * math.sqrt(2), 1.02 * math.sqrt(2)
        return -width, width, -height, height
    codes, draws, _ = plane.points
    low, high = codes.amin(0), codes.amax(0)
    if len(draws):
        levels = draws.quantile(torch.tensor([0.01, 0.99]), dim=0)
        low, high = torch.minimum(low, levels[0]), torch.maximum(high, levels[1])
    pad = 0.06 * (high - low).clamp(min=1e-6)
    (left, down), (right, up) = (low - pad).tolist(), (high + pad).tolist()
    return left, right, down, up


def _frame(axes: "Axes", scene: Scene, plane: Plane, extent: Extent) -> None:
    """One scale for both axes, and the edge of the space where it has one."""
    axes.set_xlim(*extent[:2])
    axes.set_ylim(*extent[2:])
    axes.set_aspect("equal" if plane.direct or scene.size > 1 else "auto", adjustable="box")
    name_axes(axes, *plane.axes)
    if scene.space.kind in ("sphere", "ball") and plane.direct:
        from matplotlib.patches import Circle

        axes.add_patch(Circle((0, 0), radius(scene), fill=False, edgecolor=_EDGE, lw=1.0, zorder=1))
    if plane.method.startswith("the whole sphere"):
        from matplotlib.patches import Ellipse

        width, height = 2 * math.sqrt(2), math.sqrt(2)
        axes.add_patch(Ellipse((0, 0), 2 * width, 2 * height, fill=False, edgecolor=_EDGE, lw=1.0, zorder=1))


def _decoded_below(scene: Scene, plane: Plane, extent: Extent) -> Tensor | None:
    """What the places of the plane decode to, as one picture ``(height, width, 3)``, the upper ones first; None of data
    that are no images, and where the places of the plane are no latents.
    """
    model = scene.model
    if len(model.data.shape) < 2 or scene.space.kind not in ("free", "interval", "ball"):
        return None
    left, right, down, up = extent
    step = max(right - left, up - down) / math.isqrt(held(_TILES**2, model.data))
    across, high = max(1, round((right - left) / step)), max(1, round((up - down) / step))
    x = left + (torch.arange(across) + 0.5) * (right - left) / across
    y = up - (torch.arange(high) + 0.5) * (up - down) / high
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)
    z = plane.lifted(grid)
    if z is None:
        return None
    z = z.to(model.device, model.dtype).reshape(-1, *model.latent_shape)
    lies = scene.space.contains(z).to(z.device)
    z = torch.where(lies.reshape(-1, *[1] * (z.dim() - 1)), z, scene.codes[:1].to(z))
    images = decode_means(model, z, context=scene.given)
    shape = (high, across)
    whole = montage(images.unflatten(0, shape), model.data, blank=~lies.cpu().reshape(shape))
    # Bright strokes on a dark ground would hide the codes: dark ones on a bright ground are the same picture.
    dark = float(whole.float().mean()) < 110 and model.data.shape[0] == 1
    return 255 - whole if dark else whole


def _ellipses(scene: Scene) -> list[tuple[tuple[float, float], float, float, float]]:
    """Centre, two diameters and angle of one standard deviation of ``q(z|x)``, of some examples."""
    with evaluating(scene.model, scene.seed):
        q = scene.model.encode(scene.seen[:_ELLIPSES], rows_of(scene.context, slice(_ELLIPSES)))
        draws = q.sample((500,)).flatten(2).double().cpu()
    centred = draws - draws.mean(0)
    covariances = torch.einsum("nbi,nbj->bij", centred, centred) / len(draws)
    found = []
    for mean, covariance in zip(draws.mean(0), covariances, strict=True):
        if float(covariance.diagonal().sum()) < 1e-12:
            return []
        values, vectors = torch.linalg.eigh(covariance)
        small, large = (2 * values.clamp(min=0).sqrt()).tolist()
        angle = math.degrees(math.atan2(float(vectors[1, 1]), float(vectors[0, 1])))
        found.append(((float(mean[0]), float(mean[1])), large, small, angle))
    return found
