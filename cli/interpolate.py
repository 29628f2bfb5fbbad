"""``genmod interpolate``."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from genmod.cli.options import (
    Condition,
    DataRoot,
    Device,
    Directory,
    Json,
    MovingOut,
    Overwrite,
    Seed,
    Set,
    SplitOption,
    number_option,
    refuse_typed,
)
from genmod.cli.outputs import check_out, open_model, open_split, write

__all__ = ["interpolate"]


def interpolate(
    ctx: typer.Context,
    directory: Directory = Path("model"),
    number: Annotated[int, number_option("pairs, a row each")] = 8,
    rows: Annotated[int | None, typer.Option("--rows", min=1, hidden=True)] = None,
    steps: Annotated[
        int, typer.Option(metavar="N", min=2, help="Pictures in a row, both ends counted.")
    ] = 10,
    spherical: Annotated[
        bool, typer.Option("--spherical/--linear", help="On a great circle, or on a straight line.")
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
    json: Json = False,
) -> None:
    """Decode the points between two examples.

    Each row leads from the code of one example to that of another; both examples stand at its ends. Arrays: images
    (rows, steps, ...), latents (rows, steps, ...), and the examples, starts and ends (rows, ...).

    Examples:
      genmod interpolate
      genmod interpolate --spherical --steps 12 -n 4
      genmod interpolate --steps 24 -o walk.gif
      genmod interpolate beta8 --from-prior --seed 5 -o walk.npz
    """
    from genmod.figures.saving import MOVING_FORMATS

    if from_prior:
        refuse_typed(ctx, ("split", "set_", "data_root"), "--from-prior", "reads no data")
    rows = rows or number
    check_out(out, overwrite=overwrite, formats=MOVING_FORMATS)
    model = open_model(directory, device)

    from genmod.errors import DataError
    from genmod.figures import choose_examples, codes, interpolation, prior_draws
    from genmod.figures.walks import paired

    if from_prior:
        given = model.asked(condition, 2 * rows)
        ends = prior_draws(model, 2 * rows, context=given, seed=seed)
    else:
        batch = choose_examples(open_split(model, split, set_ or [], data_root), 2 * rows, seed=seed)
        if len(batch) < 2:
            raise DataError(f"the {split} split has {len(batch)} examples; a walk needs two")
        given = model.context(batch) if condition is None else model.asked(condition, len(batch))
        ends = codes(model, batch.x, context=model.context(batch), seed=seed)
    walk = interpolation(
        model,
        *paired(ends),
        steps=steps,
        spherical=spherical,
        context=None if given is None else paired(given),
    )
    between = "draws from the prior" if from_prior else f"{split} examples"
    real = None if from_prior else paired(model.data.values(batch.x))
    walk = replace(walk, title=f"{walk.title} between {between}, seed {seed}", ends=real)
    write(walk, out, directory, "interpolations", seed=seed, json=json, number=rows, steps=steps)
