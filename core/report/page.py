"""One page about one model or several."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from genmod.bundle.differences import differing, flattened
from genmod.bundle.directory import ModelDirectory
from genmod.data.dataset import Dataset, SplitName
from genmod.errors import UsageError
from genmod.evaluation.runner import MetricName, make_metrics
from genmod.evaluation.shared import Processes
from genmod.experiments.compare import Difference, differences
from genmod.figures.curves import drawn_once
from genmod.figures.palette import CLASSES, CLASSES_ON_DARK, RUNS, RUNS_ON_DARK
from genmod.model.assembly import open_dataset
from genmod.options.text import option_text
from genmod.report.charts import Chart, curves_chart
from genmod.report.model_page import ModelPage, look_at
from genmod.system.environment import versions

__all__ = ["measured", "render", "report"]


def report(
    directories: Sequence[Path | str | ModelDirectory] | Path | str | ModelDirectory,
    metrics: Sequence[MetricName] = (),
    *,
    split: SplitName = "test",
    seed: int = 0,
    device: str = "auto",
    root: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
    processes: Processes | None = None,
) -> str:
    """One page about a model, or about several side by side: a whole HTML document that needs nothing else.

    Args:
        directories: of models; one or several.
        metrics: beside the ELBO and its parts, as :func:`genmod.evaluate` takes them.
        split: to measure and show.
        seed: of everything that is drawn.
        device: where to compute.
        root: folder with data files.
        settings: options of the datasets, set anew, by path: ``{"dataset.path": "other.npz"}``.
        on_progress: called with the task, the steps done and their total.
        processes: that share the examples to measure and the pictures to make; all have the same page. None for one.

    Raises:
        FileError: a directory holds no model.
        UsageError: no directory, an unknown metric or wrong options.
        DataError: the data of a model are missing.

    Example:
        >>> import genmod, tempfile
        >>> directory = genmod.save(genmod.build(encoder="mlp", latent=2), tempfile.mkdtemp() + "/model")
        >>> page = report(directory, device="cpu")
        >>> page.startswith("<!DOCTYPE html>"), "not trained" in page
        (True, True)
    """
    given = [directories] if isinstance(directories, str | Path | ModelDirectory) else directories
    places = list(dict.fromkeys(map(ModelDirectory.of, given)))
    if not places:
        raise UsageError("no model to write about", hint="give the directory of one")
    # Errors come before anything is computed.
    make_metrics(metrics)
    for place in places:
        place.read_spec()
    pages = []
    for place in places:
        page = look_at(
            place,
            _open(place, settings or {}, root),
            metrics,
            split=split,
            seed=seed,
            device=device,
            models=len(places),
            on_progress=on_progress,
            processes=processes,
        )
        pages.append(page)
    return render(pages, places, split=split, seed=seed)


def _open(place: ModelDirectory, settings: Mapping[str, Any], root: Path | None) -> Dataset:
    spec, info = place.read_spec()
    return open_dataset(spec.with_options(settings) if settings else place.with_dataset(), root, info=info)


def render(pages: Sequence[ModelPage], places: Sequence[ModelDirectory], *, split: str, seed: int) -> str:
    """The document: every text in it is escaped, those of drawings by matplotlib."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FunctionLoader(
            lambda name: files("genmod.report").joinpath(name).read_text(encoding="utf-8")
        ),
    )
    environment.filters |= {"number": _number, "option": option_text}
    environment.globals |= {"measured": measured}
    return (
        environment.get_template("report.html.jinja")
        .render(
            pages=pages,
            several=len(pages) > 1,
            split=split,
            seed=seed,
            settings=_differing(places),
            numbers=_numbers(pages),
            differences=_differences(pages),
            curves=_curves(pages),
            made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            version=versions().get("genmod-torch", "unknown"),
            files=_FILES,
            lines=_lines(pages),
            classes=CLASSES,
            classes_on_dark=CLASSES_ON_DARK,
            runs=RUNS,
            runs_on_dark=RUNS_ON_DARK,
        )
        .strip()
        + "\n"
    )


_FILES = {
    "model.json": "every part and every option",
    "run.json": "command, settings, versions, machine",
    "metrics.jsonl": "the rows behind the curves",
}


def _differing(places: Sequence[ModelDirectory]) -> list[tuple[str, list[str]]]:
    """Options in which models and runs differ: path, and the value in each."""
    each = [flattened(place) for place in places]
    return [
        (path, [option_text(values[path]) if path in values else "" for values in each])
        for path in differing(each)
    ]


def _numbers(pages: Sequence[ModelPage]) -> list[dict[str, Any]]:
    """A line for each number that is defined or undefined for some model."""
    rows = {row.name: row for page in pages for row in page.evaluation.rows}
    found = []
    for name in dict.fromkeys([*rows, *(n for page in pages for n in page.evaluation.undefined)]):
        own = [next((r for r in page.evaluation.rows if r.name == name), None) for page in pages]
        why = [page.evaluation.undefined.get(name, "not measured") for page in pages]
        found.append({"name": name, "first": rows.get(name), "rows": list(zip(own, why, strict=True))})
    return found


def _differences(pages: Sequence[ModelPage]) -> list[Difference]:
    if len(pages) < 2 or len({page.summary.parts[-1].name for page in pages}) > 1:
        return []
    if len({page.data for page in pages}) > 1:
        return []
    return differences({page.name: page.evaluation for page in pages})


def _curves(pages: Sequence[ModelPage]) -> list[Chart]:
    found = drawn_once([curve for page in pages for curve in page.curves])
    names = [page.name for page in pages]
    metrics = dict.fromkeys(curve.metric for curve in found)
    return [curves_chart([c for c in found if c.metric == metric], names) for metric in metrics]


def _lines(pages: Sequence[ModelPage]) -> list[tuple[str, int, bool]]:
    """The legend of the curves: name, number of the colour, and whether the line is dashed."""
    found = []
    for place, page in enumerate(pages):
        for split in ("train", "validation"):
            if any(curve.split == split for curve in page.curves):
                if len(pages) == 1:
                    found.append((split, int(split == "validation"), False))
                else:
                    found.append((f"{page.name}: {split}", place % len(RUNS), split == "train"))
    return found


def measured(value: float, error: float) -> tuple[str, str]:
    """A number and its standard error, to two significant digits of the error.

    Example:
        >>> measured(-29.87934, 0.1931), measured(1234.5, float("nan"))
        (('-29.88', '0.19'), ('1,234.5', 'unknown'))
    """
    if not math.isfinite(error) or not math.isfinite(value) or not 1e-8 < error < 1e8:
        return _number(value), _number(error)
    places = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:,.{places}f}", f"{error:,.{places}f}"


def _number(value: float) -> str:
    """A number to about four significant digits, without exponents where that is readable."""
    if value != value:
        return "unknown"
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        places = 3 if abs(value) < 100 else 2 if abs(value) < 1000 else 1
        return f"{value:,.{places}f}"
    return f"{value:.3g}"
