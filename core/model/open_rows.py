"""All rows of a file in its order, for a model that is there already."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genmod.data.dataset import DataInfo, Split
from genmod.data.everything import every_row
from genmod.data.suited import suited
from genmod.model.assembly import open_dataset
from genmod.model.resolve import resolve_kinds
from genmod.registry.lookup import Registry, current_registry
from genmod.registry.migration import find_recorded
from genmod.registry.paths import dataset_at, opens
from genmod.spec import ModelSpec

__all__ = ["open_rows"]


def open_rows(
    spec: ModelSpec, path: Path, root: Any = None, *, info: DataInfo, registry: Registry | None = None
) -> Split:
    """All rows of a file or folder in its order, in the terms of a model.

    It is read by the dataset of the model with its options, where that opens such files, else by the one that does.

    Args:
        spec: of the model.
        path: the file or folder.
        root: folder with data files.
        info: what the model was built for.
        registry: where names are looked up; the current one by default.

    Raises:
        UsageError: no dataset opens such files.
        DataError: the file cannot be read, or does not suit the model.
    """
    registry = registry or current_registry()
    if _opens_it(spec, path, registry):
        spec = spec.with_options({"dataset.path": str(path)})
    else:
        spec = spec.with_component("dataset", dataset_at(path, registry))
    if info.missing and _options(spec, registry).get("missing") is False:
        spec = spec.with_options({"dataset.missing": True})
    dataset = open_dataset(spec, root, registry=registry)
    dataset.known = info
    every = dataset.everything()
    if every is not None:
        return suited(every, info, spec.condition)
    return every_row(suited(dataset, info, spec.condition))


def _opens_it(spec: ModelSpec, path: Path, registry: Registry) -> bool:
    """Whether the dataset of a model opens a path."""
    own = spec.components["dataset"]
    if own.module or "path" not in _options(spec, registry):
        return False
    ends = find_recorded(registry, "dataset", own).component.opens
    # One that says nothing about files opens what its own data are.
    return not ends or any(opens(end, path, folder=path.is_dir()) for end in ends)


def _options(spec: ModelSpec, registry: Registry) -> Mapping[str, Any]:
    return resolve_kinds(spec, ("dataset",), registry=registry).resolved["dataset"].options
