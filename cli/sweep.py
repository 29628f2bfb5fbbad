"""``genmod sweep``."""

from pathlib import Path
from typing import Annotated

import typer

from genmod.cli import console
from genmod.cli.completion import component_names
from genmod.cli.options import DEVICE, SEED, DataRoot, Json, set_option
from genmod.defaults import RECIPE

__all__ = ["sweep"]


def sweep(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="[RECIPE|FILE.toml]",
            help="What all runs start from; a file may have a table [sweep].",
            autocompletion=component_names("recipe"),
        ),
    ] = RECIPE,
    set_: Annotated[
        list[str] | None,
        set_option(
            "PATH=VALUE,VALUE,…",
            "Values of an option (objective.beta), a part (encoder), latent, or a training setting (train.lr); "
            "repeatable. Lists stand in brackets.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the runs.")] = Path(
        "sweep"
    ),
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, help=SEED, show_default="0")] = None,
    device: Annotated[str | None, typer.Option(metavar="NAME", help=DEVICE, show_default="auto")] = None,
    data_root: DataRoot = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check all combinations and list them; run nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Train a model for each combination of values.

    Each has a directory of its own. Started again, the command continues stopped runs and skips finished ones.
    All combinations are checked before the first is trained.

    Examples:
      genmod sweep -s objective.beta=1,2,4
      genmod sweep beta-vae -s objective.beta=1,4 -s latent=2,8 -s train.epochs=5 -o betas
      genmod compare sweep/*
    """
    from genmod.errors import UsageError
    from genmod.experiments.sweep import base_spec, points, run_point, split_values
    from genmod.model.assembly import blueprint, open_dataset

    path = Path(recipe)
    from_file = path.suffix == ".toml" or path.is_file()
    base, axes = base_spec(None if from_file else recipe, path if from_file else None)
    for text in set_ or []:
        where, equals, values = text.partition("=")
        if not equals:
            raise UsageError(
                f"{text!r} is not PATH=VALUE,VALUE,…", hint="for example -s objective.beta=1,2,4"
            )
        axes[where.strip()] = split_values(values)
    for name, value in (("seed", seed), ("device", device)):
        if value is not None and f"train.{name}" in axes:
            raise UsageError(
                f"--{name} and -s train.{name} set the same",
                hint=f"leave out one of them; several values are -s train.{name}=VALUE,VALUE",
            )
        if value is not None:
            axes[f"train.{name}"] = [str(value)]
    grid = list(points(axes))
    for point in grid:
        spec = point.spec(base)
        point.settings()
        blueprint(spec, open_dataset(spec, data_root).info)
    places = [point.place(base, out) for point in grid]
    rows = []
    for number, (point, place) in enumerate(zip(grid, places, strict=True), 1):
        status = "not run"
        if not dry_run:
            from genmod.cli.progress import TrainingProgress

            console.note(f"run {number} of {len(grid)}: {point.name}")
            with TrainingProgress() as progress:
                status = run_point(base, point, out, root=data_root, on_event=progress)
        rows.append([str(place), status])
    if json:
        console.print_json([{"directory": directory, "status": status} for directory, status in rows])
    else:
        console.print_table(["directory", "status"], rows)
    if dry_run:
        console.note("nothing was trained; leave out --dry-run to do it")
