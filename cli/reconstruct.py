"""``genmod reconstruct``."""

from pathlib import Path
from typing import Annotated

import typer

from genmod.cli.outputs import (
    DataRoot,
    Device,
    Directory,
    Out,
    Overwrite,
    Seed,
    Set,
    SplitOption,
    check_out,
    open_model,
    open_split,
    write,
)

__all__ = ["reconstruct"]


def reconstruct(
    directory: Directory = Path("model"),
    number: Annotated[
        int, typer.Option("--number", "-n", metavar="N", min=1, help="How many examples.")
    ] = 10,
    split: SplitOption = "test",
    out: Out = None,
    seed: Seed = 0,
    device: Device = "cpu",
    set_: Set = None,
    data_root: DataRoot = None,
    overwrite: Overwrite = False,
) -> None:
    """Show examples next to their reconstructions.

    Rows: the data; the binary images that the model was given, where its decoder makes the data binary; and the mean
    of p(x|z) at the code. Arrays: images (rows, N, ...), latents (N, ...), and labels (N) where there are any.

    Examples:
      genmod reconstruct
      genmod reconstruct beta8 -n 20 --split train --seed 3
      genmod reconstruct -n 500 -o reconstructions.npz
    """
    check_out(out, overwrite=overwrite)
    model = open_model(directory, device)

    from genmod.figures import choose_examples, reconstruction_grid

    batch = choose_examples(open_split(model, split, set_ or [], data_root), number, seed=seed)
    context = model.context(batch)
    picture = reconstruction_grid(model, batch.x, labels=batch.labels, context=context, seed=seed)
    write(picture, out, directory, "reconstructions", seed=seed)
