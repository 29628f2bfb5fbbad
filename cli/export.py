"""``genmod export``."""

from pathlib import Path
from typing import Annotated

import typer

from genmod.cli import console
from genmod.cli.completion import component_names
from genmod.cli.options import DataRoot, Device, Directory, Json, Seed, set_option
from genmod.cli.outputs import open_model, settings_by_owner

__all__ = ["export"]


def export(
    directory: Directory = Path("model"),
    *,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="The format, one of `genmod list format`.",
            autocompletion=component_names("format"),
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Where to write it.", show_default=False)
    ],
    set_: Annotated[
        list[str] | None,
        set_option("NAME.OPTION=VALUE", "Set an option of the format or the dataset; repeatable."),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files of the same names in DIR.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a model for another library.

    What that library wants to know of the codes is measured on the training data. `genmod show format NAME` says what is
    written and which models can be; `genmod build --from NAME:FOLDER` goes the other way where a format reads.

    Examples:
      genmod export --format diffusers -o vae
      genmod export runs/kl --format diffusers -o vae -s format.scaling=0.18215 --overwrite
    """
    from genmod.bundle.directory import ModelDirectory
    from genmod.bundle.export import check_export_place

    place = ModelDirectory(directory)
    spec = place.with_dataset()
    check_export_place(out, overwrite=overwrite)
    options = settings_by_owner(set_ or [], ("format", "dataset"))

    from genmod.bundle.export import export as write
    from genmod.model.assembly import open_dataset

    model = open_model(place, device)
    changed = {f"dataset.{name}": value for name, value in options["dataset"].items()}
    data = open_dataset(spec.with_options(changed), data_root, info=model.data) if changed else None
    done = write(
        model,
        {"name": format_, **options["format"]},
        out,
        data=data,
        seed=seed,
        root=data_root,
        overwrite=overwrite,
    )
    if json:
        console.print_json({"directory": str(done.path), "files": done.files, "notes": done.notes})
        return
    console.print_text(str(done.path))
    for note in done.notes:
        console.note(note)
