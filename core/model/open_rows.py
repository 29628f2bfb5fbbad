"""All rows of a file in its order, for a model that is there already."""

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

from torch import Tensor

from genmod.data.dataset import DataInfo, Split
from genmod.data.everything import every_row
from genmod.data.suited import check_values, suited
from genmod.errors import DataError, UsageError
from genmod.model.assembly import open_dataset
from genmod.model.resolve import resolve_kinds
from genmod.registry.lookup import Registry, current_registry
from genmod.registry.migration import find_recorded
from genmod.registry.paths import dataset_at, opens
from genmod.spec import ModelSpec

__all__ = ["open_picture", "open_rows"]


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


def open_picture(
    path: Path,
    root: Any = None,
    *,
    info: DataInfo,
    options: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> Tensor:
    """A picture in its own size, with the channels and the range of a model's data, ``(1, channels, height, width)``.

    Args:
        path: a file of one picture.
        root: folder with data files.
        info: what the model was built for, whatever its size.
        options: of the dataset that opens such files, by path.
        registry: where names are looked up; the current one by default.

    Raises:
        UsageError: no dataset opens such files, or it is not one picture.
        DataError: it cannot be read, or has other channels or another range.
    """
    spec = ModelSpec().with_component("dataset", dataset_at(path, registry or current_registry()))
    dataset = open_dataset(spec.with_options(options or {}), root, registry=registry)
    dataset.known = info
    every = every_row(dataset)
    own = every.info or dataset.info
    if not own.is_image or len(every) != 1:
        raise UsageError(
            f"{path} has {len(every):,} examples of shape {own.shape}, and one picture is needed",
            hint="give the file of a picture, such as a .png, .jpg or .tif",
        )
    x, wanted = every.__getitems__([0]).x, replace(info, shape=(info.shape[0], *own.shape[1:]))
    if (own.levels, own.low, own.high) != (info.levels, info.low, info.high):
        if info.levels is not None or not isfinite(info.high - info.low + own.high - own.low):
            raise DataError(
                f"{path} has {_values(own)}, and the model was built for {_values(info)}",
                hint="convert the picture, or read it otherwise, for example with 8 bits: -s dataset.depth=8",
            )
        x = info.low + (own.values(x) - own.low) * ((info.high - info.low) / (own.high - own.low))
    check_values(x, wanted)
    return x


def _values(info: DataInfo) -> str:
    levels = "values" if info.levels is None else f"{info.levels:,} levels"
    return f"{levels} from {info.low:g} to {info.high:g}"


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
