"""Writing a model for another library."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genmod.bundle.directory import ModelDirectory
from genmod.data.dataset import Split
from genmod.errors import FileError
from genmod.interfaces.format import Format
from genmod.model.evaluating import evaluating
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.opening import data_for
from genmod.options.schema import validate
from genmod.registry.lookup import current_registry
from genmod.spec import ComponentSpec
from genmod.system.files import alone_in, move, own_path, remove_leftovers, staged_directory

__all__ = ["Exported", "check_export_place", "export"]


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        path: the folder.
        files: the files in it, by their paths below it.
        notes: what was measured, and what could not be written.
    """

    path: Path
    files: tuple[str, ...]
    notes: tuple[str, ...]


def export(
    model: LatentVariableModel,
    format: str | Mapping[str, Any] | ComponentSpec,
    out: Path | str,
    *,
    data: Any = None,
    seed: int = 0,
    root: Path | str | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write a model for another library.

    A new folder appears in one step. In one that exists files of the same names are replaced one by one; others stay.

    Args:
        model: to write; put in evaluation mode meanwhile.
        format: name of a format, or a table ``{"name": …, option: value}``.
        out: the folder; made if it is missing.
        data: where the training split comes from that a format may measure, as :func:`genmod.fit_sampler` takes them; by
            default the dataset that the model was built for.
        seed: of what is drawn for that.
        root: folder with data files.
        overwrite: replace files in a folder that is not empty.

    Raises:
        UsageError: an unknown format, wrong options, or a model that it cannot write.
        FileError: the folder is not empty, cannot be written, or another process is at work there.
        PluginError: a plugin is missing or broken.
    """
    part = ComponentSpec.from_plain("format", format)
    cls = current_registry().find("format", part.name).load()
    made: Format = cls(**validate(cls, part.options, "format", label=f"format {part.name}"))
    out = Path(out)
    check_export_place(out, overwrite=overwrite)

    def training() -> Split:
        return model.suited(data_for(model.spec, model.data, data, root)).split("train")

    if not out.exists() or not any(out.iterdir()):
        with evaluating(model), staged_directory(out) as stage:
            notes = tuple(made.write(model, stage, training, seed))
            files = _files(stage)
    else:
        with evaluating(model), alone_in(out):
            remove_leftovers(out, "export")
            with tempfile.TemporaryDirectory(prefix=".export.", suffix=".tmp", dir=out) as place:
                notes = tuple(made.write(model, Path(place), training, seed))
                files = _files(Path(place))
                _replace(Path(place), out, files)
    return Exported(out, files, notes)


def check_export_place(out: Path, *, overwrite: bool) -> None:
    """Refuse a folder in which something would be lost.

    Raises:
        FileError: it is a file or a link, a model directory, or not empty without ``overwrite``.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise FileError(f"{out} exists and is no folder", hint="choose another place with -o FOLDER")
    if out.is_dir() and ModelDirectory(out).is_model:
        raise FileError(
            f"{out} is a model directory of genmod, and is left alone",
            hint="choose another place with -o FOLDER",
        )
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise FileError(
            f"{out} exists and is not empty",
            hint="replace its files of the same names with --overwrite, or choose another place with -o FOLDER",
        )


def _files(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()))


def _replace(stage: Path, out: Path, files: tuple[str, ...]) -> None:
    try:
        for name in files:
            target = own_path(out, *name.split("/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            move(stage / name, target)
    except OSError as error:
        raise FileError(f"{out} cannot be written: {error.strerror or error}") from error
