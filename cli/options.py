"""The options that commands share: the same word means the same in each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from genmod.cli.completion import model_directories, option_names
from genmod.errors import UsageError

__all__ = [
    "DEVICE",
    "SEED",
    "Condition",
    "DataRoot",
    "Device",
    "Directories",
    "Directory",
    "Json",
    "MovingOut",
    "Out",
    "OutOrRows",
    "Overwrite",
    "ProcessCount",
    "Seed",
    "Set",
    "SplitOption",
    "file_option",
    "number_option",
    "refuse_typed",
    "set_option",
    "typed",
]

Directory = Annotated[
    Path,
    typer.Argument(metavar="[DIR]", help="The model directory.", autocompletion=model_directories),
]
Directories = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[DIR]...",
        help="The model directories.",
        show_default="model",
        autocompletion=model_directories,
    ),
]


def file_option(formats: str, default: str = "a picture in DIR/samples") -> Any:
    """The option ``--out``, with the formats of the file and the place where it goes by default."""
    return typer.Option("--out", "-o", metavar="FILE", help=formats, show_default=default)


def set_option(metavar: str, text: str) -> Any:
    """The option ``--set``, with the form of its values and a line of help."""
    return typer.Option("--set", "-s", metavar=metavar, help=text, autocompletion=option_names)


def number_option(of_what: str, *, default: str | bool = True, least: int = 1) -> Any:
    """The option ``-n``, with a line of help that begins with "How many"."""
    return typer.Option(
        "--number", "-n", metavar="N", min=least, help=f"How many {of_what}.", show_default=default
    )


Out = Annotated[Path | None, file_option("A .png, or the arrays as .npz or .safetensors.")]
OutOrRows = Annotated[
    Path | None,
    file_option(
        "A .png; the arrays as .npz or .safetensors; of a table its rows as .csv, .parquet, .feather or .jsonl."
    ),
]
MovingOut = Annotated[
    Path | None, file_option("A .png; a .gif or .apng that moves; or the arrays as .npz or .safetensors.")
]
Condition = Annotated[
    str | None,
    typer.Option(
        metavar="VALUE",
        help="What a conditional model is given: 7, or shape=square,scale=2.",
        show_default="all values in turn",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace FILE where it exists.")]
SEED = "Seed of everything that is drawn at random."
DEVICE = "auto, cpu, cuda, cuda:N or mps; each kind draws other numbers from a seed."
Seed = Annotated[int, typer.Option(metavar="N", min=0, help=SEED)]
Device = Annotated[str, typer.Option(metavar="NAME", help=DEVICE)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
SplitOption = Annotated[
    Literal["train", "validation", "test"], typer.Option("--split", help="Which part of the data.")
]
Set = Annotated[
    list[str] | None, set_option("dataset.OPTION=VALUE", "Set an option of the dataset; repeatable.")
]
ProcessCount = Annotated[
    int | None,
    typer.Option(
        "--processes",
        metavar="N",
        min=1,
        help="Processes that share the batches of examples; torchrun works too.",
        show_default="1",
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder with data files.", envvar="GENMOD_DATA", show_default=False),
]


def typed(ctx: typer.Context, names: Sequence[str]) -> list[str]:
    """Those parameters that stand on the command line: neither by default nor in the environment."""
    sources = {name: ctx.get_parameter_source(name) for name in names}
    return [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]


def refuse_typed(ctx: typer.Context, names: Sequence[str], flag: str, why: str) -> None:
    """Refuse options that change nothing beside another one.

    Args:
        ctx: of the command.
        names: of parameters.
        flag: the other one.
        why: they change nothing.

    Raises:
        UsageError: one of them was typed.
    """
    long = {each.name: max(each.opts, key=len) for each in ctx.command.params}
    found = " and ".join(long[name] for name in typed(ctx, names))
    if found:
        raise UsageError(f"{found} would change nothing: {flag} {why}", hint=f"leave out {found}, or {flag}")
