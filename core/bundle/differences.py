"""Options of models and their runs by path, and those in which they differ."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from genmod.bundle.directory import ModelDirectory
from genmod.spec import ModelSpec

__all__ = ["differing", "flattened", "flattened_spec"]


def differing(flat: Sequence[Mapping[str, Any]]) -> list[str]:
    """The paths in which models and runs differ, of what :func:`flattened` gives for each."""
    paths = dict.fromkeys(path for each in flat for path in each)
    return [path for path in paths if len({repr(each.get(path)) for each in flat}) > 1]


def flattened(directory: Path | ModelDirectory) -> dict[str, Any]:
    """All options of the model and the settings of the run in a directory, by path."""
    place = ModelDirectory.of(directory)
    flat = flattened_spec(place.read_spec()[0])
    settings = place.read_record().get("settings", {})
    return flat | {f"train.{name}": value for name, value in settings.items()}


def flattened_spec(spec: ModelSpec) -> dict[str, Any]:
    """All options of a specification, by path."""
    return dict(_flatten(spec))


def _flatten(spec: ModelSpec) -> Iterator[tuple[str, Any]]:
    yield "latent", list(spec.latent) if len(spec.latent) > 1 else spec.latent[0]
    for kind, part in spec.components.items():
        yield kind, part.name
        for name, value in part.options.items():
            yield f"{kind}.{name}", value
