"""Drawing helpers for the figures of latents: points, images, labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genmod.data.dataset import Batch, DataInfo
from genmod.errors import UsageError
from genmod.figures.names import drawable
from genmod.figures.palette import CLASSES, INK, LINE, MARK, PAPER, QUIET
from genmod.figures.tiles import side_by_side, tiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Groups",
    "bare",
    "draw_path",
    "groups_of",
    "kept_apart",
    "montage",
    "name_axes",
    "scatter",
    "show_tiles",
]


@dataclass(frozen=True)
class Groups:
    """Groups of examples, by colour.

    Args:
        numbers: group of each example, ``(N,)`` ``int64``; None without groups.
        names: of the groups.
        what: ``class``, or the name of a factor.
    """

    numbers: Tensor | None
    names: tuple[str, ...] = ()
    what: str = ""


def groups_of(batch: Batch, data: DataInfo, by: str | None = None) -> Groups:
    """Classes of examples, or the values of one of their factors.

    Args:
        batch: the examples.
        data: names of classes and factors.
        by: ``label`` or the name of a factor; by default the label, else the first factor.

    Raises:
        UsageError: the data have no such factor, or no labels.
    """
    factors = (
        {factor.name: place for place, factor in enumerate(data.factors)} if batch.factors is not None else {}
    )
    known = [*(["label"] if batch.labels is not None else []), *factors]
    if by is not None and by not in known:
        raise UsageError(
            f"examples cannot be coloured by {by!r}",
            hint=f"one of: {', '.join(known)}" if known else "these data have neither labels nor factors",
        )
    chosen = by or next(iter(known), None)
    if chosen is None:
        return Groups(None)
    if chosen == "label" and batch.labels is not None:
        numbers, names = batch.labels, data.classes
    else:
        assert batch.factors is not None
        factor = data.factors[factors[chosen]]
        numbers, names = batch.factors[:, factors[chosen]], factor.values
    count = max(len(names), int(numbers.max()) + 1)
    names = tuple(names[i] if i < len(names) else str(i) for i in range(count))
    return Groups(numbers.cpu(), names, "class" if chosen == "label" else chosen)


def scatter(axes: "Axes", points: Tensor, groups: Groups, *, legend: bool = True) -> None:
    """Points ``(N, 2)`` coloured by group: up to ten groups have marks with their names and a legend; more have a scale.

    Args:
        axes: to draw in.
        points: places.
        groups: of the points.
        legend: whether groups with marks have a legend too; those whose names are too long for marks always have one.
    """
    x, y = points.T.tolist()
    # Few points are large, many small.
    size = min(18.0, max(6.0, 9000 / max(1, len(points))))
    style: dict[str, Any] = {"s": size, "linewidths": 0.25, "edgecolors": INK, "zorder": 3}
    if groups.numbers is None:
        axes.scatter(x, y, color=CLASSES[0], **style)
        return
    numbers = groups.numbers[: len(points)]
    if len(groups.names) > len(CLASSES):
        drawn = axes.scatter(x, y, c=numbers.tolist(), cmap="viridis", **style)
        bar = axes.figure.colorbar(drawn, ax=axes, shrink=0.8, pad=0.02, aspect=30)
        bar.set_label(drawable(groups.what), color=QUIET)
        bar.outline.set_visible(False)  # type: ignore[operator]
        return
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(0)).tolist()
    axes.scatter(
        [x[i] for i in order], [y[i] for i in order], c=[CLASSES[int(numbers[i])] for i in order], **style
    )
    short = max(map(len, groups.names)) <= 2
    if short:
        _mark_groups(axes, points, numbers, groups.names)
        if not legend:
            return
    for number, name in enumerate(groups.names):
        axes.scatter(
            [], [], color=CLASSES[number], s=30, linewidths=0.25, edgecolors=INK, label=drawable(name)
        )
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.09),
        ncols=10 if short else 5,
        frameon=False,
        fontsize=9,
        handletextpad=0.0 if short else 0.2,
        columnspacing=0.8,
        labelcolor=QUIET,
    )


def _mark_groups(axes: "Axes", points: Tensor, numbers: Tensor, names: Sequence[str]) -> None:
    """The name of each group on a disc of its colour, in its midst, at a distance from the others."""
    known = [number for number in range(len(names)) if bool((numbers == number).any())]
    # At a member, so that the mark of a ring is not in its hole.
    members = [points[numbers == number] for number in known]
    at = torch.stack([mine[(mine - mine.median(0).values).square().sum(1).argmin()] for mine in members])
    spread = (points.quantile(0.98, dim=0) - points.quantile(0.02, dim=0)).clamp(min=1e-9)
    for number, (x, y) in zip(known, (kept_apart(at / spread) * spread).tolist(), strict=True):
        colour = CLASSES[number]
        light = sum(int(colour[i : i + 2], 16) for i in (1, 3, 5)) > 3 * 128
        axes.text(
            x, y, drawable(names[number]), ha="center", va="center", fontsize=10, fontweight="bold",
            color=INK if light else "white", zorder=9,
            bbox={"boxstyle": "circle,pad=0.25", "facecolor": colour, "edgecolor": "white", "linewidth": 1.5},
        )  # fmt: skip


def kept_apart(at: Tensor, apart: float = 0.07) -> Tensor:
    """Places ``(N, 2)``, those nearer to each other than ``apart`` moved away from each other."""
    # Those in one place go different ways.
    turn = 2.4 * torch.arange(len(at), dtype=torch.float64)
    at = at.double() + 1e-4 * torch.stack([turn.cos(), turn.sin()], 1)
    for _ in range(60):
        between = at[:, None] - at
        distance = between.norm(dim=2).clamp(min=1e-9)
        push = (apart - distance).clamp(min=0).fill_diagonal_(0)
        at = at + 0.5 * (between / distance[..., None] * push[..., None]).sum(1)
    return at


def montage(
    images: Tensor,
    data: DataInfo,
    *,
    gap: int | None = None,
    scale: int | None = None,
    blank: Tensor | None = None,
) -> Tensor:
    """Pictures ``(rows, columns, *data.shape)`` as one, ``(height, width, 3)`` ``uint8``.

    Args:
        images: values.
        data: their shape and range.
        gap: pixels between them, by default a twentieth of a tile.
        scale: pixels for each pixel.
        blank: ``(rows, columns)``, where nothing is to be shown.
    """
    columns = images.shape[1]
    pixels = tiles(images.flatten(0, 1), data, scale)
    gap = max(2, pixels.shape[2] // 20) if gap is None else gap
    if blank is not None:
        pixels[blank.flatten()] = PAPER
    return side_by_side(pixels, columns, gap, PAPER)


def show_tiles(
    axes: "Axes",
    images: Tensor,
    data: DataInfo,
    *,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    gap: int | None = None,
    scale: int | None = None,
    blank: Tensor | None = None,
    marked: Tensor | None = None,
) -> None:
    """Pictures ``(rows, columns, *data.shape)`` in axes, with a label to each row and each column.

    Those ``marked (rows, columns)`` have frames.
    """
    whole = montage(images, data, gap=gap, scale=scale, blank=blank)
    # Strips of tables have no shape of their own, so they fill the width.
    axes.imshow(
        whole.numpy(), interpolation="antialiased", aspect="auto" if len(data.shape) == 1 else "equal"
    )
    for spine in axes.spines.values():
        spine.set_visible(False)
    down, across = images.shape[:2]
    step_y, step_x = whole.shape[0] / down, whole.shape[1] / across
    every = max(1, -(-len(columns) // 12))
    places = list(range(0, len(columns), every))
    axes.set_yticks([(i + 0.5) * step_y for i in range(len(rows))], [*map(drawable, rows)])
    axes.set_xticks([(i + 0.5) * step_x for i in places], [drawable(columns[i]) for i in places])
    axes.tick_params(length=0, labelsize=9, labelcolor=QUIET, top=False, labeltop=True, labelbottom=False)
    if marked is not None:
        from matplotlib.patches import Rectangle

        for row, column in marked.nonzero().tolist():
            corner = (column * step_x - 0.5, row * step_y - 0.5)
            axes.add_patch(
                Rectangle(corner, step_x - 1, step_y - 1, fill=False, edgecolor=MARK, lw=2.2, clip_on=False)
            )


def draw_path(axes: "Axes", path: Tensor, *, joined: bool = True) -> None:
    """A path of points ``(T, 2)`` over a scatter, as dots on a line."""
    axes.plot(*path.T.tolist(), color="white", lw=3.6 if joined else 0.0, zorder=6)
    axes.plot(
        *path.T.tolist(), color=INK, lw=1.4 if joined else 0.0, marker="o", ms=3.5, mfc="white", zorder=7
    )


def name_axes(axes: "Axes", x: str, y: str = "") -> None:
    """Quiet names of both axes."""
    axes.set_xlabel(x, color=QUIET, fontsize=9)
    axes.set_ylabel(y, color=QUIET, fontsize=9)


def bare(axes: "Axes", title: str = "", note: str = "") -> None:
    """A title at the left, a note below it, quiet ticks, no frame but two lines."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(LINE)
    axes.tick_params(labelsize=8, labelcolor=QUIET, color=LINE)
    if not note:
        axes.set_title(title, loc="left", fontsize=12, color=INK, fontweight="bold")
        return
    # Titles keep clear of labels at the top by themselves; the bold line stands on the quiet one.
    below = axes.set_title(note, loc="left", fontsize=9, color=QUIET)
    axes.annotate(
        title, (0, 1), (0, 3), xycoords=below, textcoords="offset points", fontsize=12, color=INK,
        fontweight="bold", va="bottom", annotation_clip=False,
    )  # fmt: skip
