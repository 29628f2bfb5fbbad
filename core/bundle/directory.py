"""A model directory: its files by name, and what may be written where."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genmod.errors import FileError
from genmod.spec import ModelSpec
from genmod.system.files import parse_json, read_text
from genmod.system.tensors import FORMAT

if TYPE_CHECKING:
    from genmod.data.dataset import DataInfo

__all__ = ["check_destination", "differing", "flattened", "is_model", "is_trained", "read_rows", "read_spec"]


def is_model(directory: Path) -> bool:
    """Whether genmod wrote this directory."""
    return (directory / "model.json").is_file()


def is_trained(directory: Path) -> bool:
    """Whether training has begun in this directory."""
    return is_model(directory) and (directory / "run.json").exists()


def check_destination(directory: Path, *, overwrite: bool) -> None:
    """Refuse to write a model over what must not be lost.

    Raises:
        FileError: a trained model without ``overwrite``, or anything that is not a model directory.
    """
    if not directory.exists() and not directory.is_symlink():
        return
    if (
        not directory.is_dir()
        or directory.is_symlink()
        or (not is_model(directory) and any(directory.iterdir()))
    ):
        raise FileError(
            f"{directory} exists and is no genmod model; it is left alone",
            hint="choose another place with -o DIR",
        )
    if is_trained(directory) and not overwrite:
        raise FileError(
            f"{directory} holds a trained model",
            hint="replace it with --overwrite, or choose another place with -o DIR",
        )


def read_spec(directory: Path | str) -> tuple[ModelSpec, "DataInfo"]:
    """The specification and the data description of a model directory.

    Raises:
        FileError: there is none, or it is damaged; says what is wrong with which file.
    """
    from genmod.data.dataset import DataInfo
    from genmod.errors import DataError

    directory = Path(directory)
    path = directory / "model.json"
    if not directory.exists():
        raise FileError(
            f"there is no model directory {directory}", hint=f"make one: genmod build -o {directory}"
        )
    if not path.exists():
        raise FileError(f"{directory} has no model.json", hint=f"make a model: genmod build -o {directory}")
    plain = parse_json(read_text(path, "model description"), str(path))
    if not isinstance(plain, dict) or "format" not in plain:
        raise FileError(f"{path} is damaged or not a genmod model: it has no format number")
    if plain["format"] != FORMAT:
        raise FileError(
            f"{path} has format {plain['format']!r}; this version of genmod reads format {FORMAT}",
            hint="pip install --upgrade genmod-torch",
        )
    spec = ModelSpec.from_json(plain, where=str(path))
    try:
        return spec, DataInfo.from_json(plain.get("data", {}))
    except DataError as error:
        raise FileError(f"{path} is damaged: {error.message}") from None


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of ``metrics.jsonl``, without a last one that a crash may have cut; empty where there is no file.

    Raises:
        FileError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    rows = []
    for line in text.split("\n"):
        with suppress(ValueError, RecursionError):
            row = json.loads(line)
            if isinstance(row, dict) and type(row.get("step")) is int:
                rows.append(row)
    return rows


def differing(specs: Sequence[ModelSpec]) -> list[str]:
    """The paths in which specifications differ, and so what tells them apart."""
    flat = [dict(_flatten(spec)) for spec in specs]
    paths = list(dict.fromkeys(path for each in flat for path in each))
    return [path for path in paths if len({repr(each.get(path)) for each in flat}) > 1]


def flattened(directory: Path) -> dict[str, Any]:
    """Everything that is set about the model and the run of a directory, by path."""
    spec, _ = read_spec(directory)
    flat = dict(_flatten(spec))
    if is_trained(directory):
        record = json.loads((directory / "run.json").read_text(encoding="utf-8"))
        flat |= {f"train.{name}": value for name, value in record.get("settings", {}).items()}
    return flat


def _flatten(spec: ModelSpec) -> Iterator[tuple[str, Any]]:
    yield "latent", list(spec.latent) if len(spec.latent) > 1 else spec.latent[0]
    for kind, part in spec.components.items():
        yield kind, part.name
        for name, value in part.options.items():
            yield f"{kind}.{name}", value
