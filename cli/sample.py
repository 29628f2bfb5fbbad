"""``genmod sample``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genmod.cli import console
from genmod.cli.options import Condition, Device, Directory, Json, OutOrRows, Overwrite, Seed, number_option
from genmod.cli.outputs import (
    check_out_or_rows,
    latents_from,
    open_model,
    open_split,
    require_columns,
    write,
    write_frame,
)
from genmod.errors import UsageError

if TYPE_CHECKING:
    from genmod.figures import Picture
    from genmod.figures.table_figure import TableFigure
    from genmod.interfaces.model import GenerativeModel
    from genmod.interfaces.sampler import Source

__all__ = ["sample"]


def sample(
    directory: Directory = Path("model"),
    number: Annotated[int, number_option("examples")] = 64,
    noise: Annotated[
        bool, typer.Option("--noise", help="Draw from the likelihood too, instead of its mean.")
    ] = False,
    condition: Condition = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME",
            help="Where latents come from: prior, sampler, or the directory of a model of codes.",
            show_default="the sampler where one was fitted",
        ),
    ] = None,
    temperature: Annotated[
        str,
        typer.Option(
            metavar="X",
            help="Standard deviations of normal latents are multiplied by it; below 1: more typical. "
            "Of groups of latents also one for each, X,X,…",
        ),
    ] = "1",
    out: OutOrRows = None,
    seed: Seed = 0,
    device: Device = "cpu",
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Draw new examples from a model.

    Latents are drawn from the prior, or from the sampler of `genmod fit-sampler`, and decoded; or from a model of the codes
    that `genmod encode` wrote, which is then what --condition is for. Arrays: images
    (N, ...) and latents (N, ...). Rows of a table are drawn from the likelihood too; as .csv or .parquet they have the names,
    units, categories and types of its columns; as .png as many as there are training data, up to 2,000, are drawn beside these.

    Examples:
      genmod sample
      genmod sample beta8 -n 100 --condition 7 --seed 7 -o hundred.png
      genmod sample --from prior --temperature 0.8
      genmod sample tokenizer --from latents
      genmod sample -n 10000 --noise -o samples.npz
    """
    rows = check_out_or_rows(out, overwrite=overwrite)
    factor = _factors(temperature)
    model = open_model(directory, device)
    source, condition = latents_from(model, start, device, condition)

    from genmod.figures import origin_of_latents, sample_grid, sampled_frame, shown

    drawn_from = origin_of_latents(model, source)
    known: dict[str, Any] = {
        "number": number,
        "drawn_from": drawn_from,
        "temperature": factor,
        "condition": condition,
    }
    origin = f"{'latents from' if model.has_latents else 'samples of'} the {drawn_from}"
    at = f", temperature {shown(factor)}" if factor != 1 else ""
    if rows and out is not None:
        require_columns(model, out)
        frame = sampled_frame(
            model, number, seed=seed, condition=condition, source=source, temperature=factor, like="pyarrow"
        )
        console.note(f"{origin}{at}")
        return write_frame(frame, out, seed=seed, json=json, **known)
    picture: Picture | TableFigure | None = None
    if len(model.data.shape) == 1 and (out is None or out.suffix.lower() == ".png"):
        picture, known["number"] = _beside_the_data(model, number, seed, condition, source, factor)
    if picture is None:
        # The mean of a category is none.
        noise = noise or bool(model.data.columns)
        picture = sample_grid(
            model, number, seed=seed, noise=noise, condition=condition, source=source, temperature=factor
        )
    console.note(f"{origin}{at}")
    return write(picture, out, directory, "samples", seed=seed, json=json, **known)


def _beside_the_data(
    model: "GenerativeModel",
    number: int,
    seed: int,
    condition: str | None,
    source: "Source | None",
    factor: float | list[float],
) -> "tuple[TableFigure | None, int]":
    """Columns, pairs and correlations of generated rows beside those of the training data, None where these are missing;
    and the number of rows that are generated."""
    from genmod.errors import DataError
    from genmod.figures import choose_examples, sample_grid
    from genmod.figures.table_figure import TableFigure, table_figure
    from genmod.figures.tables import MOST_ROWS

    try:
        split = open_split(model, "train", [], None)  # type: ignore[arg-type]
    except DataError as error:
        console.note(f"not beside the data: {error.message.partition(chr(10))[0]}")
        return None, number
    rows = model.data.values(choose_examples(split, MOST_ROWS, seed=seed).x).float()
    # Of few rows, histograms say nothing.
    count = max(number, len(rows))
    made = sample_grid(
        model, count, seed=seed, noise=True, condition=condition, source=source, temperature=factor
    )
    of = f" of {condition}" if condition else ""
    title = f"{count:,} generated rows{of} beside {len(rows):,} of the training data, seed {seed}"
    return TableFigure(table_figure(rows, made.images.cpu(), model.data, title=title)), count


def _factors(text: str) -> float | list[float]:
    """``0.8``, or ``0.5,1`` of groups of latents.

    Raises:
        UsageError: it is no number.
    """
    try:
        each = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(
            f"--temperature is {text!r}; it must be a number above 0, or one for each group of latents",
            hint="write --temperature 0.8",
        ) from None
    return each if len(each) > 1 else each[0]
