"""``genmod encode``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from genmod.cli import console
from genmod.cli.options import DataRoot, Device, Directory, Json, Seed, Set
from genmod.cli.outputs import open_model
from genmod.cli.rows import RowsOf, Source, check_rows_out, open_rows, write_rows
from genmod.errors import FileError, UsageError, quoted

__all__ = ["encode"]


def encode(
    directory: Directory = Path("model"),
    file: Source = None,
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="A .npy, .npz, .csv, .parquet or .h5ad; or a folder.",
            show_default=False,
        ),
    ],
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
    shard: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Examples in each file of a folder.",
            show_default="4,096, or fewer that take 256 MiB",
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Processes that share the files of a folder.", show_default="1"
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    set_: Set = None,
    data_root: DataRoot = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace FILE where it exists; the codes in a folder.")
    ] = False,
    json: Json = False,
) -> None:
    """Write the codes of data, a row for each row of a file.

    The codes are the means of q(z|x), draws where there is no mean, or the integers of a codebook. FILE is anything
    that the model's data could be; without it they are the data that the model was built for, all splits in the order of
    the file. Beside the codes stand the number of each row, or the name of its file; not in .npy, which holds one array.
    Memory does not grow with the number of rows. An .h5ad is a copy of FILE with the codes in obsm, as X_genmod.

    A folder has codes to train on: `genmod build --data FOLDER`, `genmod fit-sampler --encoded FOLDER`. The splits are
    folders in it, of files of safetensors; codes.json says what they are. If it is stopped or killed, the same command goes
    on.

    Examples:
      genmod encode model new.npz -o codes.npy
      genmod encode --split test --with scales -o codes.csv
      genmod encode vq photos -o codes.parquet
      genmod encode --with draws --draws 10 -o codes.npz
      genmod encode tokenizer --with scales --processes 4 -o codes/
    """
    more = [word.strip() for word in with_.split(",")] if with_ else []
    if not out.suffix or out.is_dir():
        return _into_folder(
            directory,
            file,
            out,
            split=split,
            settings=set_ or [],
            data_root=data_root,
            device=device,
            processes=processes,
            options={"more": more, "draws": draws, "seed": seed, "shard": shard},
            overwrite=overwrite,
            json=json,
        )
    if shard is not None or processes is not None:
        raise UsageError(
            f"{out} is one file, which one process writes",
            hint=f"name a folder: -o {quoted(out.with_suffix(''))}; or leave out --shard and --processes",
        )
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
        seed=seed,
        json=json,
    )
    if "draws" in written:
        why = (
            ""
            if "draws" in more
            else f"draws, for posterior {model.spec.components['posterior'].name!r} has no known mean; "
        )
        console.note(f"{why}seed {seed}")
    return None


def _into_folder(
    directory: Path,
    file: Path | None,
    out: Path,
    *,
    split: RowsOf,
    settings: list[str],
    data_root: Path | None,
    device: str,
    processes: int | None,
    options: dict[str, Any],
    overwrite: bool,
    json: bool,
) -> None:
    """Write codes as shards, in one process or as one of several."""
    from contextlib import nullcontext

    from genmod.cli.processes import launched
    from genmod.cli.progress import StepProgress

    if not out.parent.is_dir():
        raise FileError(f"there is no folder {out.parent}", hint=f"mkdir -p {quoted(out.parent)}")
    if out.exists() and not out.is_dir():
        raise FileError(
            f"{out} is a file", hint="give the name of a folder, or of a file with a suffix: -o codes.npy"
        )
    launched(processes)
    from genmod.model.encode_shards import begin, finish, planned, write_shards
    from genmod.system.files import alone_in
    from genmod.training.distributed import Team, process_group

    with process_group(device) as device:
        team, model = Team(), open_model(directory, device)
        splits = _splits(model, file, split, settings, data_root)
        source = {
            "model": directory.resolve().name,
            "data": str(file) if file else model.spec.components["dataset"].name,
        }
        plan = planned(model, splits, source=source, **options)
        if team.leads:
            out.mkdir(exist_ok=True)
        with alone_in(out) if team.leads else nullcontext():
            found = begin(out, plan, model, splits, overwrite=overwrite) if team.leads else None
            missing = team.from_leader(found)
            there = sum(1 for _ in plan.shards()) - len(missing)
            if there and team.leads:
                console.note(f"{there} of {there + len(missing)} files are there already")
            with StepProgress() if team.leads else nullcontext() as progress:
                tell = (
                    (lambda done, of: progress("encoding", done, of)) if progress else (lambda done, of: None)
                )
                write_shards(out, plan, model, splits, missing[team.rank :: team.size], on_step=tell)
            team.wait()
            if team.leads:
                plan = finish(out, plan, model, splits)
    if team.leads:
        console.print_file(out, json=json, **({"seed": options["seed"]} if json else {}))


def _splits(
    model: Any, file: Path | None, split: RowsOf, settings: list[str], data_root: Path | None
) -> dict[str, Any]:
    """What to encode by split, with the row of each example in its file; ``all`` of a file, or of one split."""
    import torch

    if file is None:
        from genmod.cli.outputs import dataset_options, open_data
        from genmod.data.everything import in_order

        dataset = open_data(model, dataset_options(settings), data_root)
        if split != "all":
            return {"all": in_order(dataset, split)}
        return {name: in_order(dataset, name) for name in ("train", "validation", "test")}  # type: ignore[arg-type]
    examples, _ = open_rows(model, file, split, settings, data_root)
    return {"all": (examples, torch.arange(len(examples)))}
