"""``genmod report``."""

from pathlib import Path
from typing import Annotated

import typer

from genmod.cli import console
from genmod.cli.completion import component_names
from genmod.cli.options import (
    DataRoot,
    Device,
    Directories,
    Json,
    Overwrite,
    ProcessCount,
    Seed,
    Set,
    SplitOption,
    file_option,
)
from genmod.cli.outputs import check_file, dataset_options, warn_untrained

__all__ = ["report"]


def report(
    directories: Directories = None,
    out: Annotated[
        Path | None,
        file_option("The page, an .html.", "DIR/report.html, or report.html of several models"),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            "-m",
            metavar="NAME",
            help="What to measure beside the ELBO and its parts, with a value in brackets where it takes one; "
            "repeatable, or with commas between.",
            show_default="none",
            autocompletion=component_names("metric"),
        ),
    ] = None,
    split: SplitOption = "test",
    seed: Seed = 0,
    device: Device = "auto",
    set_: Set = None,
    data_root: DataRoot = None,
    processes: ProcessCount = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write a page about one model or several.

    One HTML file that loads nothing else: numbers with their errors, curves, samples, reconstructions and the worst
    of them, walks through the latent space, the training examples nearest to samples, every option, and the commands
    that make the model again. A page about several models begins with their differences and shows them side by side.

    Examples:
      genmod report
      genmod report model -o page.html --overwrite
      genmod report sweep/* --metric active-units -o sweep.html
      genmod report --metric nll[1000] --processes 4
    """
    places = list(dict.fromkeys(directories or [Path("model")]))
    path = out or (places[0] / "report.html" if len(places) == 1 else Path("report.html"))

    from genmod.bundle.directory import ModelDirectory

    models = [ModelDirectory(place) for place in places]
    for model in models:
        model.read_spec()
    check_file(path, (".html", ".htm"), overwrite=overwrite)

    from genmod.cli.processes import launched, together

    launched(processes)

    from genmod.cli.progress import StepProgress
    from genmod.evaluation.runner import parse_metrics
    from genmod.report import report as make
    from genmod.system.files import write_bytes

    with together(device) as (own, team):
        for model in models:
            warn_untrained(model)
        with StepProgress() as progress:
            page = make(
                models,
                parse_metrics(metric or []),
                split=split,
                seed=seed,
                device=own,
                root=data_root,
                settings=dataset_options(set_ or []),
                on_progress=progress,
                processes=team,
            )
    if team is not None and not team.leads:
        return
    content = page.encode(errors="backslashreplace")
    write_bytes(path, content)
    console.note(f"seed {seed}")
    if json:
        console.print_json(
            {"report": str(path), "bytes": len(content), "models": list(map(str, places)), "seed": seed}
        )
    else:
        console.print_text(str(path))
