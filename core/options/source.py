"""What a class says about its options, read from its source without importing it.

To import a component imports torch, which takes two seconds; its docstring and its signature can be read in a tenth of one. Of
Python only what signatures of components are made of is understood: names that are imported or defined in modules of the same
package, numbers, texts, lists, types, constraints. For all else the answer is None, and the caller imports the class.
"""

import ast
import builtins
import collections.abc
import inspect
import math
import operator
import pathlib
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import annotated_types
import typing_extensions

from genmod.options import schedule, schema, types
from genmod.options.schema import REQUIRED, Option, option
from genmod.system.sources import syntax_of

__all__ = ["Declared", "declared"]

_PLAIN = {
    module.__name__: module
    for module in (
        annotated_types,
        collections.abc,
        math,
        pathlib,
        typing,
        typing_extensions,
        schedule,
        schema,
        types,
    )
}
"""Modules whose names are looked up in themselves."""

_CALLED = frozenset({"annotated_types", "typing_extensions"})
"""Modules whose classes may be called: constraints and descriptions."""

_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.BitOr: operator.or_,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}

_WRONG = (
    ImportError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    RecursionError,
    AttributeError,
    LookupError,
)
"""Errors of sources and of what stands in them; an import says these better."""


@dataclass(frozen=True)
class Declared:
    """Docstring and options of a class.

    Args:
        doc: the docstring, its indentation removed.
        options: in the order of the signature.
    """

    doc: str
    options: tuple[Option, ...]


class _Unreadable(Exception):
    """The source says it in a manner that only an import understands."""


def declared(target: str) -> Declared | None:
    """The docstring and the options of the class at a target ``package.module:Class``; None where that needs an import.

    Example:
        >>> [each.words for each in declared("genmod.plugins.encoders.mlp:MlpEncoder").options][0]
        'list of whole numbers > 0'
    """
    module, _, name = target.partition(":")
    try:
        owner, cls = _class(module, name)
        doc = ast.get_docstring(cls)
        if doc is None or any(
            not _is(each, "final") and each is not _dataclass(cls) for each in cls.decorator_list
        ):
            return None
        return Declared(inspect.cleandoc(doc), _options(owner, cls, target.replace(":", ".")))
    except (_Unreadable, *_WRONG):
        return None


def _options(module: str, cls: ast.ClassDef, where: str) -> tuple[Option, ...]:
    """The options of the constructor of a class: its own, one made of its fields, or that of its base."""
    own = next((each for each in cls.body if getattr(each, "name", "") == "__init__"), None)
    if isinstance(own, ast.FunctionDef):
        if own.decorator_list or own.args.vararg or own.args.kwarg:
            raise _Unreadable
        pairs = zip(own.args.kwonlyargs, own.args.kw_defaults, strict=True)
        given = {parameter.arg: (module, parameter.annotation, default) for parameter, default in pairs}
    elif _dataclass(cls):
        given = _fields(module, cls)
    else:
        base = _base(module, cls)
        return () if base is None else _options(*base, where)
    return tuple(_option(name, *each, where) for name, each in given.items())


def _fields(module: str, cls: ast.ClassDef) -> dict[str, tuple[str, ast.expr | None, ast.expr | None]]:
    """The fields of a dataclass, those of its base first, each with the module that it stands in."""
    decorator = _dataclass(cls)
    if not decorator or not any(each.arg == "kw_only" and _true(each.value) for each in decorator.keywords):
        raise _Unreadable
    base = _base(module, cls)
    found = _fields(*base) if base and _dataclass(base[1]) else {}
    for each in cls.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            kind = each.annotation.value if isinstance(each.annotation, ast.Subscript) else each.annotation
            if not _is(kind, "ClassVar"):
                found[each.target.id] = (module, each.annotation, each.value)
    return found


def _base(module: str, cls: ast.ClassDef) -> tuple[str, ast.ClassDef] | None:
    """The class that another derives from; None where that has no options, as those of torch."""
    bases = [base for base in cls.bases if not _is(base, "ABC")]
    if len(bases) > 1 or not all(isinstance(base, ast.Name | ast.Attribute) for base in bases):
        raise _Unreadable
    if not bases:
        return None
    root = bases[0]
    while isinstance(root, ast.Attribute):
        root = root.value
    source = _definitions(module).get(root.id) if isinstance(root, ast.Name) else None
    if isinstance(source, ast.ImportFrom) and (source.module or "").partition(".")[0] == "torch":
        return None
    if not isinstance(bases[0], ast.Name):
        raise _Unreadable
    return _class(module, bases[0].id)


