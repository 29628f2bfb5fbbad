"""``genmod rerun``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genmod.cli import console
from genmod.cli.options import DEVICE, SEED, DataRoot, Directory, Json

if TYPE_CHECKING:
    from genmod.bundle.directory import ModelDirectory
    from genmod.data.dataset import Dataset
    from genmod.experiments.rerun import RecordedRun

__all__ = ["rerun"]


def rerun(
    directory: Directory = Path("model"),
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="DIR", help="Where the repetition goes.", show_default="DIR-rerun"
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help=f"{SEED[:-1]}: the first weights, where the record has none."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=DEVICE, show_default="that of the run"),
    ] = None,
    data_root: DataRoot = None,
    json: Json = False,
) -> Path:
    """Repeat a run from its record.

    The same model is built with the same seed, and trained with the same settings on the same data, whatever settings
    files say; the result is compared with that of the run. On the same machine and with the same versions it is the
    same to the last bit; what has changed is said first. Trackers of the run are not used.

    Examples:
      genmod rerun
      genmod rerun model -o again
    """
    from dataclasses import replace

    from genmod.bundle.directory import ModelDirectory
    from genmod.bundle.model import save
    from genmod.cli.training import train_all
    from genmod.experiments.rerun import RecordedRun, free_place, same_weights

    run = RecordedRun.of(directory, seed=seed)
    if device is not None:
        run = replace(run, settings=replace(run.settings, device=device))
    place = out or free_place(directory)
    ModelDirectory(place).check_free(overwrite=False)
    changed = run.differences()
    if changed:
        console.warning(
            "the results may differ from those of the run, because of these differences:\n"
            + "\n".join(changed)
        )
    if run.data is None:
        console.warning(f"{run.place.record} does not say on which data; those of the model are taken")
    console.note(f"repeats the run of {directory} in {place}")
    source = _Recorded(run, data_root)
    source.open(run.place)
    save(run.model(), place)
    reports, _ = train_all([place], source, run.settings.to_json(), resume=False, overwrite=False, quiet=json)
    same = same_weights(directory, place) if run.is_whole else None
    if json:
        console.print_json({**reports[0], "repeats": str(directory), "same_weights": same})
    elif same is not None:
        console.note(
            f"the weights are those of {directory}, to the last bit"
            if same
            else f"the weights are not those of {directory}; genmod compare shows how far the results are"
        )
    return place


@dataclass(frozen=True)
class _Recorded:
    """The data of the run."""

    run: "RecordedRun"
    root: Path | None

    def open(self, place: "ModelDirectory") -> "Dataset":
        return self.run.dataset(self.root)
