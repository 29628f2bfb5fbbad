"""``genmod encode``."""

from pathlib import Path
from typing import Annotated

import typer

from genmod.cli import console
from genmod.cli.outputs import DataRoot, Device, Directory, Overwrite, Seed, Set, open_model
from genmod.cli.rows import RowsOf, RowsOut, Source, check_rows_out, open_rows, write_rows

__all__ = ["encode"]


def encode(
    directory: Directory = Path("model"),
    file: Source = None,
    *,
    out: RowsOut,
    with_: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="NAME,...",
            help="Beside the means: scales, the standard deviations; draws from q(z|x).",
            show_default="the means alone",
        ),
    ] = None,
    draws: Annotated[int, typer.Option(metavar="K", min=1, help="How many draws of each example.")] = 1,
    split: RowsOf = "all",
    seed: Seed = 0,
    device: Device = "auto",
    set_: Set = None,
    data_root: DataRoot = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the codes of data, a row for each row of a file.

    The codes are the means of q(z|x), draws where there is no mean, or the integers of a codebook. FILE is anything
    that the model's data could be; without it they are the data that the model was built for, all splits in the order of
    the file. Beside the codes stand the number of each row, or the name of its file; not in .npy, which holds one array.
    Memory does not grow with the number of rows. An .h5ad is a copy of FILE with the codes in obsm, as X_genmod.

    Examples:
      genmod encode model new.npz -o codes.npy
      genmod encode --split test --with scales -o codes.csv
      genmod encode vq photos -o codes.parquet
      genmod encode cells-vae cells.h5ad -o coded.h5ad
      genmod encode --with draws --draws 10 -o codes.npz
    """
    more = [word.strip() for word in with_.split(",")] if with_ else []
    check_rows_out(out, overwrite=overwrite, arrays=1 + len(more))
    model = open_model(directory, device)
    examples, labels = open_rows(model, file, split, set_ or [], data_root)

    from genmod.data.rows_out import column_names
    from genmod.model.encode import COLUMNS, code_blocks

    blocks = code_blocks(model, examples, more=more, draws=draws, seed=seed)  # type: ignore[arg-type]
    written = write_rows(
        out,
        blocks,
        lambda name, array: column_names(COLUMNS[name], array.shape[1:], draws if name == "draws" else 1),
        labels,
        source=file,
        task="encoding",
    )
    if "draws" in written:
        why = (
            ""
            if "draws" in more
            else f"draws, for posterior {model.spec.components['posterior'].name!r} has no known mean; "
        )
        console.note(f"{why}seed {seed}")
