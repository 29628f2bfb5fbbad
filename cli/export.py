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
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            help="Where to write it: a folder, or the file of a format that writes one.",
            show_default=False,
        ),
    ],
    part: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What a file computes: encode, decode, reconstruct, sample or score; short for -s format.part=NAME.",
            show_default="decode",
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Run what is written, and compare it with the model, before it is kept."
        ),
    ] = False,
    set_: Annotated[
        list[str] | None,
        set_option("NAME.OPTION=VALUE", "Set an option of the format or the dataset; repeatable."),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file, or files of the same names in the folder.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a model for another library, or a part of it as one file.

    Formats onnx and pt2 write one part as a file that computes it without genmod: codes of examples, examples from latents,
    reconstructions, new examples, or bounds on log p(x). Random numbers are inputs, and batches have any size. Other formats
    write a folder; what a library wants to know of the codes is measured on the training data. `genmod show format NAME` says
    what is written and which models can be; `genmod build --from NAME:FOLDER` goes the other way where a format reads.

    Examples:
      genmod export --format onnx --part decode -o decode.onnx --check
      genmod export beta8 --format pt2 --part encode -o encode.pt2
      genmod export --format diffusers -o vae -s format.scaling=0.18215 --overwrite
    """
    from genmod.bundle.directory import ModelDirectory
    from genmod.bundle.export import check_export_place
    from genmod.registry.lookup import current_registry

    place = ModelDirectory(directory)
    spec = place.with_dataset()
    kind = current_registry().find("format", format_).load()
    check_export_place(out, overwrite=overwrite, suffix=kind.suffix)
    options = settings_by_owner(set_ or [], ("format", "dataset"))
    if part is not None:
        options["format"].setdefault("part", part)

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
        check=check,
    )
    more = {"differences": done.differences} if check else {}
    if json:
        console.print_json(
            {
                "file" if kind.suffix else "directory": str(done.path),
                "files": done.files,
                "notes": done.notes,
                **more,
            }
        )
        return
    console.print_text(str(done.path))
    for note in done.notes:
        console.note(note)
    if check:
        most = max(done.differences.values(), default=0.0)
        console.note(f"what it computes differs from the model by at most {most:.1e}")
