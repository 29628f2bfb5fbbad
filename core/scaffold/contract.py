"""The contract of each kind of component: what its class is given, must define and may define, and the laws that are checked.

Everything is read from the sources: docstrings of the abstract classes and what stands after their attributes, the
checks of the conformance kit, and the template of ``genmod plugin new`` as example. Nothing is imported, torch neither.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import Any

from genmod.registry.component import KINDS
from genmod.registry.errors import check_kind
from genmod.system.explained import constructor_of, members_of, sections
from genmod.system.sources import class_in, syntax_of

__all__ = ["contract", "laws"]

_CHECKS = "genmod.testing.checks"
_TEXTS = {
    "recipe": "genmod.spec:ModelSpec",
    "reproduction": "genmod.experiments.experiment:Reproduction",
}
"""The classes that read the kinds that are TOML files."""

_PROCESSES = ("any_process", "batch_mean", "gather_batch", "own_part")
_DRAW = (
    "genmod.interfaces.part:Draw",
    "genmod.interfaces.part:Loss",
    "genmod.interfaces.part:ParameterGroup",
)
_DATA = ("genmod.data.info:DataInfo",)
_RELATED: dict[str, tuple[str, ...]] = {
    "model": ("genmod.interfaces.objective:Terms", "genmod.interfaces.observations:Observations", *_DATA),
    "encoder": _DRAW,
    "posterior": _DRAW,
    "prior": _DRAW,
    "decoder": (*_DATA, *_DRAW),
    "network": _DRAW,
    "divergence": _DRAW,
    "objective": ("genmod.interfaces.objective:Terms", "genmod.interfaces.given:GivenModel", *_DRAW),
    "critic": (*_DRAW, *_DATA),
    "dataset": (
        *_DATA,
        "genmod.data.dataset:Split",
        "genmod.data.dataset:TensorSplit",
        "genmod.data.dataset:Batch",
    ),
    "sampler": (),
    "metric": (
        *("genmod.evaluation.row:Row", "genmod.evaluation.row:Undefined"),
        *("genmod.evaluation.subject:Subject", "genmod.interfaces.given:GivenModel"),
    ),
    "features": _DATA,
    "tracker": (),
    "format": ("genmod.interfaces.format:Incoming", "genmod.interfaces.given:GivenModel"),
}
"""The classes that a component of a kind is given, or returns."""

_LATENTS: dict[str, tuple[str, ...]] = {
    "genmod.distributions": (
        *("drawn_by_logit", "drawn_by_log", "drawn_on_simplex", "logit_of", "log_of", "precise"),
        *("bounded_log_scale", "diagonal_normal", "register_kl_by_variable", "register_kl_by_part"),
    )
}
_HELPERS: dict[str, dict[str, tuple[str, ...]]] = {
    "posterior": _LATENTS,
    "prior": _LATENTS,
    "decoder": {"genmod.distributions": ("bounded_log_scale", "precise")},
    "divergence": {
        "genmod.distributions": ("known_kl", "by_variable", "by_part", "own_reason"),
        "genmod.system": ("gather_batch", "batch_mean"),
    },
    "dataset": {"genmod.data": ("tenths", "finite_values", "class_numbers", "classes_of")},
    "metric": {"genmod": ("mean_row", "bits_per_dim")},
}
"""Public functions that authors of a kind look for, by the room that they are imported from."""


def contract(kind: str) -> dict[str, Any]:
    """All that an author of a component has to know, as plain data.

    Raises:
        UsageError: there is no such kind.

    Example:
        >>> [each["name"] for each in contract("encoder")["methods"] if each["abstract"]]
        ['forward']
    """
    check_kind(kind)
    target = KINDS[kind] or _TEXTS[kind]
    described = _described(target, members=bool(KINDS[kind]))
    return {
        "kind": kind,
        **described,
        "functions": [
            each for room, names in _HELPERS.get(kind, {}).items() for each in _functions(room, names)
        ],
        "checks": laws(kind),
        "related": [_described(each, members=True) for each in _RELATED.get(kind, ())],
        "every": _every(with_class=bool(KINDS[kind])),
        "template": _template(kind),
    }


@cache
def _laws() -> tuple[tuple[tuple[str, ...], dict[str, Any]], ...]:
    """Kinds and law of every check, file by file."""
    package = syntax_of(_CHECKS)
    found: list[tuple[tuple[str, ...], dict[str, Any]]] = []
    for statement in package.body if package is not None else ():
        for alias in statement.names if isinstance(statement, ast.ImportFrom) else ():
            found += _laws_of(f"{_CHECKS}.{alias.name}")
    return tuple(found)


def laws(kind: str) -> list[dict[str, Any]]:
    """The checks of the conformance kit that apply to a kind: name, law in a sentence, remedy, whether it is a slow one."""
    return [law for kinds, law in _laws() if kind in kinds]


def _laws_of(module: str) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    syntax = syntax_of(module)
    for node in syntax.body if syntax is not None else ():
        for call in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "check_for":
                given = {each.arg: each.value for each in call.keywords}
                assert isinstance(node, ast.FunctionDef)
                yield (
                    tuple(kind for each in call.args for kind in _kinds(module, each)),
                    {
                        "name": node.name,
                        "law": (ast.get_docstring(node) or "").partition("\n")[0],
                        "remedy": _text(module, given["remedy"]),
                        "slow": "slow" in given and ast.literal_eval(given["slow"]),
                    },
                )


def _kinds(module: str, node: ast.expr) -> tuple[str, ...]:
    """The kinds that an argument of ``check_for`` names: itself, or those of a constant of these modules."""
    match node:
        case ast.Constant(value=str(kind)):
            return (kind,)
        case ast.Starred(value=value):
            return _kinds(module, value)
        case ast.Tuple(elts=elements) | ast.Dict(keys=elements):
            return tuple(kind for each in elements if each is not None for kind in _kinds(module, each))
        case ast.Name(id="KINDS"):
            return tuple(KINDS)
        case ast.Name(id="CLASSES"):
            return tuple(kind for kind, base in KINDS.items() if base)
        case ast.Name(id=name):
            return _kinds(*_bound(module, name))
    raise TypeError(f"{module}: {ast.unparse(node)} names no kinds that can be read from the source")


def _bound(module: str, name: str) -> tuple[str, ast.expr]:
    """The module that gives a constant its value, and the value."""
    syntax = syntax_of(module)
    for statement in syntax.body if syntax is not None else ():
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=bound)], value=value)
                | ast.AnnAssign(target=ast.Name(id=bound), value=ast.expr() as value)
            ) if bound == name:
                return module, value
            case ast.ImportFrom(module=str(source), names=names):
                for alias in names:
                    if name == (alias.asname or alias.name):
                        return _bound(source, alias.name)
    raise TypeError(f"{name} is no constant of {module}")


def _text(module: str, node: ast.expr) -> str:
    """A text, also one with constants of its module in it."""
    match node:
        case ast.JoinedStr(values=parts):
            return "".join(_text(module, each) for each in parts)
        case ast.FormattedValue(value=value):
            return _text(module, value)
        case ast.Name(id=name):
            return _text(*_bound(module, name))
    return str(ast.literal_eval(node))


def _described(target: str, *, members: bool) -> dict[str, Any]:
    """A class: its docstring by sections, constructor, attributes and methods."""
    module, _, name = target.partition(":")
    found = class_in(module, name)
    doc = sections((ast.get_docstring(found[1]) or "") if found is not None else "")
    every = [asdict(each) for each in members_of(module, name)] if members else []
    arguments = doc.get("Args", "")
    of_arguments = _names(arguments)
    return {
        "class": f"{_public(module)}.{name}",
        "description": doc[""],
        "constructor": f"{name}{constructor_of(module, name)}",
        "arguments": arguments,
        "raises": doc.get("Raises", ""),
        # What is kept of an argument, as the fields of a record, is explained there.
        "attributes": [
            each for each in every if each["kind"] == "attribute" and each["name"] not in of_arguments
        ],
        "methods": [each for each in every if each["kind"] != "attribute"],
        "example": doc.get("Example", doc.get("Examples", "")),
    }


def _names(arguments: str) -> set[str]:
    """The names that a section of arguments explains."""
    return {line.partition(":")[0] for line in arguments.splitlines() if line and not line[0].isspace()}


def _public(module: str) -> str:
    """Where a class is imported from: genmod itself hands most of these on."""
    room = module.split(".")[1]
    return f"genmod.{room}" if room in ("testing", "experiments") else "genmod"


def _every(*, with_class: bool) -> dict[str, Any]:
    """What holds for components of all kinds."""
    record = {"record": _described("genmod.registry.component:Component", members=False)}
    if not with_class:
        return record
    types = syntax_of("genmod.options.types")
    return {
        **record,
        "class": _described("genmod.registry.component:ComponentClass", members=True),
        "cases": _described("genmod.testing.cases:Cases", members=False),
        "options": (ast.get_docstring(types) or "") if types is not None else "",
        "processes": _functions("genmod.system", _PROCESSES),
    }


def _functions(room: str, names: Sequence[str]) -> list[dict[str, str]]:
    """Functions that a public room hands on, each with its signature and its docstring."""
    found = []
    for name in names:
        node = _function(room, name)
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        shown = f"({ast.unparse(node.args)}){returns}"
        found.append({"name": f"{room}.{name}", "type": shown, "doc": ast.get_docstring(node) or ""})
    return found


def _function(module: str, name: str) -> ast.FunctionDef:
    """The definition of a function; names that are imported, for type checkers alone too, are followed."""
    syntax = syntax_of(module)
    for node in ast.walk(syntax) if syntax is not None else ():
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    return _function(node.module, alias.name)
    raise TypeError(f"{module} has no function {name}")


def _template(kind: str) -> str:
    """The component of that kind that ``genmod plugin new`` writes."""
    file = f"{kind}.py" if KINDS[kind] else f"{kind}.toml"
    text = files("genmod.scaffold.templates").joinpath(file).read_text(encoding="utf-8")
    return text.replace("Template", "Mine").rstrip()
