"""``genmod traverse``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from genmod.figures.following import Followed

__all__ = ["traverse"]

_EXAMPLES_FOR_ACTIVITY = 1000


def traverse(
    ctx: typer.Context,
    directory: Directory = Path("model"),
    dims: Annotated[
        str | None,
        typer.Option(
            metavar="I,J,...",
            help="Which latent dimensions, counted from 0.",
            show_default="the most active ones",
        ),
    ] = None,
    number: Annotated[int, number_option("dimensions, without --dims")] = 10,
    steps: Annotated[int, typer.Option(metavar="N", min=2, help="Pictures in a row.")] = 9,
    range_: Annotated[
        float, typer.Option("--range", metavar="X", min=0.0, help="How far to go, in standard deviations.")
    ] = 3.0,
    from_prior: Annotated[
        bool, typer.Option("--from-prior", help="Start at a draw from the prior; reads no data.")
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
    """Decode what each latent dimension changes.

    Each row changes one dimension of the code of one example. Rows are sorted by the mean KL of their dimension,
    which is shown, with the factor or the class that the dimension tells most of, where they are known, and the share of
    its entropy that it tells. Distances are in standard deviations of the prior, or of the codes where there is no prior.
    Arrays: images (rows, steps, ...), latents (rows, steps, ...), dimensions (rows), values (rows, steps).

    Examples:
      genmod traverse
      genmod traverse beta8 --dims 0,3,5 --steps 11 --range 2
      genmod traverse --steps 25 -o traversal.gif
      genmod traverse --from-prior --seed 4 -o traversal.npz
    """
    from genmod.figures.saving import MOVING_FORMATS

    if from_prior:
        refuse_typed(ctx, ("split", "set_", "data_root"), "--from-prior", "reads no data")
    check_out(out, overwrite=overwrite, formats=MOVING_FORMATS)
    chosen = None if dims is None else _numbers(dims)
    model = open_model(directory, device)

    import torch

    from genmod.figures import (
        activity,
        choose_examples,
        codes,
        latent_scale,
        prior_draws,
        traversal,
        variables,
    )
    from genmod.figures.following import followed
    from genmod.figures.views import rows_of

    labels, scale, rows = None, None, ""
    if from_prior:
        given = model.asked(condition, 1)
        z = prior_draws(model, 1, context=given, seed=seed)[0]
        chosen = chosen or list(range(variables(model)))[:number]
    else:
        data = open_split(model, split, set_ or [], data_root)
        many = choose_examples(data, _EXAMPLES_FOR_ACTIVITY, seed=seed)
        context = model.context(many)
        given = model.asked(condition, 1) if condition or context is None else context[:1]
        latents = codes(model, many.x, context=context, seed=seed)
        z = codes(model, many.x[:1], context=rows_of(context, slice(1)), seed=seed)[0]
        scale = latent_scale(model, latents, context=given)
        amounts, measure = activity(model, many.x, context=context, seed=seed)
        chosen = (
            chosen or [d for d in amounts.argsort(descending=True).tolist() if d < variables(model)][:number]
        )
        known = followed(model, latents, many)
        labels = tuple(_label(d, float(amounts[d]), known) for d in chosen if d < len(amounts))
        rows = f"; rows: {measure}{', most told' if known else ''}"
    values = torch.linspace(-range_, range_, steps)
    picture = traversal(model, z, chosen, values, scale=scale, context=given)
    picture = replace(
        picture, row_labels=labels or picture.row_labels, title=f"{picture.title}{rows}; seed {seed}"
    )
    write(picture, out, directory, "traversals", seed=seed, json=json, dimensions=list(chosen), steps=steps)


def _label(variable: int, amount: float, known: "Followed") -> str:
    """``z3  0.87  62 % of size``: how much a variable says, and what it tells most of."""
    told = ""
    if variable in known:
        name, share = known[variable]
        told = f"  {100 * share:.0f} % of {name}"
    return f"z{variable}  {amount:.2f}{told}"


def _numbers(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a list of whole numbers such as 0,3,5", param_hint="--dims"
        ) from None
