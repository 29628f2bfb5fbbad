"""``genmod interpolate``."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from genmod.cli.outputs import (
    Condition,
    DataRoot,
    Device,
    Directory,
    MovingOut,
    Overwrite,
    Seed,
    Set,
    SplitOption,
    check_out,
    open_model,
    open_split,
    write,
)

__all__ = ["interpolate"]


def interpolate(
    directory: Directory = Path("model"),
    rows: Annotated[
        int, typer.Option("--rows", "-n", metavar="N", min=1, help="Pairs of examples, each a row.")
    ] = 8,
    steps: Annotated[
        int, typer.Option(metavar="N", min=2, help="Pictures in a row, both ends counted.")
    ] = 10,
    spherical: Annotated[
        bool, typer.Option("--spherical/--linear", help="Turn from one to the other, or go straight.")
    ] = False,
    from_prior: Annotated[
        bool, typer.Option("--from-prior", help="Between draws from the prior; reads no data.")
    ] = False,
    condition: Condition = None,
    split: SplitOption = "test",
    out: MovingOut = None,
    seed: Seed = 0,
    device: Device = "cpu",
    set_: Set = None,
    data_root: DataRoot = None,
    overwrite: Overwrite = False,
) -> None:
    """Decode the way from one example to another.

    Both ends are codes of examples, and what is shown is their decoding. Arrays: images (rows, steps, ...),
    latents (rows, steps, ...).

    Examples:
      genmod interpolate
      genmod interpolate --spherical --steps 12 -n 4
      genmod interpolate --steps 24 -o walk.gif
      genmod interpolate beta8 --from-prior --seed 5 -o walk.npz
    """
    from genmod.figures.picture import MOVING_FORMATS

    check_out(out, overwrite=overwrite, formats=MOVING_FORMATS)
    model = open_model(directory, device)

    from genmod.errors import DataError
    from genmod.figures import choose_examples, codes, interpolation, prior_draws

    if from_prior:
        told = model.asked(condition, 2 * rows)
        ends = prior_draws(model, 2 * rows, context=told, seed=seed)
    else:
        batch = choose_examples(open_split(model, split, set_ or [], data_root), 2 * rows, seed=seed)
        if len(batch) < 2:
            raise DataError(f"the {split} split has {len(batch)} examples; a walk needs two")
        told = model.context(batch) if condition is None else model.asked(condition, len(batch))
        ends = codes(model, batch.x, context=model.context(batch), seed=seed)
    half = len(ends) // 2
    walk = interpolation(
        model,
        ends[:half],
        ends[half : 2 * half],
        steps=steps,
        spherical=spherical,
        context=None if told is None else (told[:half], told[half : 2 * half]),
    )
    between = "draws from the prior" if from_prior else f"{split} examples"
    walk = replace(walk, title=f"{walk.title} between {between}, seed {seed}")
    write(walk, out, directory, "interpolations", seed=seed)
