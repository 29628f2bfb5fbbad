"""``genmod train``."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from genmod.cli import console
from genmod.cli.completion import component_names, model_directories, option_names

__all__ = ["train"]


def train(
    directories: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[DIR]...",
            help="The model directories, trained one after the other.",
            show_default="model",
            autocompletion=model_directories,
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", help="Passes over the data.", show_default="10, or 3,000 steps")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(metavar="N", help="Optimizer steps, instead of epochs.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(metavar="N", help="Examples in a step.", show_default="128")
    ] = None,
    accumulate: Annotated[
        int | None, typer.Option(metavar="N", help="Parts in which a batch is computed.", show_default="1")
    ] = None,
    lr: Annotated[
        float | None, typer.Option(metavar="X", help="Learning rate, at its highest.", show_default="0.001")
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(metavar="NAME", help="A class of torch.optim.", show_default="adam")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How the learning rate goes on: constant, cosine, plateau, or a class of torch.optim.lr_scheduler.",
            show_default="constant",
        ),
    ] = None,
    warmup: Annotated[
        int | None,
        typer.Option(metavar="N", help="Steps in which the learning rate rises.", show_default="0"),
    ] = None,
    clip: Annotated[
        float | None,
        typer.Option(metavar="X", help="Largest norm of the gradient; 0 for no limit.", show_default="0"),
    ] = None,
    ema: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="Decay of a running mean of the weights, such as 0.999.", show_default="0"
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Stop after N epochs without a better validation loss.", show_default="never"
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Of data order and noise.", show_default="0")
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.", show_default="auto")
    ] = None,
    precision: Annotated[
        Literal["32", "bf16"] | None,
        typer.Option(help="Of the networks; densities stay in 32.", show_default="32"),
    ] = None,
    compile_: Annotated[
        bool | None,
        typer.Option(
            "--compile/--no-compile",
            help="Compile the step: costs 10 to 20 seconds once, pays off in runs of some minutes.",
            show_default="no",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Processes that read data too large for memory, or that augment.",
            show_default="0",
        ),
    ] = None,
    augment: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:OPTIONS]",
            help="Transform each training image: torchvision.transforms.v2, as random-crop:28,padding=2; repeatable.",
        ),
    ] = None,
    tracker: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:OPTIONS]",
            help="Where metrics go beside metrics.jsonl, as csv or wandb:project=mine; repeatable.",
            autocompletion=component_names("tracker"),
        ),
    ] = None,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Steps between checkpoints, beside those after epochs.", show_default="none"
        ),
    ] = None,
    log_every: Annotated[
        int | None, typer.Option(metavar="N", help="Steps between rows of metrics.", show_default="100")
    ] = None,
    film_every: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Epochs between pictures of the progress in DIR/samples/film; 0 for none.",
            show_default="a dozen in all",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="NAME.OPTION=VALUE",
            help="Set an option of the optimizer, the schedule or the dataset; repeatable.",
            autocompletion=option_names,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Other data of the same shape.",
            show_default="those it was built for",
            autocompletion=component_names("dataset"),
        ),
    ] = None,
    data_root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder with data files.", envvar="GENMOD_DATA", show_default=False),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Processes that share each batch; torchrun works too.", show_default="1"
        ),
    ] = None,
    strategy: Annotated[
        Literal["ddp", "fsdp"] | None,
        typer.Option(help="Whether each process has all weights, or a part of them.", show_default="ddp"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was stopped or killed.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start over with fresh weights.")] = False,
    replay: Annotated[
        bool, typer.Option("--replay", help="Repeat the step that gave a value that was not finite.")
    ] = False,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Draw curves in the terminal while it goes.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train a model in its directory.

    Weights, metrics and checkpoints go into the directory; the weights kept are those of the lowest
    validation loss. Ctrl-C finishes the step and saves; --resume goes on from there.

    Examples:
      genmod train
      genmod train betas/* --epochs 20 --schedule cosine --lr 2e-3
      genmod train --optimizer adamw -s optimizer.weight_decay=0.01
      genmod train --augment random-crop:28,padding=2 --tracker csv --tracker tensorboard
      genmod train --resume
    """
    if processes is not None and processes > 1 and "WORLD_SIZE" not in os.environ:
        from genmod.cli.processes import launch

        raise typer.Exit(launch(_without_processes(sys.argv[1:]), processes))
    if overwrite and resume:
        raise typer.BadParameter("--resume goes on with a run, --overwrite starts over; give one of them")
    given = {
        "epochs": epochs,
        "steps": steps,
        "batch_size": batch_size,
        "accumulate": accumulate,
        "lr": lr,
        "optimizer": optimizer,
        "schedule": schedule,
        "warmup": warmup,
        "clip": clip,
        "ema": ema,
        "patience": patience,
        "seed": seed,
        "device": device,
        "precision": precision,
        "compile": compile_,
        "workers": workers,
        "strategy": strategy,
        "augment": tuple(augment) if augment else None,
        "trackers": tuple(tracker) if tracker else None,
        "checkpoint_every": checkpoint_every,
        "log_every": log_every,
        "film_every": film_every,
    }
    from genmod.bundle.directory import ModelDirectory
    from genmod.cli.training import Data, settings_of, train_all

    options = settings_of(set_ or [])
    overrides: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    overrides |= {f"{name}_options": options[name] for name in ("optimizer", "schedule") if options[name]}
    places = directories or [Path("model")]
    source = Data(data, options["dataset"], data_root)
    if not (resume or overwrite or replay or json or "WORLD_SIZE" in os.environ) and len(places) == 1:
        overwrite = ModelDirectory(places[0]).is_trained and console.agreed(
            f"{places[0]} holds a trained model. Start over with fresh weights?"
        )
    if replay:
        from genmod.training.replay import replay as repeat

        for place in places:
            console.print_text(repeat(place, source.open(ModelDirectory(place))))
        return
    reports, failed = train_all(
        places, source, overrides, resume=resume, overwrite=overwrite, quiet=json, dashboard=dashboard
    )
    if json and reports:
        console.print_json(reports if len(places) > 1 else reports[0])
    if failed:
        raise typer.Exit(failed)


def _without_processes(arguments: list[str]) -> list[str]:
    """The command line of each process."""
    kept = []
    words = iter(arguments)
    for word in words:
        if word == "--processes":
            next(words, None)
        elif not word.startswith("--processes="):
            kept.append(word)
    return kept
