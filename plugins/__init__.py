"""The built-in components, contributed as any plugin contributes its own; imports no torch.

Each folder lists its components in its ``__init__.py``.
"""

from collections.abc import Iterator

from genmod import Component, hookimpl
from genmod.plugins import (
    datasets,
    decoders,
    divergences,
    encoders,
    features,
    metrics,
    networks,
    objectives,
    posteriors,
    priors,
    recipes,
    reproductions,
    samplers,
    trackers,
)

__all__ = ["genmod_components"]

_FOLDERS = (
    *(encoders, posteriors, priors, networks, decoders, divergences, objectives),
    *(datasets, samplers, metrics, features, trackers, recipes, reproductions),
)


@hookimpl
def genmod_components() -> Iterator[Component]:
    for folder in _FOLDERS:
        yield from folder.COMPONENTS
