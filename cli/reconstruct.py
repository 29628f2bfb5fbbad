"""``genmod reconstruct``."""

from pathlib import Path
from typing import Annotated

import typer

from genmod.cli.options import (
    DataRoot,
    Device,
    Directory,
    Json,
    OutOrRows,
    Overwrite,
    Seed,
    Set,
    SplitOption,
    number_option,
    refuse_typed,
)
from genmod.cli.outputs import (
    check_out,
    check_out_or_rows,
    dataset_options,
    open_model,
    open_split,
    require_columns,
    write,
    write_frame,
)
from genmod.cli.progress import StepProgress
from genmod.errors import UsageError

__all__ = ["reconstruct"]


def reconstruct(
    ctx: typer.Context,
    directory: Directory = Path("model"),
    number: Annotated[int | None, number_option("examples", default="10; as .csv and the like all")] = None,
    worst: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Show the N examples with the largest squared errors instead, with differences.",
        ),
    ] = None,
    split: SplitOption = "test",
    out: OutOrRows = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--picture",
            metavar="FILE",
            help="A picture of any size, in place of the data.",
            show_default=False,
        ),
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=32,
            help="Side in pixels of the tiles that a larger FILE is cut into.",
            show_default="512",
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    set_: Set = None,
    data_root: DataRoot = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Show examples next to their reconstructions.

    Rows: the data; the binary images that the model was given, where its decoder makes the data binary; and the mean
    of p(x|z) at the code. Arrays: images (rows, N, ...), latents (N, ...), and labels (N) where there are any. As .csv or
    .parquet the reconstructed rows of a table, in the order of the split and in its own units; of categories the most
    probable one.

    A picture of any size is reconstructed in its own, by a fully convolutional model, in tiles with blended seams where it is
    large. It is read as the model's data are; with 8 bits: -s dataset.depth=8. As .npz or .safetensors its values.

    Examples:
      genmod reconstruct
      genmod reconstruct beta8 -n 20 --split train --seed 3
      genmod reconstruct --worst 8
      genmod reconstruct -n 500 -o reconstructions.npz
      genmod reconstruct --picture photo.png -o again.png
    """
    if worst is not None and (number is not None or picture is not None):
        raise UsageError("--worst shows examples of its own choice", hint="leave out -n and --picture")
    if picture is not None:
        refuse_typed(ctx, ("split",), "--picture", "is one picture of no split")
        return _reconstruct_picture(
            directory, picture, number, out, tile or 512, seed, device, set_, data_root, overwrite, json
        )
    if tile is not None:
        raise UsageError(
            f"--tile {tile} is for a picture of any size, and there is none",
            hint="name it: --picture FILE; examples of the data are reconstructed whole",
        )
    rows = check_out_or_rows(out, overwrite=overwrite)
    model = open_model(directory, device)

    from genmod.figures import choose_examples, reconstructed_frame, reconstruction_grid, worst_grid

    if worst is not None:
        if rows:
            raise UsageError(
                f"--worst shows a picture, and {out} is for rows", hint="end the name in .png or .npz"
            )
        part = open_split(model, split, set_ or [], data_root)
        with StepProgress() as progress:
            found = worst_grid(
                model,
                part,
                worst,
                name=split,
                seed=seed,
                on_step=lambda n, of: progress("reconstructing", n, of),
            )
        return write(found, out, directory, "worst", seed=seed, json=json, number=worst, split=split)
    if rows and out is not None:
        require_columns(model, out)
        part = open_split(model, split, set_ or [], data_root)
        names = None if part.names is None else list(part.names)[:number]
        batch = part.__getitems__(range(min(len(part), number or len(part))))
        frame = reconstructed_frame(model, batch, names=names, seed=seed, like="pyarrow")
        return write_frame(frame, out, seed=seed, json=json, number=len(batch), split=split)
    batch = choose_examples(open_split(model, split, set_ or [], data_root), number or 10, seed=seed)
    context = model.context(batch)
    grid = reconstruction_grid(model, batch.x, labels=batch.labels, context=context, seed=seed)
    known = {"number": len(batch), "split": split}
    return write(grid, out, directory, "reconstructions", seed=seed, json=json, **known)


def _reconstruct_picture(
    directory: Path,
    file: Path,
    number: int | None,
    out: Path | None,
    tile: int,
    seed: int,
    device: str,
    settings: list[str] | None,
    data_root: Path | None,
    overwrite: bool,
    json: bool,
) -> None:
    if number is not None:
        raise UsageError(f"-n {number} examples of {file}, which is one picture", hint="leave out -n")
    check_out(out, overwrite=overwrite)
    model = open_model(directory, device)

    from dataclasses import replace

    from genmod import reconstruct_tiled
    from genmod.figures import Picture
    from genmod.model.open_rows import open_picture
    from genmod.system.random import seeded

    x = open_picture(file, data_root, info=model.data, options=dataset_options(settings or []))
    with StepProgress() as progress, seeded(seed):
        made = reconstruct_tiled(
            model, x, tile=tile, overlap=tile // 4, on_step=lambda done, of: progress("tiles", done, of)
        )
    data = replace(model.data, shape=tuple(made.shape[1:]))
    write(Picture(made, data, bare=True), out, directory, f"reconstruction-{file.stem}", seed=seed, json=json)
