"""``genmod impute``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genmod.cli import console
from genmod.cli.options import DataRoot, Device, Directory, Json, Overwrite, Seed, Set, refuse_typed
from genmod.cli.outputs import check_file, dataset_options, open_model
from genmod.cli.rows import Source, check_rows_out, open_rows, write_rows
from genmod.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genmod.model.latent_variable import LatentVariableModel

__all__ = ["impute"]


def impute(
    ctx: typer.Context,
    directory: Directory = Path("model"),
    file: Source = None,
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Of a table .csv, .parquet and the like; of arrays .npy, .npz, .csv or .parquet.",
            show_default=False,
        ),
    ],
    draws: Annotated[int, typer.Option(metavar="K", min=1, help="How many times each row is filled in.")] = 1,
    mean: Annotated[
        bool,
        typer.Option("--mean", help="Fill in the mean, and of categories the most frequent, not a draw."),
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
    set_: Set = None,
    data_root: DataRoot = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Fill in the missing values of a file.

    They are drawn from p(missing|observed): latents from the posterior, weighted or accepted by their exact densities,
    then the values from p(x|z). What was there stays as it was. Without FILE it is the data that the model was built for.
    Several draws of a table stand one after the other, with their number in a column draw; of arrays they are x (N, K, …).

    Examples:
      genmod impute people gaps.csv -o filled.csv
      genmod impute people gaps.csv --draws 5 -o five.parquet
      genmod impute model gaps.npz --mean -o filled.npz
    """
    if mean:
        refuse_typed(ctx, ("draws",), "--mean", "fills in each row once")
    model = open_model(directory, device)
    if model.data.columns:
        from genmod.data.frames_filled import numbered
        from genmod.data.table_files import WRITTEN_FORMATS, write_table

        check_file(out, WRITTEN_FORMATS, overwrite=overwrite)
        frame = _read(model, file, set_ or [], data_root)
        made = model.impute(frame, draws=draws, mean=mean, seed=seed)
        write_table(numbered(made) if draws > 1 else made, out)
        console.print_file(out, json=json, **({"seed": seed, "rows": len(frame)} if json else {}))
        console.note(f"seed {seed}")
        return
    check_rows_out(out, overwrite=overwrite)
    examples, labels = open_rows(model, file, "all", set_ or [], data_root, gaps=True)

    from genmod.data.rows_out import column_names
    from genmod.model.impute import impute_blocks

    blocks = (
        {name: model.data.original(array) for name, array in block.items()}
        for block in impute_blocks(model, examples, draws=draws, mean=mean, seed=seed)
    )
    write_rows(
        out,
        blocks,
        lambda name, array: column_names("x{}", array.shape[1:], draws),
        labels,
        source=file,
        task="filling in",
        seed=seed,
        json=json,
    )
    console.note(f"seed {seed}")


def _read(
    model: "LatentVariableModel", file: Path | None, settings: "Sequence[str]", root: Path | None
) -> Any:
    """The table in a file, by default in that of the model's own data."""
    from genmod.data.dataset import default_root
    from genmod.data.table_files import read_table

    own = {**model.spec.components["dataset"].options}
    own |= {path.partition(".")[2]: value for path, value in dataset_options(settings).items()}
    path = file or own.get("path")
    if path is None:
        raise UsageError(
            "the model was built for a table that was given in Python",
            hint="name a file: genmod impute DIR FILE -o FILE",
        )
    there = [each for each in (Path(path).expanduser(), default_root(root) / path) if each.exists()]
    texts = [c.name for c in model.data.columns if c.dtype in ("String", "Categorical", "Enum")]
    return read_table(there[0] if there else Path(path), delimiter=own.get("delimiter"), texts=texts)
