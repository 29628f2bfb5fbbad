"""What the source of a class says about its attributes and methods: the text after an attribute, docstrings, defaults.

Python keeps no text of an attribute. It is read from the source, without importing it, for ``genmod show --contract``, and
by :func:`explained` for ``help()``.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from textwrap import indent
from typing import Literal, TypeVar

from genmod.system.sources import class_in

__all__ = ["Member", "constructor_of", "explained", "members_of", "sections", "unexplained"]

Class = TypeVar("Class", bound=type)

_SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|References?|Examples?):$", re.MULTILINE)


@dataclass(frozen=True)
class Member:
    """An attribute, property or method of a class.

    Args:
        name: of it.
        kind: what it is.
        type: the annotation of an attribute or property; the signature of a method, without ``self``.
        default: of an attribute, as it is written; empty where it has none, so that it must be set.
        doc: its explanation; empty where there is none.
        abstract: whether a subclass must define it.
        owner: the class that defines it.
    """

    name: str
    kind: Literal["attribute", "property", "method"]
    type: str
    default: str
    doc: str
    abstract: bool
    owner: str

    @property
    def shown(self) -> str:
        """Name and type, as it is written in Python."""
        if self.kind == "method":
            return f"{self.name}{self.type}"
        kind, default = self.type and f": {self.type}", self.default and f" = {self.default}"
        return f"{self.name}{kind}{default}"


def sections(doc: str) -> dict[str, str]:
    """A docstring by its sections; the text before them is the one without a name.

    Example:
        >>> sections("A part.\\n\\nArgs:\\n    x: a number.")
        {'': 'A part.', 'Args': 'x: a number.'}
    """
    text, *named = _SECTION.split(inspect.cleandoc(doc))
    return {"": text.strip(), **dict(zip(named[::2], map(inspect.cleandoc, named[1::2]), strict=True))}


@cache
def members_of(module: str, name: str) -> tuple[Member, ...]:
    """The public attributes and methods of a class, its own first, then those of its bases in the same package.

    Example:
        >>> [each.name for each in members_of("genmod.interfaces.encoder", "Encoder")][:3]
        ['feature_shape', 'forward', 'mirror']
    """
    found: dict[str, Member] = {}
    for owner, definition in _lineage(module, name):
        for member in _own(definition, owner):
            there = found.get(member.name)
            # A method that a class defines anew is explained where it was first said what it does.
            found[member.name] = member if there is None else replace(there, doc=there.doc or member.doc)
    return tuple(found.values())


def constructor_of(module: str, name: str) -> str:
    """The arguments of a class, as ``(data: DataInfo)``: its own, those of a record's fields, or those of a base.

    Example:
        >>> constructor_of("genmod.data.info", "Factor")
        '(name: str, size: int, values: tuple[str, ...] = ())'
    """
    for _, definition in _lineage(module, name):
        if "dataclass" in _decorators(definition):
            return f"({', '.join(_fields(definition))})"
        for each in definition.body:
            if isinstance(each, ast.FunctionDef) and each.name == "__init__":
                return _signature(each).removesuffix(" -> None")
    return "()"


def explained(cls: Class) -> Class:
    """Let the docstring of a class, and so ``help()``, have its attributes: a section ``Attributes`` from its source.

    Without its source, or its docstring, it stays as it is.
    """
    attributes = [
        each for each in members_of(cls.__module__, cls.__name__) if each.kind == "attribute" and each.doc
    ]
    if cls.__doc__ and attributes:
        cls.__doc__ = _with_attributes(inspect.cleandoc(cls.__doc__), attributes)
    return cls


def _with_attributes(written: str, attributes: list[Member]) -> str:
    lines = [
        f"    {each.name} ({each.type}{f', default {each.default}' if each.default else ''}):\n"
        f"{indent(each.doc, '        ')}"
        for each in attributes
    ]
    section = "Attributes:\n" + "\n".join(lines)
    after = next(
        (found for found in _SECTION.finditer(written) if found[1] not in ("Args", "Attributes")), None
    )
    if after is None:
        return f"{written}\n\n{section}"
    return f"{written[: after.start()]}{section}\n\n{written[after.start() :]}"


def _lineage(module: str, name: str) -> Iterator[tuple[str, ast.ClassDef]]:
    """A class and its bases in the same package, each with the name of the class."""
    found = class_in(module, name)
    if found is None:
        return
    where, definition = found
    yield definition.name, definition
    for base in definition.bases:
        root = base.value if isinstance(base, ast.Subscript) else base
        if isinstance(root, ast.Name):
            yield from _lineage(where, root.id)


def _own(definition: ast.ClassDef, owner: str) -> Iterator[Member]:
    for node, after in zip(definition.body, [*definition.body[1:], None], strict=True):
        if isinstance(node, ast.FunctionDef):
            if node.name == "__init__":
                yield from _set_in(node, owner)
            elif _is_public(node.name) and "overload" not in _decorators(node):
                yield _function(node, owner)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield from _attribute(node.target.id, node, after, owner)


def _set_in(constructor: ast.FunctionDef, owner: str) -> Iterator[Member]:
    """The attributes that a constructor sets; what is kept of an argument is explained there."""
    given = {each.arg for each in _arguments(constructor)}
    for node, after in zip(constructor.body, [*constructor.body[1:], None], strict=True):
        target: ast.expr | None = node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
        if (
            isinstance(target, ast.Attribute)
            and isinstance(target.value, ast.Name)
            and target.value.id == "self"
            and target.attr not in given
        ):
            yield from _attribute(target.attr, node, after, owner)


def _attribute(name: str, node: ast.stmt, after: ast.stmt | None, owner: str) -> Iterator[Member]:
    if not _is_public(name):
        return
    annotation = node.annotation if isinstance(node, ast.AnnAssign) else None
    kind = ast.unparse(annotation) if annotation is not None else ""
    kind = re.sub(r"^ClassVar\[(.*)\]$", r"\1", kind)
    value = getattr(node, "value", None)
    doc = ""
    if (
        isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
    ):
        doc = inspect.cleandoc(after.value.value)
    default = ast.unparse(value) if value is not None and isinstance(node, ast.AnnAssign) else ""
    yield Member(name, "attribute", kind, default, doc, False, owner)


def _function(node: ast.FunctionDef, owner: str) -> Member:
    decorators = _decorators(node)
    is_property = bool(decorators & {"property", "cached_property"})
    doc = ast.get_docstring(node) or ""
    abstract = "abstractmethod" in decorators
    if is_property:
        kind = ast.unparse(node.returns) if node.returns is not None else "Any"
        return Member(node.name, "property", kind, "", doc, abstract, owner)
    return Member(node.name, "method", _signature(node), "", doc, abstract, owner)


def _signature(node: ast.FunctionDef) -> str:
    arguments = ast.parse(f"def f({ast.unparse(node.args)}): ...").body[0]
    assert isinstance(arguments, ast.FunctionDef)
    positional = arguments.args.posonlyargs or arguments.args.args
    if positional and positional[0].arg in ("self", "cls"):
        del positional[0]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    return f"({ast.unparse(arguments.args)}){returns}"


def _fields(definition: ast.ClassDef) -> Iterator[str]:
    """The fields of a record, as arguments; what is made anew for each record is written ``…``."""
    for node in definition.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            value = "" if node.value is None else ast.unparse(node.value)
            default = f" = {'…' if value.startswith('field(') else value}" if value else ""
            yield f"{node.target.id}: {ast.unparse(node.annotation)}{default}"


def _arguments(node: ast.FunctionDef) -> list[ast.arg]:
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


def _decorators(node: ast.FunctionDef | ast.ClassDef) -> set[str]:
    names = (each.func if isinstance(each, ast.Call) else each for each in node.decorator_list)
    return {ast.unparse(each).rpartition(".")[2] for each in names}


def _is_public(name: str) -> bool:
    """Whether a name is part of the contract: also the protocols of Python such as ``__len__`` that a class may define."""
    return not name.startswith("_") or name in ("__len__", "__getitems__")


def unexplained(module: str, name: str) -> list[str]:
    """The members of a class that nothing is said about, for a test of the interfaces."""
    return [each.shown for each in members_of(module, name) if not each.doc]
