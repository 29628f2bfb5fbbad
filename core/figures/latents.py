"""One figure of the latents of a model: codes, decodings between them, activity of dimensions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from torch import Tensor

from genmod.data.dataset import Split
from genmod.errors import UndefinedError, UsageError
from genmod.figures.draw import groups_of
from genmod.figures.gaps import Gap
from genmod.figures.names import drawable
from genmod.figures.palette import INK
from genmod.figures.panels import MAKERS, Drawer
from genmod.figures.picture import arrays_as
from genmod.figures.plane import Projection
from genmod.figures.saving import check_format, save_figure
from genmod.figures.scene import Scene, encoded_and_compared
from genmod.figures.table_panels import TABLE_MAKERS
from genmod.figures.tiles import enlargement
from genmod.figures.views import observed
from genmod.model.latent_variable import LatentVariableModel
from genmod.system.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FIGURE_FORMATS", "PANELS", "Latents", "Panel", "check_panels", "latents_figure"]

Panel = Literal["scatter", "manifold", "kl", "traversals", "gaps", "marginals", "pairs", "correlations"]
PANELS: tuple[Panel, ...] = get_args(Panel)

FIGURE_FORMATS = (".png", ".svg", ".pdf", ".npz", ".safetensors")


@dataclass
class Latents:
    """A figure of the latents of a model, its numbers, and the panels that were left out.

    Args:
        figure: drawn; a matplotlib ``Figure`` that belongs to no backend.
        arrays: by name: ``codes (N, *latent_shape)``, ``plane (N, 2)``, ``labels (N,)`` and what each panel shows.
        left_out: panel → why it is left out.
        gap: the measured gaps.
    """

    figure: "Figure"
    arrays: dict[str, Tensor]
    left_out: dict[str, str]
    gap: Gap | None = None

    def save(self, path: Path | str) -> None:
        """Write it in one step: ``.png``, ``.svg`` or ``.pdf`` the figure, ``.npz`` or ``.safetensors`` the arrays.

        Raises:
            UsageError: the suffix is none of these.
            FileError: the file cannot be written.
        """
        path = Path(path)
        check_format(path, FIGURE_FORMATS)
        if path.suffix.lower() in (".npz", ".safetensors"):
            write_bytes(path, arrays_as(path.suffix.lower(), self.arrays))
        else:
            save_figure(self.figure, path)


def check_panels(panels: Sequence[str]) -> None:
    """Refuse names of panels that there are not.

    Raises:
        UsageError: an unknown name; the hint has all of them.
    """
    wrong = [panel for panel in panels if panel not in PANELS]
    if wrong:
        raise UsageError(
            f"no such panel: {', '.join(map(repr, wrong))}", hint=f"--panel takes {', '.join(PANELS)}"
        )


def latents_figure(
    model: LatentVariableModel,
    split: Split,
    *,
    reference: Split | None = None,
    panels: Sequence[str] = (),
    number: int = 2000,
    projection: Projection = "auto",
    colour_by: str | None = None,
    name: str = "",
    seed: int = 0,
) -> Latents:
    """Draw the latents of a model.

    Panels: ``scatter``, the codes of examples and contours of the prior; ``manifold``, decodings of a grid over a
    latent space of two dimensions; ``kl``, the activity of each dimension; ``traversals`` of the most active
    dimensions; ``gaps``, decodings on the line between two codes that is farthest from all others and of draws, and the
    share of draws that decode to what is like no example; of tables ``marginals``, ``pairs`` and ``correlations`` of their
    columns beside those of generated rows. Undefined panels are left out; :attr:`Latents.left_out` says why.

    Args:
        model: any model.
        split: examples to encode.
        reference: other examples, to compare decodings with; by default those of the split that are not encoded, or
            its second half.
        panels: names, in their order; by default all that the kind of data has.
        number: examples to encode.
        projection: ``auto``, ``pca`` or ``tsne``.
        colour_by: ``label`` or the name of a factor.
        name: of the model, for the title.
        seed: of everything that is drawn at random.

    Raises:
        UsageError: an unknown panel, projection or factor, or too few examples.
        UndefinedError: none of the panels is defined for this model, or codes are not finite.

    Example:
        >>> import genmod
        >>> model = genmod.build(encoder="mlp", latent=2)
        >>> from genmod.model.assembly import open_dataset
        >>> drawn = latents_figure(model, open_dataset(model.spec).split("test"), panels=["kl"])
        >>> sorted(drawn.arrays)
        ['codes', 'kl', 'labels', 'order']
    """
    check_panels(panels)
    if min(number, len(split)) < 16:
        raise UsageError(
            f"the latents of {min(number, len(split))} examples cannot be drawn; give 16 or more"
        )
    split = model.suited(split)
    batch, compared = encoded_and_compared(model, split, reference, number, seed=seed)
    scene = Scene(
        model,
        observed(model, batch.x, seed=seed),
        model.context(batch),
        compared.x,
        groups_of(batch, split.info or model.data, colour_by),
        projection,
        seed,
        batch,
    )
    scene.arrays["codes"] = scene.codes
    if scene.groups.numbers is not None:
        scene.arrays["labels"] = scene.groups.numbers
    drawers, left_out = {}, {}
    usual = [panel for panel in PANELS if len(model.data.shape) == 1 or panel not in TABLE_MAKERS]
    for panel in panels or usual:
        try:
            drawers[panel] = {**MAKERS, **TABLE_MAKERS}[panel](scene)
        except UndefinedError as error:
            left_out[panel] = error.message
    if not drawers:
        raise UndefinedError(
            "none of these panels can be drawn of this model: "
            + "; ".join(f"{panel}: {reason}" for panel, reason in left_out.items()),
            hint=f"other panels: {', '.join(p for p in usual if p not in left_out) or 'none'}",
        )
    shown = scene.arrays.get("traversals_images")
    rows = 0 if shown is None else len(shown)
    figure = _laid_out(drawers, _title(scene, name, len(batch)), max(0.0, 0.62 * (rows - 4)))
    arrays = {key: tensor.detach().cpu().contiguous() for key, tensor in scene.arrays.items()}
    return Latents(figure, arrays, left_out, scene.gap)


def _title(scene: Scene, name: str, n: int) -> str:
    shape = " × ".join(map(str, scene.model.latent_shape))
    kinds = {
        "sphere": "on the unit sphere",
        "ball": "in a ball",
        "choice": "of classes",
        "bits": "of bits",
    }
    kind = kinds.get(scene.space.kind, "")
    start = f"{name}: latents" if name else "Latents"
    how = enlargement(scene.model.data)
    text = f"{start} {kind} ({shape} numbers) of {n:,} examples, seed {scene.seed}".replace("  ", " ")
    return f"{drawable(text)}{'; ' * bool(how)}{how}"


_HEIGHTS = {
    "scatter": 6.4,
    "manifold": 6.4,
    "kl": 3.0,
    "traversals": 3.0,
    "gaps": 4.2,
    "marginals": 5.6,
    "pairs": 5.6,
    "correlations": 4.2,
}


def _laid_out(drawers: Mapping[str, Drawer], title: str, taller: float) -> "Figure":
    """Panels from top to bottom, scatter beside manifold, and KL beside traversals, which are taller by some inches."""
    from genmod.figures.notebook import ShownFigure

    rows: list[list[str]] = []
    for panel in drawers:
        mate = {"manifold": "scatter", "traversals": "kl", "correlations": "pairs"}.get(panel)
        if rows and rows[-1] == [mate]:
            rows[-1].append(panel)
        else:
            rows.append([panel])
    heights = [_HEIGHTS[row[0]] + taller * ("traversals" in row) for row in rows]
    width = (
        12.5
        if any(len(row) > 1 for row in rows) or not drawers.keys().isdisjoint({"gaps", *TABLE_MAKERS})
        else 7.0
    )
    figure = ShownFigure(
        figsize=(width, sum(heights) + 0.5), dpi=110, layout="constrained", facecolor="white"
    )
    figure.suptitle(title, fontsize=13, color=INK, ha="left", x=0.01)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)  # type: ignore[union-attr,call-arg]
    parts = figure.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)
    for row, part in zip(rows, parts[:, 0], strict=True):
        ratios = [1.0, 1.25] if row == ["kl", "traversals"] else [1.0] * len(row)
        axes = part.subplots(1, len(row), squeeze=False, width_ratios=ratios)[0]
        for panel, each in zip(row, axes, strict=True):
            drawers[panel](each)
    return figure
