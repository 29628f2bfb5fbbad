"""Parts that suit the data, where nobody has named one."""

from pathlib import Path
from typing import Any

import torch

from genmod.data.info import DataInfo
from genmod.defaults import SUITED
from genmod.errors import UsageError
from genmod.model.assembly import open_dataset
from genmod.model.resolve import resolve, resolve_kinds
from genmod.registry.lookup import Registry, current_registry
from genmod.registry.migration import find_recorded
from genmod.spec import ModelSpec

__all__ = ["suggested", "with_data"]


def with_data(
    spec: ModelSpec, root: Path | str | None = None, *, registry: Registry | None = None
) -> tuple[ModelSpec, DataInfo]:
    """A specification, resolved, and the description of its data; parts that nobody named are chosen by the data.

    Only for datasets that open the user's own files: others are known to suit, and their parts are checked before the data
    are opened.

    Raises:
        UsageError, PluginError: as :func:`genmod.model.resolve.resolve`.
        DataError: the data cannot be opened.
    """
    if "dataset" not in spec.components:
        spec = resolve(spec, registry=registry)
    provided = find_recorded(registry or current_registry(), "dataset", spec.components["dataset"])
    if not provided.component.opens:
        spec = resolve(spec, registry=registry)
        return spec, open_dataset(spec, root, registry=registry).info
    info = open_dataset(spec, root, registry=registry).info
    return resolve(suggested(spec, info), registry=registry), info


def suggested(spec: ModelSpec, info: DataInfo) -> ModelSpec:
    """A specification with an encoder and a decoder that suit the data, in place of those of its recipe.

    Parts that the user named stay, and those of a recipe for counts if the data are counts. Options that were set stay with
    their kind.

    Example:
        >>> from genmod import compose
        >>> table = DataInfo((3,), low=float("-inf"), high=float("inf"))
        >>> parts = suggested(compose(components={"posterior": "normal"}), table).components
        >>> parts["encoder"].name, parts["decoder"].name
        ('mlp', 'gaussian')
        >>> suggested(compose(components={"encoder": "identity"}), table).components["encoder"].name
        'identity'
    """
    if "model" in spec.components:
        return spec
    wanted: dict[str, dict[str, Any]] = {}
    if not info.is_image:
        wanted["encoder"] = SUITED["tables" if info.columns else "vectors"]
    if info.columns:
        wanted["decoder"] = SUITED["named"]
    elif info.counts:
        wanted |= {} if _counts(spec, info) else {"decoder": SUITED["counts"]}
    elif info.levels is None and (info.low, info.high) != (0.0, 1.0):
        wanted["decoder"] = SUITED["reals"]
    for kind, part in wanted.items():
        there = spec.components.get(kind)
        if kind in spec.named or (there is not None and there.name == part["name"]):
            continue
        spec = spec.with_component(kind, part)
        own = {path: value for path, value in spec.settings.items() if path.partition(".")[0] == kind}
        spec = spec.with_options(own)
    return spec


def _counts(spec: ModelSpec, info: DataInfo) -> bool:
    """Whether the decoder of the recipe gives probabilities to counts."""
    if "decoder" not in spec.components:
        return False
    found = resolve_kinds(spec, ("decoder",)).resolved["decoder"]
    try:
        with torch.device("meta"):
            decoder = found.cls(info, **found.options)
    except UsageError:
        return False
    return bool(decoder.support.is_discrete)
