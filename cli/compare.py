"""``genmod compare``."""

import csv
import io
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from genmod.cli import console
from genmod.cli.completion import model_directories

__all__ = ["compare"]


def compare(
    directories: Annotated[
        list[Path],
        typer.Argument(metavar="DIR…", help="Model directories.", autocompletion=model_directories),
    ],
    split: Annotated[
        Literal["train", "validation", "test"], typer.Option(help="Part of the data to measure on.")
    ] = "test",
    samples: Annotated[
        int, typer.Option(metavar="K", min=1, help="Draws of the latents for each example.")
    ] = 10,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of those draws.")] = 0,
    data_root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder with data files.", envvar="GENMOD_DATA", show_default=False),
    ] = None,
    format_: Annotated[
        Literal["table", "markdown", "csv", "json"], typer.Option("--format", help="How to print it.")
    ] = "table",
) -> None:
    """Compare models side by side.

    The table has what differs in how they were made, and what they measure.

    Examples:
      genmod compare model other
      genmod compare sweep/* --format markdown
    """
    from genmod.assembly import open_dataset
    from genmod.bundle import load, read_spec
    from genmod.evaluation import evaluate
    from genmod.sweep import differing, flattened

    specs = [read_spec(directory)[0] for directory in directories]
    settings = [flattened(directory) for directory in directories]
    paths = differing(specs) + sorted(
        path
        for path in {path for each in settings for path in each}
        if path.startswith("train.") and len({repr(each.get(path)) for each in settings}) > 1
    )
    rows: list[dict[str, Any]] = []
    for directory, spec, values in zip(directories, specs, settings, strict=True):
        console.note(f"measuring {directory}")
        evaluation = evaluate(
            load(directory), open_dataset(spec, data_root).split(split), samples=samples, seed=seed
        )
        row: dict[str, Any] = {"model": str(directory), **{path: values.get(path) for path in paths}}
        for name in ("elbo", "rate", "distortion", "bits_per_dim"):
            found = next((each for each in evaluation.rows if each.name == name), None)
            row[name] = None if found is None else found.value
            row[f"{name} ±"] = None if found is None else found.standard_error
        rows.append(row)
    _print(rows, format_)


def _print(rows: list[dict[str, Any]], how: str) -> None:
    if how == "json":
        console.print_json(rows)
        return
    columns = list(rows[0])
    if how == "csv":
        stream = io.StringIO()
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)
        console.print_text(stream.getvalue().rstrip())
        return
    cells = [[_text(row[column]) for column in columns] for row in rows]
    if how == "markdown":
        console.print_text(f"| {' | '.join(columns)} |")
        console.print_text(f"|{'|'.join(' --- ' for _ in columns)}|")
        for line in cells:
            console.print_text(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |")
        return
    console.print_table(columns, cells)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
