"""Data by a path: the dataset that opens it, in the terms of a model."""

from pathlib import Path
from typing import Any

from genmod.data.dataset import Dataset, Split
from genmod.data.everything import every_row
from genmod.data.info import DataInfo
from genmod.data.sources import as_dataset
from genmod.model.assembly import open_dataset
from genmod.registry.lookup import current_registry
from genmod.registry.paths import dataset_at
from genmod.spec import ModelSpec

__all__ = ["data_for", "rows_at"]


def data_for(spec: ModelSpec, info: DataInfo, data: Any, root: Path | str | None = None) -> Dataset:
    """A dataset for a model: of a path or a name, or of what :func:`genmod.as_dataset` takes.

    Args:
        spec: of the model; options of its own dataset hold for another file of that kind.
        info: what the model was built for.
        data: None for the dataset that it was built for.
        root: folder with data files.

    Raises:
        DataError: they do not suit the model, or cannot be opened.
    """
    if data is not None and not isinstance(data, str | Path):
        return as_dataset(data, known=info)
    if data is not None:
        spec = spec.with_component("dataset", dataset_at(data, current_registry()) or data)
    return open_dataset(spec, root, info=info)


def rows_at(spec: ModelSpec, info: DataInfo, path: str | Path) -> Split:
    """All examples of a file or folder in their order, in the terms of a model.

    Raises:
        DataError: they do not suit the model, or cannot be opened.
    """
    return every_row(data_for(spec, info, path))
