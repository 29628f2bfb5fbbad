"""``genmod train``."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genmod.cli import console

if TYPE_CHECKING:
    from genmod.dataset import Dataset
    from genmod.model import LatentVariableModel

__all__ = ["train"]


def train(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="The model directory.")] = Path("model"),
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
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="NAME.OPTION=VALUE",
            help="Set an option of the optimizer, the schedule or the dataset; repeatable.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Other data of the same shape.", show_default="those it was built for"
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
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train a model in its directory.

    Weights, metrics and checkpoints go into the directory; the weights kept are those of the lowest
    validation loss. Ctrl-C finishes the step and saves; --resume goes on from there, bit for bit.

    Examples:
      genmod train
      genmod train beta8 --epochs 20 --schedule cosine --lr 2e-3
      genmod train --optimizer adamw -s optimizer.weight_decay=0.01
      genmod train --augment random-crop:28,padding=2 --tracker csv --tracker tensorboard
      genmod train --resume
    """
    if processes is not None and processes > 1 and "WORLD_SIZE" not in os.environ:
        from genmod.cli.processes import launch

        raise typer.Exit(launch(_without_processes(sys.argv[1:]), processes))
    from genmod.bundle import load, read_spec
    from genmod.evaluation import evaluate
    from genmod.training.distributed import Team, process_group
    from genmod.training.loop import train as run

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
    }
    overrides: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    options = _options(set_ or [])
    overrides |= {f"{name}_options": options[name] for name in ("optimizer", "schedule") if options[name]}
    if overwrite and resume:
        raise typer.BadParameter("--resume goes on with a run, --overwrite starts over; give one of them")
    spec, _ = read_spec(directory)
    dataset = _dataset(spec, data, options["dataset"], data_root)
    if replay:
        from genmod.training.replay import replay as repeat

        console.print_text(repeat(directory, dataset))
        return
    from genmod.cli.progress import TrainingProgress

    with process_group(device or "auto") as device_here, TrainingProgress() as progress:
        leads = Team().leads
        model = _fresh(directory, seed or 0) if overwrite else load(directory, weights="last")
        if Team().size > 1:
            overrides["device"] = device_here
        result = run(model, dataset, directory=directory, resume=resume, on_event=progress, **overrides)
        together = Team().size > 1
    if not leads:
        return
    if together:
        # The weights may have been spread over the processes, which are gone now.
        model = load(directory)
    console.note(
        f"{result.status} after {result.steps} steps, {result.seconds:.1f} s; "
        f"best validation loss {result.best_loss:.2f} nats at step {result.best_step}"
    )
    evaluation = evaluate(model, dataset.split("test"))
    pictures = _pictures(model, dataset, directory)
    if json:
        done = {
            "status": result.status,
            "steps": result.steps,
            "best_step": result.best_step,
            "seconds": result.seconds,
        }
        console.print_json(
            {
                "directory": str(directory),
                **done,
                "test": evaluation.to_json(),
                "pictures": list(map(str, pictures)),
            }
        )
        return
    rows = [
        [row.name, f"{row.value:.3f}", f"{row.standard_error:.3f}", row.unit, row.n]
        for row in evaluation.rows
    ]
    console.print_table(["test", "value", "standard error", "unit", "examples"], rows)
    for name, reason in evaluation.undefined.items():
        console.note(f"no {name}: {reason}")
    for picture in pictures:
        console.print_text(str(picture))


def _options(settings: list[str]) -> dict[str, dict[str, Any]]:
    from genmod.errors import UsageError
    from genmod.options import Text
    from genmod.spec import parse_setting

    found: dict[str, dict[str, Any]] = {"optimizer": {}, "schedule": {}, "dataset": {}}
    for path, value in map(parse_setting, settings):
        where, _, name = path.partition(".")
        if where not in found:
            raise UsageError(
                f"{path} cannot be set in training",
                hint=f"these can: {', '.join(f'{key}.OPTION' for key in found)}",
            )
        found[where][name] = Text(value) if where == "dataset" else _plain(value)
    return found


def _plain(text: str) -> Any:
    """Options of torch's classes carry no types, so a value is what it looks like in JSON, else a text."""
    import json

    try:
        return json.loads(text)
    except ValueError:
        return text


def _dataset(spec: Any, name: str | None, options: dict[str, Any], root: Path | None) -> "Dataset":
    from genmod.assembly import open_dataset

    if name is not None:
        spec = spec.with_component("dataset", name)
    return open_dataset(spec.with_options({f"dataset.{key}": value for key, value in options.items()}), root)


def _fresh(directory: Path, seed: int) -> "LatentVariableModel":
    """The model of a directory with newly drawn weights, in place of what was there."""
    from genmod.assembly import assemble
    from genmod.bundle import read_spec, save
    from genmod.training.distributed import Team

    model = assemble(*read_spec(directory), seed=seed)
    Team().wait()
    if Team().leads:
        save(model, directory, overwrite=True)
    Team().wait()
    return model


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


def _pictures(model: "LatentVariableModel", dataset: "Dataset", directory: Path) -> list[Path]:
    """Samples, where the model has a prior, and reconstructions of test examples; returns where they are."""
    from genmod.errors import UndefinedError
    from genmod.pictures import choose_examples, reconstruction_grid, sample_grid

    batch = choose_examples(dataset.split("test"), 10)
    pictures = {"reconstructions": reconstruction_grid(model, batch.x)}
    try:
        pictures["samples"] = sample_grid(model, 64)
    except UndefinedError as error:
        console.note(f"no picture of samples: {error.message}")
    paths = []
    for name, picture in sorted(pictures.items(), reverse=True):
        path = directory / "samples" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        picture.save(path)
        paths.append(path)
    return paths
