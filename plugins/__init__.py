"""The built-in components, contributed as any plugin contributes its own; imports no torch.

Each folder lists its components in its ``__init__.py``.
"""

from collections.abc import Iterator
from importlib import import_module

from genmod import Component, hookimpl

__all__ = ["genmod_components"]

_FOLDERS = (
    *("models", "encoders", "posteriors", "priors", "networks", "decoders", "divergences", "objectives"),
    *(
        "critics",
        "datasets",
        "samplers",
        "metrics",
        "features",
        "trackers",
        "formats",
        "recipes",
        "reproductions",
    ),
)


@hookimpl
def genmod_components() -> Iterator[Component]:
    for folder in _FOLDERS:
        yield from import_module(f"genmod.plugins.{folder}").COMPONENTS
