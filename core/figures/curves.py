"""Curves of runs, from their ``metrics.jsonl``."""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genmod.bundle.directory import ModelDirectory
from genmod.errors import DataWarning, UndefinedError, UsageError, quoted
from genmod.figures.axes import log_scale, most_of
from genmod.figures.names import drawable
from genmod.figures.palette import RUNS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "MAIN",
    "Curve",
    "curves",
    "curves_of",
    "draw",
    "drawn_once",
    "metrics_of",
    "read_curves",
    "running_mean",
]

MAIN = ("loss", "elbo", "rate", "distortion")
"""The metrics that are drawn by default, where there are rows of them."""

_IN_NATS = MAIN[1:]
"""Those in nats whatever the parts of a model are: a loss may be one of a critic too, and the other units only the component
knows which reports them."""

_MOST = 24
"""Metrics that are drawn at once."""

_NOT_METRICS = ("step", "epoch", "split")


@dataclass(frozen=True)
class Curve:
    """One metric of one split over one run.

    Args:
        run: name of the directory.
        metric: its name in ``metrics.jsonl``.
        split: ``train``, means over the examples since the row before, or ``validation``.
        steps: optimizer steps done at each point.
        epochs: passes over the data done at each point.
        values: of the metric.
        window: number of rows averaged in each value.
        also: what else it is, such as ``-elbo``.
    """

    run: str
    metric: str
    split: str
    steps: tuple[int, ...]
    epochs: tuple[float, ...]
    values: tuple[float, ...]
    window: int = 1
    also: str = ""

    @property
    def label(self) -> str:
        """The name in a legend."""
        return self.split + (f", mean of {self.window} rows" if self.window > 1 else "")


def metrics_of(directory: Path | str) -> tuple[str, ...]:
    """The metrics of the rows of a run, in the order of their first rows."""
    rows = ModelDirectory(Path(directory)).read_rows()
    return tuple(dict.fromkeys(name for row in rows for name in row if name not in _NOT_METRICS))


def read_curves(
    directories: Iterable[Path | str | ModelDirectory], metrics: Sequence[str] = (), *, smooth: int = 1
) -> list[Curve]:
    """Every curve of some metrics of some runs: run by run, metric by metric, training before validation.

    Args:
        directories: of models.
        metrics: names; those of :data:`MAIN` that there are by default.
        smooth: number of rows of training averaged in each value; validation is not smoothed.

    Raises:
        FileError: a directory holds no model.
        UndefinedError: nothing was trained in one, or there are no finite values.
        UsageError: no run has such a metric, or fewer than one row is to be averaged.
    """
    found = {}
    for place in map(ModelDirectory.of, directories):
        place.check()
        rows = place.read_rows()
        if not rows:
            raise UndefinedError(
                f"{place.path} has no metrics: nothing was trained there",
                hint=f"train it first: genmod train {quoted(place.path)}",
            )
        found[str(place.path)] = rows
    return curves_of(found, metrics, smooth=smooth)


def curves_of(
    found: Mapping[str, Sequence[Mapping[str, Any]]], metrics: Sequence[str] = (), *, smooth: int = 1
) -> list[Curve]:
    """:func:`read_curves` of the rows of runs, by the names of these."""
    if smooth < 1:
        raise UsageError(f"means of {smooth} rows were asked for; give a whole number from 1")
    known = list(dict.fromkeys(name for rows in found.values() for row in rows for name in row))
    known = [name for name in known if name not in _NOT_METRICS]
    for name in metrics:
        if name not in known:
            close = get_close_matches(name, known, 1)
            raise UsageError(
                f"there is no metric {name!r} in these runs"
                + (f"; did you mean {close[0]}?" if close else ""),
                hint=f"one of: {', '.join(known[:_MOST])}",
            )
    wanted = list(dict.fromkeys(metrics)) or [name for name in MAIN if name in known] or known
    if len(wanted) > _MOST and not metrics:
        warnings.warn(
            f"these are the first {_MOST} of {len(wanted):,} metrics; choose others: genmod plot --metric NAME,NAME",
            DataWarning,
            stacklevel=2,
        )
        wanted = wanted[:_MOST]
    read = [
        curve
        if split == "validation"
        else replace(curve, values=running_mean(curve.values, smooth), window=smooth)
        for run, rows in found.items()
        for metric in wanted
        for split in ("train", "validation")
        if (curve := _curve(run, rows, metric, split)) is not None
    ]
    if not read:
        raise UndefinedError(
            f"there is no number of {', '.join(wanted[:_MOST]) or 'any metric'} in these runs",
            hint="train again: genmod train DIR --overwrite",
        )
    return read


