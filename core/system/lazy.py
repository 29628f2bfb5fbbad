"""Lazy imports: names of a package that are imported when they are first used."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["names_on_demand"]


def names_on_demand(
    package: str, where: Mapping[str, str], *, rooms: str = ""
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package that imports nothing heavy by itself.

    Args:
        package: name of the package.
        where: the names that each of its modules provides, separated by spaces.
        rooms: packages inside of it that are names too, separated by spaces.
    """
    module_of = {name: module for module, names in where.items() for name in names.split()}
    namespace, inside = vars(sys.modules[package]), frozenset(rooms.split())

    def get(name: str) -> Any:
        if name in inside:
            return import_module(f"{package}.{name}")
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = namespace[name] = getattr(import_module(f"{package}.{module_of[name]}"), name)
        return value

    return get, lambda: sorted({*namespace, *module_of, *inside})
