"""``genmod reconstruct``."""

from pathlib import Path
from typing import Annotated

import typer

from genmod.cli.outputs import (
    DataRoot,
    Device,
    Directory,
    OutOrRows,
    Overwrite,
    Seed,
    Set,
    SplitOption,
    check_out_or_rows,
    open_model,
    open_split,
    require_columns,
    write,
    write_frame,
)

__all__ = ["reconstruct"]


def reconstruct(
    directory: Directory = Path("model"),
    number: Annotated[
        int | None,
        typer.Option(
            "--number",
            "-n",
            metavar="N",
            min=1,
            help="How many examples.",
            show_default="10; as .csv and the like all",
        ),
    ] = None,
    split: SplitOption = "test",
    out: OutOrRows = None,
    seed: Seed = 0,
    device: Device = "cpu",
    set_: Set = None,
    data_root: DataRoot = None,
    overwrite: Overwrite = False,
) -> None:
    """Show examples next to their reconstructions.

    Rows: the data; the binary images that the model was given, where its decoder makes the data binary; and the mean
    of p(x|z) at the code. Arrays: images (rows, N, ...), latents (N, ...), and labels (N) where there are any. As .csv or
    .parquet the reconstructed rows of a table, in the order of the split and in its own units; of categories the most
    probable one.

    Examples:
      genmod reconstruct
      genmod reconstruct beta8 -n 20 --split train --seed 3
      genmod reconstruct -n 500 -o reconstructions.npz
    """
    rows = check_out_or_rows(out, overwrite=overwrite)
    model = open_model(directory, device)

    from genmod.figures import choose_examples, reconstructed_frame, reconstruction_grid

    if rows and out is not None:
        require_columns(model, out)
        part = open_split(model, split, set_ or [], data_root)
        names = None if part.names is None else list(part.names)[:number]
        batch = part.__getitems__(range(min(len(part), number or len(part))))
        frame = reconstructed_frame(model, batch, names=names, seed=seed, like="pyarrow")
        return write_frame(frame, out, seed=seed)
    batch = choose_examples(open_split(model, split, set_ or [], data_root), number or 10, seed=seed)
    context = model.context(batch)
    picture = reconstruction_grid(model, batch.x, labels=batch.labels, context=context, seed=seed)
    return write(picture, out, directory, "reconstructions", seed=seed)