def drawn_once(found: Sequence[Curve]) -> list[Curve]:
    """The curves without those of the ELBO, where the loss of all runs and splits is that with its sign changed."""
    kept: dict[str, dict[tuple[str, str], Curve]] = {"loss": {}, "elbo": {}}
    for curve in found:
        if curve.metric in kept:
            kept[curve.metric][curve.run, curve.split] = curve
    losses, bounds = kept["loss"], kept["elbo"]
    if losses.keys() != bounds.keys() or not all(_mirrored(losses[key], bounds[key]) for key in losses):
        return list(found)
    return [
        replace(curve, also="-elbo") if curve.metric == "loss" else curve
        for curve in found
        if curve.metric != "elbo"
    ]


def _mirrored(a: Curve, b: Curve) -> bool:
    pairs = zip(a.values, b.values, strict=False)
    return a.steps == b.steps and all(math.isclose(x, -y, rel_tol=1e-6, abs_tol=1e-6) for x, y in pairs)


def running_mean(values: Sequence[float], window: int) -> tuple[float, ...]:
    """The mean of each value and those before it, ``window`` of them; fewer at the beginning.

    Example:
        >>> running_mean([4.0, 2.0, 0.0], 2)
        (4.0, 3.0, 1.0)
    """
    parts = (values[max(0, end - window) : end] for end in range(1, len(values) + 1))
    return tuple(sum(part) / len(part) for part in parts)


def curves(
    directories: Sequence[Path | str] | Path | str,
    metrics: Sequence[str] = (),
    *,
    smooth: int = 1,
    log: bool = False,
    x: str = "step",
) -> "Figure":
    """The curves of one run or of several.

    Args:
        directories: of models; one or several.
        metrics: names, a panel each; those of :data:`MAIN` that there are by default.
        smooth: number of rows of training averaged in each value; the rows themselves are drawn faintly behind.
        log: logarithmic in the values, in the panels where all of them are positive.
        x: ``step`` or ``epoch``.

    Returns:
        A matplotlib figure; ``.savefig("curves.svg")`` writes it.

    Raises:
        FileError: a directory holds no model.
        UndefinedError: nothing was trained in one.
        UsageError: no run has such a metric.

    Example:
        >>> import genmod, tempfile
        >>> directory = tempfile.mkdtemp()
        >>> model = genmod.build(encoder="mlp", latent=2)
        >>> result = genmod.train(model, directory=f"{directory}/model", steps=4, device="cpu")
        >>> [axes.get_ylabel() for axes in curves(f"{directory}/model").axes]
        ['loss = -elbo (nats)', 'rate (nats)', 'distortion (nats)']
    """
    places = [directories] if isinstance(directories, str | Path) else list(directories)
    behind = [curve for curve in read_curves(places, metrics) if curve.split == "train"] if smooth > 1 else []
    found = read_curves(places, metrics, smooth=smooth)
    return draw(found if metrics else drawn_once(found), behind=behind, log=log, x=x)


