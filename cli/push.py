"""``genmod push``."""

from pathlib import Path
from typing import Annotated

import typer

from genmod.cli import console
from genmod.cli.completion import model_directories
from genmod.cli.metrics import Metrics
from genmod.cli.options import DataRoot, Device, Json, Seed, SplitOption

__all__ = ["push"]


def push(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="The model directory.", autocompletion=model_directories),
    ],
    repository: Annotated[
        str, typer.Argument(metavar="ORG/NAME", help="The repository; made if it is missing.")
    ],
    *,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    revision: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Branch that it goes to; made if it is missing.", show_default="main"
        ),
    ] = None,
    message: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What the commit says.", show_default=False)
    ] = None,
    licence: Annotated[
        str,
        typer.Option(
            "--licence",
            "--license",
            metavar="NAME",
            help="Licence of the model by its short name on the Hub: mit, apache-2.0, cc-by-4.0, …",
            show_default="none",
        ),
    ] = "",
    intended_use: Annotated[
        str,
        typer.Option(metavar="TEXT", help="What the model is for, in a sentence.", show_default="in general"),
    ] = "",
    no_examples: Annotated[
        bool,
        typer.Option(
            "--no-examples",
            help="Nothing of the data in the pictures: no reconstructions beside examples.",
        ),
    ] = False,
    metric: Metrics = None,
    split: SplitOption = "test",
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Make everything and say what would go up, but send nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Send a model to the Hugging Face Hub.

    The description, the weights and a sampler that was fitted go up, with a card and pictures that are made anew. Nothing
    else does: no command lines, checkpoints or rows of metrics; of paths in options the last name stays. Log in first with
    `hf auth login`, or set HF_TOKEN.

    Examples:
      genmod push model me/digits --dry-run
      genmod push model me/digits --licence mit --private
      genmod push model me/digits --metric elbo,fid --revision v2 --message "Trained longer"
    """
    from genmod.bundle.directory import ModelDirectory
    from genmod.cli.outputs import open_model
    from genmod.cli.progress import StepProgress
    from genmod.defaults import METRIC
    from genmod.evaluation.runner import make_metrics, parse_metrics
    from genmod.hub import push as send
    from genmod.hub.pushing import MESSAGE
    from genmod.hub.transport import check_name, check_online
    from genmod.hub.wishes import CardWishes

    place = ModelDirectory(directory)
    place.read_spec()
    check_name(repository)
    if not dry_run:
        check_online("send a model to the Hub")
    metrics = parse_metrics(metric or [METRIC])
    make_metrics(metrics)
    wishes = CardWishes(
        license=licence,
        intended_use=intended_use,
        metrics=metrics,
        split=split,
        seed=seed,
        root=data_root,
        examples=not no_examples,
        run=place.read_record(),
    )
    model = open_model(place, device)
    with StepProgress() as progress:
        done = send(
            model,
            repository,
            wishes,
            message=message or MESSAGE,
            private=private or None,
            branch=revision,
            dry_run=dry_run,
            quiet=console.settings.quiet,
            on_progress=progress,
        )
    for where, kept in done.stripped.items():
        console.note(f"stripped, {where}: of a path {kept!r} stays")
    for what, reason in done.problems.items():
        console.note(f"the card has no {what}: {reason}")
    shown = [name for name in done.files if Path(name).stem == "reconstructions"]
    if shown:
        console.note(f"{shown[0]} shows examples of the {split} data; leave them out with --no-examples")
    if not licence:
        console.note("the card names no licence; give one: --licence mit")
    if json:
        console.print_json(
            {
                "repository": done.repository,
                "url": done.url or None,
                "files": done.files,
                "stripped": done.stripped,
                "missing": done.problems,
            }
        )
        return
    console.print_table(["file", "bytes"], list(done.files.items()))
    if done.url:
        console.print_text(done.url)
    else:
        console.note("nothing was sent")
