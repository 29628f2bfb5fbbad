"""What commands share: opening a model and its data, checking and writing files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from genmod.cli import console
from genmod.errors import FileError, UsageError, quoted

if TYPE_CHECKING:
    from genmod.bundle.directory import ModelDirectory
    from genmod.data.dataset import Dataset, Split
    from genmod.figures import Picture
    from genmod.figures.table_figure import TableFigure
    from genmod.interfaces.sampler import Source
    from genmod.model.latent_variable import LatentVariableModel

__all__ = [
    "attach_codes",
    "check_file",
    "check_out",
    "check_out_or_rows",
    "dataset_options",
    "latents_from",
    "open_data",
    "open_model",
    "open_split",
    "picture_path",
    "require_columns",
    "settings_by_owner",
    "warn_untrained",
    "write",
    "write_frame",
]


def check_out(
    out: Path | None, *, overwrite: bool, formats: Sequence[str] = (), flag: str = "-o FILE"
) -> None:
    """:func:`check_file` of a picture, where one is given."""
    if out is not None:
        from genmod.figures.saving import FORMATS

        check_file(out, formats or FORMATS, overwrite=overwrite, flag=flag)


def check_out_or_rows(out: Path | None, *, overwrite: bool) -> bool:
    """:func:`check_out` of a picture or the rows of a table; whether it is rows."""
    from genmod.data.table_files import WRITTEN_FORMATS
    from genmod.figures.saving import FORMATS

    check_out(out, overwrite=overwrite, formats=(*FORMATS, *WRITTEN_FORMATS))
    return out is not None and out.suffix.lower() in WRITTEN_FORMATS


def write_frame(frame: Any, out: Path, *, seed: int, json: bool = False, **more: Any) -> None:
    """Write the rows of a table, and print where they are; in JSON with what else is known."""
    from genmod.data.table_files import write_table

    write_table(frame, out)
    console.print_file(out, seed=seed, json=json, **more)


def require_columns(model: "LatentVariableModel", out: Path) -> None:
    """Refuse rows with names of columns where the model knows none.

    Raises:
        UsageError: it was built for data without columns.
    """
    if not model.data.columns:
        raise UsageError(
            f"{out} is for the rows of a table with named columns, and the model was built for other data",
            hint="write the arrays: -o FILE.npz; or build a model of a table: genmod build --data FILE.csv",
        )


def check_file(path: Path, formats: Sequence[str], *, overwrite: bool, flag: str = "-o FILE") -> None:
    """Refuse a file that could not be written, before any work is done for it.

    Raises:
        UsageError: its suffix says no known format.
        FileError: it exists and may not be replaced, or there is no such folder.
    """
    from genmod.figures.saving import check_format

    check_format(path, formats)
    if not path.parent.is_dir():
        raise FileError(f"there is no folder {path.parent}", hint=f"mkdir -p {quoted(path.parent)}")
    if path.is_dir():
        raise FileError(f"{path} is a folder", hint=f"give the name of a file: {flag}")
    if not overwrite and (path.exists() or path.is_symlink()):
        raise FileError(
            f"{path} exists", hint=f"replace it with --overwrite, or choose another name with {flag}"
        )


def open_model(directory: "Path | ModelDirectory", device: str) -> "LatentVariableModel":
    """The model in a directory, on a device; warns where no training run is recorded."""
    from genmod.bundle.directory import ModelDirectory
    from genmod.bundle.model import load
    from genmod.system.device import pick_device

    place = ModelDirectory.of(directory)
    place.read_spec()
    where = pick_device(device)
    warn_untrained(place)
    return load(place, device=str(where))


def latents_from(
    model: "LatentVariableModel", start: str | None, device: str, condition: str | None = None
) -> "tuple[Source | None, str | None]":
    """Where latents come from, and what the model is given; a model of codes is attached to it.

    Args:
        model: that decodes them.
        start: ``prior``, ``sampler``, or the directory of a model of codes; None for the default.
        device: of the model of codes.
        condition: of the model; that of the model of codes, where latents come from one.

    Raises:
        UsageError: there is no such source, or as :func:`attach_codes`.
    """
    from genmod.interfaces.sampler import Source

    if start is None or start in get_args(Source):
        return start, condition  # type: ignore[return-value]
    attach_codes(model, Path(start), device, condition)
    return "sampler", None


def attach_codes(
    model: "LatentVariableModel", start: Path, device: str, condition: str | None = None
) -> None:
    """Let a model draw its latents from a model of its codes.

    Args:
        model: that decodes them.
        start: directory of the model of codes.
        device: of the model of codes.
        condition: of the model of codes.

    Raises:
        UsageError: there is no such directory, the model is conditional itself, or the other one is of other codes.
    """
    if not start.is_dir():
        raise UsageError(
            f"latents cannot come from {str(start)!r}: there is no such directory",
            hint="give the directory of a model of codes: --from latents; genmod sample takes prior and sampler, too",
        )
    if model.conditions is not None:
        raise UsageError(
            f"the model is conditional, and what the latents in {start} were given is not known to it",
            hint="build the model that decodes without --condition, and the model of codes with it",
        )
    from genmod.model.latents_from import LatentsFrom

    model.attach_sampler(LatentsFrom(open_model(start, device), model, condition))


def warn_untrained(place: "ModelDirectory") -> None:
    """Warn where a model directory records no training run; what comes from the Hub never does."""
    if not (place.is_trained or place.is_published):
        console.warning(
            f"{place.path} records no training run; if its weights are still random, first: "
            f"genmod train {quoted(place.path)}"
        )


def open_split(
    model: "LatentVariableModel",
    name: Literal["train", "validation", "test"],
    settings: Sequence[str],
    root: Path | None,
) -> "Split":
    """A split of the data that a model was built for, with options of the dataset set anew.

    Raises:
        UsageError: an option is not one of the dataset.
        DataError: these data are not of the model's kind.
    """
    return open_data(model, dataset_options(settings), root).split(name)


def dataset_options(settings: Sequence[str]) -> dict[str, Any]:
    """Options of the dataset by path, from ``dataset.OPTION=VALUE``.

    Raises:
        UsageError: an option is not one of the dataset.
    """
    found = settings_by_owner(settings, ("dataset",), "for a model that is built already")
    return {f"dataset.{name}": value for name, value in found["dataset"].items()}


def settings_by_owner(
    settings: Sequence[str], owners: Sequence[str], where: str = "here", remedy: str = ""
) -> dict[str, dict[str, Any]]:
    """Options by what they belong to, from ``OWNER.OPTION=VALUE``.

    Args:
        settings: as typed.
        owners: what options may belong to.
        where: they are set, for the message.
        remedy: further text of the hint.

    Raises:
        UsageError: an option belongs to something else.
    """
    from genmod.options.schema import Text
    from genmod.spec import parse_setting

    found: dict[str, dict[str, Any]] = {owner: {} for owner in owners}
    for path, value in map(parse_setting, settings):
        owner, _, name = path.partition(".")
        if owner not in found:
            allowed = ", ".join(f"{each}.OPTION" for each in owners)
            raise UsageError(f"{path} cannot be set {where}", hint=f"these can: {allowed}{remedy}")
        found[owner][name] = Text(value)
    return found


def open_data(model: "LatentVariableModel", values: Mapping[str, Any], root: Path | None) -> "Dataset":
    """The data that a model was built for, with options by path ``dataset.OPTION`` set anew.

    Raises:
        DataError: these data are not of the model's kind.
    """
    from genmod.model.assembly import open_dataset

    return open_dataset(model.spec.with_options(values), root, info=model.data)


def write(
    picture: "Picture | TableFigure",
    out: Path | None,
    directory: Path,
    name: str,
    *,
    seed: int,
    json: bool = False,
    **more: Any,
) -> None:
    """Write a picture, to ``NAME.png`` of the model's own pictures by default, and print where it is.

    Args:
        picture: what is written.
        out: file; None for the default.
        directory: of the model.
        name: of the picture.
        seed: printed with it.
        json: print one JSON document.
        more: is known about it, for JSON.
    """
    path = out or picture_path(directory, name)
    picture.save(path)
    console.print_file(path, seed=seed, json=json, **more)


def picture_path(directory: Path, name: str) -> Path:
    """Where a picture of a model is kept; makes the folder."""
    from genmod.bundle.directory import ModelDirectory

    path = ModelDirectory(directory).pictures(f"{name}.png")
    path.parent.mkdir(exist_ok=True)
    return path