def draw(
    found: Sequence[Curve],
    *,
    behind: Sequence[Curve] = (),
    log: bool = False,
    x: str = "step",
    runs: Sequence[str] = (),
) -> "Figure":
    """Curves as a matplotlib figure, a panel for each metric.

    Extreme values, as of the first steps of a run, lie outside the panels, which say so.

    Args:
        found: curves to draw.
        behind: curves before smoothing, drawn faintly and without a legend.
        log: logarithmic in the values, in the panels where all of them are positive.
        x: ``step`` or ``epoch``.
        runs: names of all runs, each of which has a colour; by default those that have curves.

    Raises:
        UsageError: ``x`` is neither of these.
    """
    from genmod.figures.notebook import ShownFigure

    if x not in ("step", "epoch"):
        raise UsageError(f"curves over {x!r}", hint="over step or epoch")
    metrics = list(dict.fromkeys(curve.metric for curve in found))
    if len(metrics) > _MOST:
        raise UsageError(
            f"{len(metrics):,} metrics cannot be drawn at once; at most {_MOST} can",
            hint="choose some: genmod plot --metric NAME,NAME; or write all numbers: genmod plot -o curves.csv",
        )
    runs = list(runs) or list(dict.fromkeys(curve.run for curve in found))
    across = 3 if len(metrics) == 3 else min(2, len(metrics))
    down = -(-len(metrics) // across)
    figure = ShownFigure(
        figsize=((4.4 if across == 3 else 5.4) * across + 0.4, 3.3 * down + 0.5),
        layout="constrained",
        dpi=120,
    )
    panels = figure.subplots(down, across, squeeze=False, sharex=True).flatten()
    for panel, metric in zip(panels, metrics, strict=False):
        for faint, some in ((True, behind), (False, found)):
            for curve in some:
                if curve.metric == metric:
                    _line(panel, curve, runs, x=x, faint=faint)
        own = [curve.values for curve in found if curve.metric == metric]
        values = [value for each in own for value in each]
        _dress(panel, metric, x, log=log, values=values)
        also = next((curve.also for curve in found if curve.metric == metric), "")
        if also:
            panel.set_ylabel(f"{metric} = {also} (nats)")
        if panel.get_yscale() != "log":
            most_of(panel, own)
    for panel in panels[len(metrics) :]:
        panel.remove()
    lines: dict[str, Any] = {}
    for panel in panels[: len(metrics)]:
        for line, label in zip(*panel.get_legend_handles_labels(), strict=True):
            lines.setdefault(str(label), line)
    figure.legend(
        list(lines.values()),
        list(lines),
        loc="outside upper left",
        # A letter of this size is a thirteenth of an inch wide.
        ncols=max(1, min(len(lines), int(figure.get_figwidth() / (0.6 + max(map(len, lines)) / 13)))),
        frameon=False,
        fontsize=9,
    )
    return figure


def _line(panel: "Axes", curve: Curve, runs: Sequence[str], *, x: str, faint: bool) -> None:
    validation = curve.split == "validation"
    place = runs.index(curve.run)
    # One run alone has a colour for each split, several have one each.
    colour = RUNS[(int(validation) if len(runs) == 1 else place) % len(RUNS)]
    label = curve.label if len(runs) == 1 else f"{drawable(curve.run)}: {curve.label}"
    style: dict[str, Any] = {"color": colour, "linewidth": 1.2 if not validation else 1.8}
    if validation:
        style |= {"marker": "o", "markersize": 3 if len(curve.values) <= 40 else 0}
    elif len(runs) > 1:
        style |= {"linestyle": (0, (3, 1.5)), "alpha": 0.75}
    if faint:
        style |= {"alpha": 0.25, "linewidth": 0.9, "linestyle": "-", "markersize": 0}
    panel.plot(
        curve.steps if x == "step" else curve.epochs, curve.values, label="_" if faint else label, **style
    )


def _dress(panel: "Axes", metric: str, x: str, *, log: bool, values: Sequence[float]) -> None:
    panel.set_ylabel(drawable(metric) + (" (nats)" if metric in _IN_NATS else ""))
    panel.set_xlabel(x)
    if log and values and min(values) > 0:
        log_scale(panel, values)
    panel.grid(color="#8888", linewidth=0.4, alpha=0.35)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelbottom=True)


def _curve(run: str, rows: Sequence[Mapping[str, Any]], metric: str, split: str) -> Curve | None:
    """None where there are no values of it."""
    own = [row for row in rows if row.get("split") == split and isinstance(row.get(metric), int | float)]
    if not own:
        return None
    return Curve(
        run,
        metric,
        split,
        tuple(row["step"] for row in own),
        tuple(float(row.get("epoch") or 0.0) for row in own),
        tuple(float(row[metric]) for row in own),
    )
