"""``genmod evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from genmod.cli import console
from genmod.cli.metrics import Metrics, MetricSet, details, measure_all, number
from genmod.cli.options import DataRoot, Device, Directories, Json, ProcessCount, Seed, SplitOption

__all__ = ["evaluate"]


def evaluate(
    directories: Directories = None,
    metric: Metrics = None,
    split: SplitOption = "test",
    seed: Seed = 0,
    device: Device = "auto",
    set_: MetricSet = None,
    data_root: DataRoot = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="The directory of a model of codes, which draws latents of generated examples.",
            show_default="the model's own",
        ),
    ] = None,
    processes: ProcessCount = None,
    define: Annotated[bool, typer.Option("--define", help="Print the definition of each number.")] = False,
    json: Json = False,
) -> None:
    """Measure a model on its test data.

    Each number has its standard error. Undefined numbers are left out, with the reason. The default metrics are ELBO,
    rate and distortion, in nats for each example, and bits per dimension.

    Examples:
      genmod evaluate
      genmod evaluate vae beta8 --split validation
      genmod evaluate --metric nll[5000] --metric active-units
      genmod evaluate --metric fid[pixel],kid[pixel] -s fid.samples=2000 --define
      genmod evaluate tokenizer --metric fid --from latents
      genmod evaluate --metric nll[5000] --processes 4
    """
    found = measure_all(
        directories or [Path("model")],
        metric or [],
        set_ or [],
        split=split,
        seed=seed,
        device=device,
        root=data_root,
        start=start,
        processes=processes,
    )
    if found is None:
        return
    if json:
        models = [{"directory": str(place), **evaluation.to_json()} for place, evaluation in found.items()]
        console.print_json({"split": split, "models": models})
    else:
        several = len(found) > 1
        rows = [(place, row) for place, evaluation in found.items() for row in evaluation.rows]
        console.print_table(
            [*["model"] * several, split, "value", "standard error", "unit", "examples", "details"],
            [
                [
                    *[place] * several,
                    row.name,
                    number(row.value),
                    number(row.standard_error),
                    row.unit,
                    row.n,
                    details(row.details),
                ]
                for place, row in rows
            ],
        )
        if define:
            for name, definition in dict((row.name, row.definition) for _, row in rows).items():
                console.note(f"{name}: {definition}")
        for place, evaluation in found.items():
            for name, reason in evaluation.undefined.items():
                console.note(f"{place}: no {name}: {reason}" if several else f"no {name}: {reason}")
    if not any(evaluation.rows for evaluation in found.values()):
        raise typer.Exit(1)
