"""What the measuring commands share: options for metrics, and measuring the models of several directories."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genmod.cli import console
from genmod.cli.completion import component_names
from genmod.cli.options import set_option
from genmod.cli.outputs import attach_codes, open_data, open_model, settings_by_owner
from genmod.defaults import METRIC

if TYPE_CHECKING:
    from genmod.bundle.directory import ModelDirectory
    from genmod.evaluation import Evaluation
    from genmod.evaluation.shared import Processes

__all__ = ["MetricSet", "Metrics", "cell", "details", "measure_all", "number"]

Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        "-m",
        metavar="NAME",
        help="What to measure, one of `genmod list metric`, with a value in brackets where it takes one; "
        "repeatable, or with commas between.",
        show_default=METRIC,
        autocompletion=component_names("metric"),
    ),
]
MetricSet = Annotated[
    list[str] | None,
    set_option("NAME.OPTION=VALUE", "Set an option of a metric or of the dataset; repeatable."),
]


def measure_all(
    directories: "Sequence[Path | ModelDirectory]",
    metrics: Sequence[str],
    settings: Sequence[str],
    *,
    split: Literal["train", "validation", "test"],
    seed: int,
    device: str,
    root: Path | None,
    start: Path | None = None,
    processes: int | None = None,
) -> "dict[Path, Evaluation] | None":
    """Measure the model of each directory on its own data, with latents of a model of codes where ``start`` is its directory.

    All names, options and directories are checked before the first is measured. So many processes, or those that torchrun has
    started, share the batches; one alone has something to print, and the others get None.

    Raises:
        UsageError: an unknown metric or option.
        FileError: a directory holds no model.
    """
    from genmod.cli.processes import launched, together

    launched(processes)
    with together(device) as (own, team):
        found = _measured(directories, metrics, settings, split, seed, own, root, start, team)
    return found if team is None or team.leads else None


def _measured(
    directories: "Sequence[Path | ModelDirectory]",
    metrics: Sequence[str],
    settings: Sequence[str],
    split: Literal["train", "validation", "test"],
    seed: int,
    device: str,
    root: Path | None,
    start: Path | None,
    team: "Processes | None",
) -> "dict[Path, Evaluation]":
    from genmod.bundle.directory import ModelDirectory
    from genmod.evaluation.runner import make_metrics, measure, parse_metrics, subject_of

    data, tables = _tables(parse_metrics(metrics or [METRIC]), settings)
    made = make_metrics(tables)
    places = [ModelDirectory.of(directory) for directory in directories]
    specs = [place.read_spec()[0] for place in places]
    kinds = {(spec.components["dataset"].name, str(spec.components["dataset"].options)) for spec in specs}
    if len(kinds) > 1:
        console.warning("these models were built for different data; their numbers cannot be compared")

    from genmod.cli.progress import StepProgress

    found = {}
    for place in places:
        model = open_model(place, device)
        if start is not None:
            attach_codes(model, start, device)
        if len(places) > 1:
            console.note(f"measuring {place.path}")
        with StepProgress() as progress:
            dataset = open_data(model, data, root)
            subject = subject_of(model, dataset, split=split, seed=seed, on_progress=progress, processes=team)
            found[place.path] = measure(made, subject)
        for text in found[place.path].warnings:
            console.warning(f"{place.path}: {text}" if len(places) > 1 else text)
    return found


def _tables(names: Sequence[str], settings: Sequence[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Options of the dataset by path, and a table for each metric.

    Raises:
        UsageError: an option of something that is not measured.
    """
    bare = {name: name.partition("[")[0].strip() for name in names}
    owners = [*dict.fromkeys(bare.values()), "dataset"]
    options = settings_by_owner(settings, owners, remedy="; metrics are chosen with --metric NAME")
    data = {f"dataset.{option}": value for option, value in options["dataset"].items()}
    return data, [{"name": name, **options[bare[name]]} for name in names]


def number(value: float) -> str:
    """A number with three decimals, or three significant digits where it is small.

    Example:
        >>> number(-93.19512), number(0.000123456), number(0.0)
        ('-93.195', '0.000123', '0.000')
    """
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.1 else f"{value:.3g}"


def cell(value: Any) -> str:
    """A value in a table: a float by :func:`number`, ``-`` for None."""
    if value is None:
        return "-"
    return number(value) if isinstance(value, float) else str(value)


def details(more: Mapping[str, Any]) -> str:
    """The details of a number in one line; long lists are left to ``--json``.

    Example:
        >>> details({"samples": 10, "ess": 3.14159, "indices": list(range(100))})
        'samples 10, ess 3.142'
    """
    short = {name: number(value) if isinstance(value, float) else str(value) for name, value in more.items()}
    return ", ".join(f"{name} {text}" for name, text in short.items() if len(text) <= 40)
