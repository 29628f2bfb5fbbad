"""What the commands share that use a model: their options, opening it and its data, and writing a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genmod.cli import console
from genmod.cli.completion import model_directories, option_names
from genmod.errors import FileError, UsageError, quoted

if TYPE_CHECKING:
    from genmod.bundle.directory import ModelDirectory
    from genmod.data.dataset import Dataset, Split
    from genmod.figures import Picture
    from genmod.model.latent_variable import LatentVariableModel

__all__ = [
    "Condition",
    "DataRoot",
    "Device",
    "Directories",
    "Directory",
    "MovingOut",
    "Out",
    "Overwrite",
    "Seed",
    "Set",
    "SplitOption",
    "check_out",
    "open_data",
    "open_model",
    "open_split",
    "write",
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


def _out(formats: str) -> Any:
    return typer.Option("--out", "-o", metavar="FILE", help=formats, show_default="a picture in DIR/samples")


Out = Annotated[Path | None, _out("A .png, or the arrays as .npz or .safetensors.")]
MovingOut = Annotated[
    Path | None, _out("A .png; a .gif or .apng that moves; or the arrays as .npz or .safetensors.")
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
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Of everything that is drawn at random.")]
Device = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="auto, cpu, cuda, cuda:N or mps; a seed means other draws on each kind."
    ),
]
SplitOption = Annotated[
    Literal["train", "validation", "test"], typer.Option("--split", help="Which part of the data.")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="dataset.OPTION=VALUE",
        help="Set an option of the dataset; repeatable.",
        autocompletion=option_names,
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder with data files.", envvar="GENMOD_DATA", show_default=False),
]


def check_out(out: Path | None, *, overwrite: bool, formats: Sequence[str] = ()) -> None:
    """Refuse a file that could not be written, before any work is done for it.

    Raises:
        UsageError: its suffix says no known format.
        FileError: it exists and may not be replaced, or there is no such folder.
    """
    if out is None:
        return
    from genmod.figures.picture import FORMATS, check_format

    check_format(out, formats or FORMATS)
    if not out.parent.is_dir():
        raise FileError(f"there is no folder {out.parent}", hint=f"mkdir -p {quoted(out.parent)}")
    if out.is_dir():
        raise FileError(f"{out} is a folder", hint="give the name of a file: -o FILE")
    if not overwrite and (out.exists() or out.is_symlink()):
        raise FileError(
            f"{out} exists", hint="replace it with --overwrite, or choose another name with -o FILE"
        )


def open_model(directory: "Path | ModelDirectory", device: str) -> "LatentVariableModel":
    """The model in a directory, on a device; warns where nothing says that it was trained."""
    from genmod.bundle.directory import ModelDirectory
    from genmod.bundle.model import load
    from genmod.system.device import pick_device

    place = ModelDirectory.of(directory)
    place.read_spec()
    where = pick_device(device)
    if not place.is_trained:
        console.warning(
            f"{place.path} records no training run; if its weights are still random, first: "
            f"genmod train {quoted(place.path)}"
        )
    return load(place, device=str(where))


def open_split(
    model: "LatentVariableModel",
    name: Literal["train", "validation", "test"],
    settings: Sequence[str],
    root: Path | None,
) -> "Split":
    """A split of the data that a model was built for, with options of the dataset set anew.

    Raises:
        UsageError: something else than an option of the dataset is to be set.
        DataError: these data are not of the model's kind.
    """
    from genmod.options.schema import Text
    from genmod.spec import parse_setting

    values = {path: Text(value) for path, value in map(parse_setting, settings)}
    wrong = [path for path in values if not path.startswith("dataset.")]
    if wrong:
        raise UsageError(
            f"{', '.join(wrong)} cannot be set for a model that is built already",
            hint="options of the dataset can: -s dataset.OPTION=VALUE",
        )
    return open_data(model, values, root).split(name)


def open_data(model: "LatentVariableModel", values: Mapping[str, Any], root: Path | None) -> "Dataset":
    """The data that a model was built for, with options by path ``dataset.OPTION`` set anew.

    Raises:
        DataError: these data are not of the model's kind.
    """
    from genmod.model.assembly import open_dataset

    return open_dataset(model.spec.with_options(values), root, info=model.data)


def write(picture: "Picture", out: Path | None, directory: Path, name: str, *, seed: int) -> None:
    """Write a picture and print where it is: the file asked for, else ``NAME.png`` of the model's own pictures."""
    path = out
    if path is None:
        from genmod.bundle.directory import ModelDirectory

        path = ModelDirectory(directory).pictures(f"{name}.png")
        path.parent.mkdir(exist_ok=True)
    picture.save(path)
    console.note(f"seed {seed}")
    console.print_text(str(path))
