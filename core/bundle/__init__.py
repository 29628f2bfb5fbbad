"""A model on disk."""

from typing import TYPE_CHECKING

from genmod.system.lazy import names_on_demand

if TYPE_CHECKING:
    from genmod.bundle.model import load, save

__all__ = [
    "load",
    "save",
]

__getattr__, __dir__ = names_on_demand(
    __name__,
    {
        "model": "load save",
    },
)
