"""From installed packages to components by name; no torch."""

from typing import TYPE_CHECKING

from genmod.system.lazy import names_on_demand

if TYPE_CHECKING:
    from genmod.registry.component import Component, hookimpl
    from genmod.registry.lookup import Registry, current_registry, use_registry

__all__ = [
    "Component",
    "Registry",
    "current_registry",
    "hookimpl",
    "use_registry",
]

__getattr__, __dir__ = names_on_demand(
    __name__,
    {
        "component": "Component hookimpl",
        "lookup": "Registry current_registry use_registry",
    },
)
