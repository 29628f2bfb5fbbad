"""Sources of modules, found and parsed without importing them: an import of most modules here imports torch."""

import ast
import sys
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path

__all__ = ["class_in", "spec_of", "syntax_of"]


@cache
def spec_of(module: str) -> ModuleSpec | None:
    """Where a module is; packages around it are not imported, as ``importlib.util.find_spec`` would do."""
    parent = module.rpartition(".")[0]
    around = spec_of(parent) if parent else None
    path = None if around is None else around.submodule_search_locations
    found = (finder.find_spec(module, path) for finder in sys.meta_path if hasattr(finder, "find_spec"))
    return next((spec for spec in found if spec is not None), None)


@cache
def syntax_of(module: str) -> ast.Module | None:
    """The syntax of a module; None where it has no source."""
    spec = spec_of(module)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"), spec.origin)


def class_in(module: str, name: str) -> tuple[str, ast.ClassDef] | None:
    """The module that defines a class, and its definition there; names that are imported are followed within a package.

    Example:
        >>> class_in("genmod.data.dataset", "DataInfo")[0]
        'genmod.data.info'
    """
    syntax = syntax_of(module)
    for statement in syntax.body if syntax is not None else ():
        if isinstance(statement, ast.ClassDef) and statement.name == name:
            return module, statement
        if isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            same = statement.module.partition(".")[0] == module.partition(".")[0]
            for alias in statement.names if same else ():
                if name == (alias.asname or alias.name):
                    return class_in(statement.module, alias.name)
    return None
