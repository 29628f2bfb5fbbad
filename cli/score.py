"""``genmod score``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genmod.cli import console
from genmod.cli.options import DataRoot, Device, Directory, Json, Overwrite, Seed, Set
from genmod.cli.outputs import open_model
from genmod.cli.rows import RowsOf, RowsOut, Source, check_rows_out, open_rows, write_rows

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["score"]


def score(
    directory: Directory = Path("model"),
    file: Source = None,
    *,
    out: RowsOut,
    draws: Annotated[
        int, typer.Option(metavar="K", min=1, help="Draws of the latents for each row; 1 for the ELBO.")
    ] = 100,
    columns: Annotated[
        bool,
        typer.Option(
            "--columns", help="Also each column by itself: the mean of log p(column|z) over q(z|x)."
        ),
    ] = False,
    split: RowsOf = "all",
    seed: Seed = 0,
    device: Device = "auto",
    set_: Set = None,
    data_root: DataRoot = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write the log-likelihood of data, a row for each row of a file.

    In nats: log 1/K Σ p(x, z)/q(z|x) of K draws, a lower bound on log p(x) on average, which rises with K. The columns
    are log_likelihood and effective_draws, how many draws of the exact posterior the draws are worth: few of many say that
    the bound is loose. Densities are per unit of the file. Of a row with missing values it is that of the others.

    Examples:
      genmod score model new.npz -o scores.csv
      genmod score --split test --draws 1000 -o scores.npz
      genmod score people people.csv --columns -o scores.parquet
    """
    check_rows_out(out, overwrite=overwrite, arrays=2)
    model = open_model(directory, device)
    examples, labels = open_rows(model, file, split, set_ or [], data_root)

    from genmod.data.rows_out import column_names
    from genmod.model.score import score_blocks, score_meaning

    named = [column.name for column in model.data.modelled]

    def names(array: str, block: "Tensor") -> list[str]:
        if array != "by_column":
            return [array]
        return [f"log_likelihood_{name}" for name in named] or column_names(
            "log_likelihood_{}", block.shape[1:]
        )

    blocks = score_blocks(model, examples, draws=draws, columns=columns, seed=seed)
    write_rows(out, blocks, names, labels, source=file, task="scoring", seed=seed, json=json)
    console.note(score_meaning(model, draws))
    if columns:
        console.note("by column: the mean of log p(column|z) over q(z|x), nats")
    console.note(f"seed {seed}")
