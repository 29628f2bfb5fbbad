"""``genmod sample``."""

from pathlib import Path
from typing import Annotated

import typer

from genmod.cli.outputs import Device, Directory, Out, Overwrite, Seed, check_out, open_model, write

__all__ = ["sample"]


def sample(
    directory: Directory = Path("model"),
    number: Annotated[int, typer.Option("--number", "-n", metavar="N", min=1, help="How many.")] = 64,
    noise: Annotated[
        bool, typer.Option("--noise", help="Draw from the likelihood too, rather than show its mean.")
    ] = False,
    out: Out = None,
    seed: Seed = 0,
    device: Device = "cpu",
    overwrite: Overwrite = False,
) -> None:
    """Draw new examples from a model.

    Latents are drawn from the prior and decoded. Arrays: images (N, ...) and latents (N, ...).

    Examples:
      genmod sample
      genmod sample beta8 -n 100 --seed 7 -o hundred.png
      genmod sample -n 10000 --noise -o samples.npz
    """
    check_out(out, overwrite=overwrite)
    model = open_model(directory, device)

    from genmod.pictures import sample_grid

    write(sample_grid(model, number, seed=seed, noise=noise), out, directory, "samples", seed=seed)
