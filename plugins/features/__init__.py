"""Features: what examples are compared by."""

from genmod import Component

__all__ = ["COMPONENTS"]

COMPONENTS: tuple[Component, ...] = ()
