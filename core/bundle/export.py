"""Writing a model for another library."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genmod.bundle.directory import ModelDirectory
from genmod.data.dataset import Split
from genmod.errors import FileError, GenmodError, UsageError, quoted
from genmod.interfaces.format import Format
from genmod.model.evaluating import evaluating
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.opening import data_for
from genmod.options.schema import validate
from genmod.registry.lookup import current_registry
from genmod.spec import ComponentSpec
from genmod.system.files import alone_in, move, own_path, remove_leftovers, staged_directory, staged_file

__all__ = ["Exported", "check_export_place", "export"]

_ALIKE = 1e-5
"""Differences up to this are those of single precision."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        path: the folder, or the file of a format that writes one.
        files: the files in it, by their paths below it, or its own name.
        notes: what was measured, and what could not be written.
        differences: of each output from that of the model, where it was compared.
    """

    path: Path
    files: tuple[str, ...]
    notes: tuple[str, ...]
    differences: Mapping[str, float] = field(default_factory=dict)


def export(
    model: LatentVariableModel,
    format: str | Mapping[str, Any] | ComponentSpec,
    out: Path | str,
    *,
    data: Any = None,
    seed: int = 0,
    root: Path | str | None = None,
    overwrite: bool = False,
    check: bool = False,
) -> Exported:
    """Write a model for another library.

    A new folder, or a file, appears in one step. In a folder that exists files of the same names are replaced one by one;
    others stay.

    Args:
        model: to write; put in evaluation mode meanwhile.
        format: name of a format, or a table ``{"name": …, option: value}``.
        out: the folder, made if it is missing; or the file of a format that writes one.
        data: where the training split comes from that a format may measure, as :func:`genmod.fit_sampler` takes them; by
            default the dataset that the model was built for.
        seed: of what is drawn for that.
        root: folder with data files.
        overwrite: replace files in a folder that is not empty, or the file.
        check: run what was written, and compare it with the model, before it appears.

    Raises:
        UsageError: an unknown format, wrong options, or a model that it cannot write.
        FileError: the folder is not empty, cannot be written, or another process is at work there.
        GenmodError: what was written differs from the model by more than 1e-5; nothing appears.
        PluginError: a plugin is missing or broken.
    """
    part = ComponentSpec.from_plain("format", format)
    cls = current_registry().find("format", part.name).load()
    made: Format = cls(**validate(cls, part.options, "format", label=f"format {part.name}"))
    out = Path(out)
    check_export_place(out, overwrite=overwrite, suffix=cls.suffix)

    def training() -> Split:
        return model.suited(data_for(model.spec, model.data, data, root)).split("train")

    def written(folder: Path) -> tuple[tuple[str, ...], Mapping[str, float]]:
        notes = tuple(made.write(model, folder, training, seed))
        return notes, _compared(made, model, folder) if check else {}

    if cls.suffix:
        with evaluating(model), tempfile.TemporaryDirectory() as place:
            notes, differences = written(Path(place))
            [name] = _files(Path(place))
            with staged_file(out) as temporary:
                shutil.copyfile(Path(place, name), temporary)
        return Exported(out, (out.name,), notes, differences)
    if not out.exists() or not any(out.iterdir()):
        with evaluating(model), staged_directory(out) as stage:
            notes, differences = written(stage)
            files = _files(stage)
    else:
        with evaluating(model), alone_in(out):
            remove_leftovers(out, "export")
            with tempfile.TemporaryDirectory(prefix=".export.", suffix=".tmp", dir=out) as place:
                notes, differences = written(Path(place))
                files = _files(Path(place))
                _replace(Path(place), out, files)
    return Exported(out, files, notes, differences)


def check_export_place(out: Path, *, overwrite: bool, suffix: str = "") -> None:
    """Refuse a folder in which something would be lost, or a file that exists.

    Args:
        out: the folder, or the file.
        overwrite: whether files may be replaced.
        suffix: of the file, where it is one.

    Raises:
        UsageError: the file has another suffix.
        FileError: the folder is a file or a link, a model directory, or not empty without ``overwrite``; the file exists
            without it, or its folder does not.
    """
    if suffix:
        return _check_file(out, suffix, overwrite=overwrite)
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


def _check_file(out: Path, suffix: str, *, overwrite: bool) -> None:
    if out.suffix.lower() != suffix:
        raise UsageError(
            f"{out} is no name of a file that ends in {suffix}, as this format writes it",
            hint=f"-o {quoted(out.with_name((out.stem or 'model') + suffix))}",
        )
    if not out.parent.is_dir():
        raise FileError(f"there is no folder {out.parent}", hint=f"mkdir -p {quoted(out.parent)}")
    if out.is_dir():
        raise FileError(f"{out} is a folder", hint="give the name of a file: -o FILE")
    if not overwrite and (out.exists() or out.is_symlink()):
        raise FileError(
            f"{out} exists", hint="replace it with --overwrite, or choose another name with -o FILE"
        )


def _compared(made: Format, model: LatentVariableModel, folder: Path) -> Mapping[str, float]:
    """The differences from the model.

    Raises:
        GenmodError: they are more than those of rounding.
    """
    differences = made.compare(model, folder)
    wrong = {name: value for name, value in differences.items() if not value <= _ALIKE}
    if wrong:
        found = ", ".join(f"{name} by {value:.1e}" for name, value in wrong.items())
        raise GenmodError(
            f"what was written differs from the model: {found}; up to {_ALIKE:g} is rounding. Nothing was kept",
            hint="write it without --check, and judge by your own data whether it is near enough",
        )
    return differences


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