def _dataclass(cls: ast.ClassDef) -> ast.Call | None:
    """The decorator with which a class is a dataclass."""
    found = (
        each for each in cls.decorator_list if isinstance(each, ast.Call) and _is(each.func, "dataclass")
    )
    return next(found, None)


def _option(
    name: str, module: str, annotation: ast.expr | None, default: ast.expr | None, where: str
) -> Option:
    if annotation is None or isinstance(annotation, ast.Constant):
        raise _Unreadable
    return option(
        name, _value(module, annotation), REQUIRED if default is None else _value(module, default), where
    )


def _class(module: str, name: str) -> tuple[str, ast.ClassDef]:
    """The module that defines a class, and its definition there."""
    found = _definitions(module).get(name)
    if isinstance(found, ast.ImportFrom):
        return _class(_source_of(found), _imported_as(found, name))
    if not isinstance(found, ast.ClassDef):
        raise _Unreadable
    return module, found


def _named(module: str, name: str) -> Any:
    """The value of a name in a module."""
    if module in _PLAIN:
        return getattr(_PLAIN[module], name)
    match _definitions(module).get(name):
        case ast.ImportFrom() as found:
            return _named(_source_of(found), _imported_as(found, name))
        case ast.Import() as found if _imported_as(found, name) in _PLAIN:
            return _PLAIN[_imported_as(found, name)]
        case ast.Assign(targets=[ast.Name()], value=value) | ast.AnnAssign(value=ast.expr() as value):
            return _value(module, value)
        case None if hasattr(builtins, name):
            return getattr(builtins, name)
    raise _Unreadable


def _value(module: str, node: ast.expr) -> Any:
    """The value of an expression, of the kinds that signatures are made of."""

    def value(inner: ast.expr) -> Any:
        return _value(module, inner)

    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return _named(module, node.id)
        case ast.Attribute():
            return getattr(value(node.value), node.attr)
        case ast.Tuple():
            return tuple(map(value, node.elts))
        case ast.List():
            return list(map(value, node.elts))
        case ast.Dict() if None not in node.keys:
            return {value(key): value(item) for key, item in zip(node.keys, node.values, strict=True) if key}
        case ast.Subscript():
            return value(node.value)[value(node.slice)]
        case ast.BinOp() if type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        case ast.UnaryOp(op=ast.USub()):
            return -value(node.operand)
        case ast.JoinedStr():
            return "".join(str(value(part)) for part in node.values)
        case ast.FormattedValue(conversion=-1, format_spec=None):
            return value(node.value)
        case ast.Call():
            called = value(node.func)
            if getattr(called, "__module__", "") in _CALLED and all(each.arg for each in node.keywords):
                return called(
                    *map(value, node.args), **{str(each.arg): value(each.value) for each in node.keywords}
                )
    raise _Unreadable


@cache
def _definitions(module: str) -> dict[str, ast.stmt]:
    """The statement that binds each name of a module, those for type checkers alone included."""
    found: dict[str, ast.stmt] = {}
    package = module.partition(".")[0]
    if package in ("torch", "builtins"):
        raise _Unreadable
    syntax = syntax_of(module)
    if syntax is None:
        raise _Unreadable
    for statement in syntax.body:
        inner = isinstance(statement, ast.If) and _is(statement.test, "TYPE_CHECKING")
        for each in statement.body if inner and isinstance(statement, ast.If) else [statement]:
            for name in _bound(each):
                found[name] = each
    return found


def _bound(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.Import() | ast.ImportFrom():
            return [alias.asname or alias.name for alias in statement.names]
        case ast.ClassDef() | ast.FunctionDef():
            return [statement.name]
        case ast.Assign():
            return [target.id for target in statement.targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name() as target):
            return [target.id]
    return []


def _source_of(statement: ast.ImportFrom) -> str:
    if statement.level or statement.module is None:
        raise _Unreadable
    return statement.module


def _imported_as(statement: ast.Import | ast.ImportFrom, name: str) -> str:
    return next(alias.name for alias in statement.names if name == (alias.asname or alias.name))


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True
