"""``genmod reproduce``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genmod.cli import console
from genmod.cli.completion import component_names
from genmod.cli.metrics import cell, number
from genmod.cli.options import DataRoot, Device, Json

if TYPE_CHECKING:
    from genmod.experiments import Reproduction

__all__ = ["reproduce"]


def reproduce(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE.toml",
            help="The experiment, one of `genmod list reproduction`.",
            autocompletion=component_names("reproduction"),
        ),
    ],
    quick: Annotated[
        bool, typer.Option("--quick", help="Use a smaller budget, which the results name.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="DIR", help="Folder of the runs.", show_default="reproductions/NAME"
        ),
    ] = None,
    device: Device = "auto",
    data_root: DataRoot = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check all models and list them; run nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Run a published experiment again.

    Trains its models, measures them as the paper did, and compares the results with the published ones. Each model
    has a directory of its own; started again, the command continues stopped runs and skips finished ones. All results
    are saved in results.json, with the command, the versions and the seeds.

    Examples:
      genmod list reproduction
      genmod reproduce iwae --quick
      genmod reproduce s-vae --dry-run
      genmod reproduce mine.toml -o mine
    """
    from genmod.evaluation.runner import make_metrics
    from genmod.experiments import Reproduction
    from genmod.experiments.reproduce import reproduce as run
    from genmod.model.assembly import blueprint, open_dataset

    experiment = Reproduction.find(name, quick=quick)
    make_metrics(experiment.metrics)
    for trial in experiment.trials:
        blueprint(trial.spec, open_dataset(trial.spec, data_root).info)
    place = out or Path("reproductions") / (f"{experiment.name}-quick" if quick else experiment.name)
    if dry_run:
        _list(experiment, place, json=json)
        return

    from genmod.cli.progress import TrainingProgress

    with TrainingProgress() as progress:
        results = run(
            experiment,
            place,
            root=data_root,
            device=device,
            command=["genmod", *sys.argv[1:]],
            tell=console.note,
            on_event=progress,
        )
    if json:
        console.print_json(results)
        return
    _print(results)
    console.note(f"wrote {place / 'results.json'}")


def _list(experiment: "Reproduction", place: Path, *, json: bool) -> None:
    rows: list[dict[str, Any]] = [
        {"directory": str(place / trial.folder), "seed": trial.seed, "settings": dict(trial.settings)}
        for trial in experiment.trials
    ]
    if json:
        console.print_json(rows)
        return
    console.print_table(
        ["directory", "seed", "settings"],
        [
            [row["directory"], row["seed"], " ".join(f"{k}={v}" for k, v in row["settings"].items())]
            for row in rows
        ],
    )


def _print(results: dict[str, Any]) -> None:
    console.print_table(
        ["run", "metric", "value", "standard error", "seeds"],
        [
            [
                each["run"],
                each["metric"],
                number(each["value"]),
                cell(each["standard_error"]),
                each["seeds"],
            ]
            for each in results["figures"]
        ],
    )
    for key, columns in (
        ("targets", ["run", "metric", "value", "ours", "difference", "tolerance", "verdict", "source"]),
        ("claims", ["better", "than", "metric", "difference", "standard_error", "verdict", "source"]),
    ):
        if results[key]:
            console.print_text("")
            heads = ["published" if column == "value" else column.replace("_", " ") for column in columns]
            console.print_table(
                heads, [[cell(each.get(column)) for column in columns] for each in results[key]]
            )
    if results["quick"]:
        budget = results["budget"]
        console.note(f"the budget was {_budget(budget['this'])}; the protocol's is {_budget(budget['full'])}")


def _budget(budget: dict[str, Any]) -> str:
    return ", ".join(f"{value} {key.replace('_', ' ')}" for key, value in budget.items())
