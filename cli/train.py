"""``genmod train``."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from genmod.cli import console
from genmod.cli.completion import component_names
from genmod.cli.options import DEVICE, SEED, DataRoot, Directories, Json, set_option
from genmod.cli.outputs import settings_by_owner

__all__ = ["train"]


def _setting(metavar: str, text: str, default: str) -> Any:
    return typer.Option(metavar=metavar, help=text, show_default=default)


def _switch(name: str, text: str) -> Any:
    return typer.Option(f"--{name}/--no-{name}", help=text, show_default="no")


def train(
    ctx: typer.Context,
    directories: Directories = None,
    epochs: Annotated[int | None, _setting("N", "Passes over the data.", "10, or 3,000 steps")] = None,
    steps: Annotated[
        int | None, typer.Option(metavar="N", help="Optimizer steps, instead of epochs.")
    ] = None,
    batch_size: Annotated[int | None, _setting("N", "Examples in a step.", "128")] = None,
    accumulate: Annotated[int | None, _setting("N", "Parts in which a batch is computed.", "1")] = None,
    lr: Annotated[float | None, _setting("X", "Learning rate, at its highest.", "0.001")] = None,
    optimizer: Annotated[str | None, _setting("NAME", "A class of torch.optim.", "adam")] = None,
    schedule: Annotated[
        str | None,
        _setting(
            "NAME",
            "Schedule of the learning rate: constant, cosine, plateau, or a class of torch.optim.lr_scheduler.",
            "constant",
        ),
    ] = None,
    warmup: Annotated[int | None, _setting("N", "Steps in which the learning rate rises.", "0")] = None,
    clip: Annotated[float | None, _setting("X", "Largest norm of the gradient; 0 for no limit.", "0")] = None,
    skip: Annotated[
        float | None,
        _setting("X", "Norm of the gradient above which a step moves nothing; 0 for no limit.", "0"),
    ] = None,
    ema: Annotated[
        float | None, _setting("X", "Decay of a running mean of the weights, such as 0.999.", "0")
    ] = None,
    patience: Annotated[
        int | None, _setting("N", "Stop after N epochs without a better validation loss.", "never")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, help=SEED, show_default="0")] = None,
    device: Annotated[str | None, _setting("NAME", DEVICE, "auto")] = None,
    precision: Annotated[
        Literal["auto", "32", "bf16"] | None,
        typer.Option(
            help="Of the networks; densities stay in 32. auto: bf16 on a GPU, for data of at most 256 values.",
            show_default="auto",
        ),
    ] = None,
    checkpoint_activations: Annotated[
        bool | None,
        _switch(
            "checkpoint-activations",
            "Compute activations again in the backward pass: less memory, more time, the same weights.",
        ),
    ] = None,
    compile_: Annotated[
        bool | None,
        _switch(
            "compile", "Compile the step: costs 10 to 20 seconds once, pays off in runs of some minutes."
        ),
    ] = None,
    compile_auto: Annotated[
        bool,
        typer.Option(
            "--compile-auto", help="Compile the step if the run is long and a trial shows that it pays."
        ),
    ] = False,
    deterministic: Annotated[
        bool | None,
        _switch(
            "deterministic",
            "The same bits each time, on a GPU too, where steps then take up to twice as long.",
        ),
    ] = None,
    workers: Annotated[
        int | None, _setting("N", "Processes that read data too large for memory, or that augment.", "0")
    ] = None,
    augment: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:OPTIONS]",
            help="Transform each training image: torchvision.transforms.v2, as random-crop:28,padding=2; repeatable.",
        ),
    ] = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART[,PART]",
            help="Parts that keep their weights, as encoder,posterior for a new decoder; repeatable.",
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
        int | None, _setting("N", "Steps between checkpoints, beside those after epochs.", "none")
    ] = None,
    log_every: Annotated[int | None, _setting("N", "Steps between rows of metrics.", "100")] = None,
    film_every: Annotated[
        int | None,
        _setting(
            "N",
            "Epochs between pictures of the progress in DIR/samples/film; 0 for none.",
            "two dozen in all, most of them early",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Settings from the table [train] of a TOML file; those above hold before them. `genmod config` shows others.",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        set_option(
            "NAME.OPTION=VALUE", "Set an option of the optimizer, the schedule or the dataset; repeatable."
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
    data_root: DataRoot = None,
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
        bool, typer.Option("--resume", help="Continue a run that was stopped or killed.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a trained model: start over with fresh weights.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Try a few steps; print plan, memory and time; write nothing. Of several processes, "
            "or where memory is too small, the memory is computed and nothing tried.",
        ),
    ] = False,
    replay: Annotated[
        bool, typer.Option("--replay", help="Repeat the step that gave a value that was not finite.")
    ] = False,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Draw curves in the terminal during the run.")
    ] = False,
    json: Json = False,
) -> list[dict[str, Any]]:
    """Train a model in its directory.

    Weights, metrics and checkpoints are saved in the directory; the weights kept are those of the lowest
    validation loss. Ctrl-C finishes the step and saves; --resume continues from there.

    Examples:
      genmod train
      genmod train betas/* --epochs 20 --schedule cosine --lr 2e-3
      genmod train --optimizer adamw -s optimizer.weight_decay=0.01
      genmod train --augment random-crop:28,padding=2 --tracker csv --tracker tensorboard
      genmod train --freeze encoder,posterior --lr 1e-4
      genmod train --resume
    """
    from genmod.cli.processes import launched

    if dry_run and (resume or replay):
        raise typer.BadParameter("--dry-run plans a run from its beginning, without --resume or --replay")
    if overwrite and resume:
        raise typer.BadParameter("--resume continues a run, --overwrite starts over; give one of them")
    if compile_auto and compile_ is not None:
        raise typer.BadParameter(
            "--compile-auto leaves it open whether the step is compiled; give one of them"
        )
    if not dry_run:
        launched(processes)
    from genmod.bundle.directory import ModelDirectory
    from genmod.cli.settings_from import train_settings
    from genmod.cli.training import Data, train_all
    from genmod.options.text import plain_value
    from genmod.training.settings import TrainSettings

    options = settings_by_owner(set_ or [], ("optimizer", "schedule", "dataset"), "in training")
    given = {**ctx.params, "compile": "auto" if compile_auto else compile_, "trackers": tracker}
    given["freeze"] = [name.strip() for text in freeze or () for name in text.split(",")]
    overrides = {name: given[name] for name in TrainSettings.names() if given.get(name) not in (None, [], ())}
    for name in ("optimizer", "schedule"):
        # Classes of torch declare no types of their options: a value is what it looks like in JSON.
        if options[name]:
            overrides[f"{name}_options"] = {key: plain_value(text) for key, text in options[name].items()}
    # A run that goes on, or of which a step is repeated, keeps its own settings.
    overrides = train_settings(overrides, config, from_files=not (resume or replay))
    places = directories or [Path("model")]
    source = Data(data, options["dataset"], data_root)
    if dry_run:
        from genmod.cli.plan import print_plans

        print_plans(places, source, overrides, overwrite=overwrite, processes=processes or 1, json=json)
        return []
    if not (resume or overwrite or replay or json or "WORLD_SIZE" in os.environ) and len(places) == 1:
        overwrite = ModelDirectory(places[0]).is_trained and console.agreed(
            f"{places[0]} holds a trained model. Start over with fresh weights?"
        )
    if replay:
        from genmod.training.replay import replay as repeat

        found = []
        for place in places:
            found.append(
                {"directory": str(place), "found": repeat(place, source.open(ModelDirectory(place)))}
            )
            if not json:
                console.print_text(found[-1]["found"])
        if json:
            console.print_json(found if len(found) > 1 else found[0])
        return []
    reports, failed = train_all(
        places, source, overrides, resume=resume, overwrite=overwrite, quiet=json, dashboard=dashboard
    )
    if json and reports:
        console.print_json(reports if len(places) > 1 else reports[0])
    if failed:
        raise typer.Exit(failed)
    return reports
