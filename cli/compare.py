"""``genmod compare``."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genmod.cli import console
from genmod.cli.completion import model_directories
from genmod.cli.metrics import Metrics, MetricSet, cell, measure_all
from genmod.cli.options import DataRoot, Device, Json, ProcessCount, Seed, SplitOption
from genmod.errors import UsageError

if TYPE_CHECKING:
    from genmod.bundle.directory import ModelDirectory
    from genmod.experiments.compare import Difference

__all__ = ["compare"]

Format = Literal["table", "markdown", "csv", "latex", "json"]


def compare(
    directories: Annotated[
        list[Path],
        typer.Argument(metavar="DIR…", help="Model directories.", autocompletion=model_directories),
    ],
    metric: Metrics = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The model that the others are compared with.",
            show_default="the first of them",
        ),
    ] = None,
    split: SplitOption = "test",
    seed: Seed = 0,
    device: Device = "auto",
    set_: MetricSet = None,
    data_root: DataRoot = None,
    processes: ProcessCount = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print it.")] = "table",
    json: Json = False,
    pictures: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw codes, gaps and decodings of all side by side, a .png.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE where it exists.")] = False,
) -> None:
    """Compare models side by side.

    The first table has the options in which the models differ, and their numbers with standard errors. The second has
    the difference of each model from the reference, on the same examples, and whether it is significant, corrected
    for the number of comparisons. A csv has the first table only.

    Examples:
      genmod compare model other
      genmod compare sweep/* --metric elbo,active-units --format markdown
      genmod compare ae vae --metric mse --pictures gaps.png
      genmod compare ae vae --metric fid --processes 4
    """
    from genmod.bundle.differences import differing, flattened
    from genmod.bundle.directory import ModelDirectory

    if json and format_ not in ("table", "json"):
        raise UsageError(f"--json and --format {format_} ask for two formats", hint="leave out one of them")
    format_ = "json" if json else format_
    directories = list(dict.fromkeys(directories))
    if reference is not None and reference not in directories:
        raise UsageError(
            f"{reference} is none of the models that are compared",
            hint=f"one of: {', '.join(map(str, directories))}",
        )
    if pictures is not None:
        from genmod.cli.outputs import check_out

        check_out(pictures, overwrite=overwrite, formats=(".png", ".svg", ".pdf"), flag="--pictures FILE")
    places = [ModelDirectory(directory) for directory in directories]
    settings = [flattened(place) for place in places]
    paths = sorted(differing(settings), key=lambda path: path if path.startswith("train.") else "")
    found = measure_all(
        places,
        metric or [],
        set_ or [],
        split=split,
        seed=seed,
        device=device,
        root=data_root,
        processes=processes,
    )
    if found is None:
        return

    from genmod.experiments.compare import differences

    names = list(dict.fromkeys(row.name for evaluation in found.values() for row in evaluation.rows))
    rows: list[dict[str, Any]] = []
    for directory, values in zip(directories, settings, strict=True):
        row: dict[str, Any] = {"model": str(directory), **{path: values.get(path) for path in paths}}
        by_name = {each.name: each for each in found[directory].rows}
        for name in names:
            row[name] = by_name[name].value if name in by_name else None
            row[f"{name} ±"] = by_name[name].standard_error if name in by_name else None
        rows.append(row)
    gaps = differences(
        {str(directory): evaluation for directory, evaluation in found.items()},
        str(reference) if reference else None,
    )
    _print(rows, gaps, format_)
    for directory, evaluation in found.items():
        for name, reason in evaluation.undefined.items():
            console.note(f"{directory}: no {name}: {reason}")
    if pictures is not None:
        _draw(places, pictures, seed=seed, device=device, root=data_root)
        # A JSON document is alone on stdout.
        (console.note if format_ != "table" else console.print_text)(str(pictures))


def _draw(
    places: "Sequence[ModelDirectory]", out: Path, *, seed: int, device: str, root: Path | None
) -> None:
    from genmod.cli.outputs import open_data, open_model
    from genmod.figures import side_by_side
    from genmod.figures.saving import save_figure

    models = {str(place.path): open_model(place, device) for place in places}
    data = {name: open_data(model, {}, root) for name, model in models.items()}
    splits, references = (
        {name: each.split(part) for name, each in data.items()} for part in ("test", "train")
    )
    save_figure(side_by_side(models, splits, references=references, seed=seed), out)


def _print(rows: list[dict[str, Any]], gaps: "Sequence[Difference]", how: Format) -> None:
    if how == "json":
        console.print_json({"models": rows, "differences": [gap.to_json() for gap in gaps]})
        return
    second = [
        {
            "metric": gap.metric,
            "model": gap.model,
            "minus": gap.reference,
            "difference": gap.value,
            "±": gap.standard_error,
            "p": f"{gap.p:.2g}" if gap.p > 1e-99 else "< 1e-99",
            "paired": "yes" if gap.paired else "no",
            "verdict": _verdict(gap),
        }
        for gap in gaps
    ]
    for number_, table in enumerate([rows, second]):
        # A file of comma-separated values holds one table.
        if not table or (number_ and how == "csv"):
            continue
        if number_:
            console.print_text("")
        columns = list(table[0])
        if how == "csv":
            stream = io.StringIO()
            writer = csv.DictWriter(stream, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(table)
            console.print_text(stream.getvalue().rstrip())
            continue
        cells = [[cell(row[column]) for column in columns] for row in table]
        if how == "markdown":
            console.print_text(_markdown(columns, cells))
        elif how == "latex":
            console.print_text(_latex(columns, cells))
        else:
            console.print_table(columns, cells)


def _verdict(gap: "Difference") -> str:
    if not gap.real:
        return "not distinguishable"
    return {"model": "better", "reference": "worse", "": "differs"}[gap.better]


def _markdown(columns: list[str], cells: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _latex(columns: list[str], cells: list[list[str]]) -> str:
    special = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "±": r"$\pm$"}
    special |= {
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
    }

    def line(row: list[str]) -> str:
        return " & ".join("".join(special.get(letter, letter) for letter in cell) for cell in row) + r" \\"

    body = [line(columns), r"\midrule", *map(line, cells)]
    return "\n".join(
        [
            r"\begin{tabular}{l" + "r" * (len(columns) - 1) + "}",
            r"\toprule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )
