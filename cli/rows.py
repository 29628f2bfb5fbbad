"""What the commands share that write a row for each example: options, opening the data, writing the file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genmod.cli import console
from genmod.cli.outputs import check_file, dataset_options, open_data
from genmod.cli.progress import StepProgress
from genmod.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from genmod.data.dataset import Split
    from genmod.model.latent_variable import LatentVariableModel

__all__ = ["RowsOf", "RowsOut", "Source", "check_rows_out", "open_rows", "write_rows"]

Source = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="A file or folder.", show_default="the data of the model"),
]
RowsOf = Annotated[
    Literal["train", "validation", "test", "all"],
    typer.Option("--split", help="Which part of the model's own data; of FILE it is all rows."),
]
RowsOut = Annotated[
    Path,
    typer.Option(
        "--out", "-o", metavar="FILE", help="A .npy, .npz, .csv, .parquet or .h5ad.", show_default=False
    ),
]


def check_rows_out(out: Path, *, overwrite: bool, arrays: int = 1) -> None:
    """Refuse a file of rows that could not be written, or has no room for so many arrays, before any work is done."""
    from genmod.data.rows_out import WRITERS, check_room

    check_file(out, tuple(WRITERS), overwrite=overwrite)
    check_room(out, arrays)


def open_rows(
    model: "LatentVariableModel",
    file: Path | None,
    name: Literal["train", "validation", "test", "all"],
    settings: Sequence[str],
    root: Path | None,
    *,
    gaps: bool = False,
) -> "tuple[Split, Sequence[int] | Sequence[str]]":
    """Rows of a file, or of the model's own data, in their order; and their names, else their numbers.

    Args:
        model: in whose terms they are.
        file: a file or folder.
        name: of a split of the model's own data, or ``all``.
        settings: options of the dataset, as typed.
        root: folder with data files.
        gaps: whether values of the file may be missing, whatever the model was built for.

    Raises:
        UsageError: a split of a file is asked for, or an option is not one of the dataset.
        DataError: these data are not of the model's kind.
    """
    from genmod.data.everything import in_order
    from genmod.model.impute import with_gaps
    from genmod.model.open_rows import open_rows as open_file

    options = dataset_options(settings)
    if file is None:
        split, rows = in_order(open_data(model, options, root), name)
        return split, split.names or rows.tolist()
    if name != "all":
        raise UsageError(
            f"{file} has no splits here: all of its rows are taken, in their order",
            hint=f"leave out --split {name}; or leave out {file}",
        )
    info = with_gaps(model.data) if gaps else model.data
    split = open_file(model.spec.with_options(options), file, root, info=info)
    return split, split.names or range(len(split))


def write_rows(
    out: Path,
    blocks: "Iterator[Mapping[str, Tensor]]",
    columns: "Callable[[str, Tensor], Sequence[str]]",
    labels: Sequence[int] | Sequence[str],
    *,
    source: Path | None,
    task: str,
    seed: int,
    json: bool,
) -> tuple[str, ...]:
    """Write blocks of rows, showing how far it is, and print where the file is.

    Args:
        out: the file.
        blocks: arrays by name, ``(n, …)`` each.
        columns: names of the values of one row of an array, by its name and its first block.
        labels: of all rows.
        source: what the rows were made from.
        task: what is done meanwhile.
        seed: of what is drawn, for JSON.
        json: print one JSON document.

    Returns:
        The arrays that were written.
    """
    from genmod.data.rows_out import Layout, rows_out

    first = next(blocks)
    layout = Layout({name: columns(name, array) for name, array in first.items()}, labels, source)

    def write(writer: Any, block: "Mapping[str, Tensor]") -> None:
        writer.write({name: array.numpy() for name, array in block.items()})
        progress(task, writer.done, len(labels))

    with rows_out(out, layout) as writer, StepProgress() as progress:
        write(writer, first)
        for block in blocks:
            write(writer, block)
    if json:
        console.print_json(
            {
                "file": str(out),
                "seed": seed,
                "rows": len(labels),
                "arrays": {k: list(v.shape[1:]) for k, v in first.items()},
            }
        )
    else:
        console.print_text(str(out))
    return tuple(first)
