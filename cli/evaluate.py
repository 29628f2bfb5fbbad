"""``genmod evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from genmod.cli import console
from genmod.cli.completion import model_directories
from genmod.cli.outputs import DataRoot, Device, Seed, Set, SplitOption, open_model, open_split

__all__ = ["evaluate"]


def evaluate(
    directories: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[DIR]...",
            help="Model directories.",
            show_default="model",
            autocompletion=model_directories,
        ),
    ] = None,
    split: SplitOption = "test",
    samples: Annotated[
        int, typer.Option(metavar="K", min=1, help="Draws of the latents for each example.")
    ] = 10,
    seed: Seed = 0,
    device: Device = "auto",
    set_: Set = None,
    data_root: DataRoot = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure a model on its test data.

    ELBO, rate and distortion in nats for each example, and bits per dimension, each with the standard error
    of its mean over the examples. What a model does not have is left out, and why is said.

    Examples:
      genmod evaluate
      genmod evaluate vae beta8 --split validation
      genmod evaluate --samples 100 --json
    """
    from genmod.bundle import read_spec

    places = directories or [Path("model")]
    specs = [read_spec(place)[0] for place in places]
    if (
        len({(spec.components["dataset"].name, str(spec.components["dataset"].options)) for spec in specs})
        > 1
    ):
        console.warning("these models were built for different data; their numbers cannot be compared")

    from genmod.evaluation import evaluate as measure

    found = {}
    for place in places:
        model = open_model(place, device)
        found[place] = measure(
            model, open_split(model, split, set_ or [], data_root), samples=samples, seed=seed
        )
    if json:
        models = [{"directory": str(place), **evaluation.to_json()} for place, evaluation in found.items()]
        console.print_json({"split": split, "models": models})
        return
    several = len(places) > 1
    console.print_table(
        [*["model"] * several, split, "value", "standard error", "unit", "examples"],
        [
            [*[place] * several, row.name, f"{row.value:.3f}", f"{row.standard_error:.3f}", row.unit, row.n]
            for place, evaluation in found.items()
            for row in evaluation.rows
        ],
    )
    for place, evaluation in found.items():
        for name, reason in evaluation.undefined.items():
            console.note(f"{place}: no {name}: {reason}" if several else f"no {name}: {reason}")
