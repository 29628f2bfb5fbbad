"""``genmod show``."""

import inspect
import re
import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genmod.cli import console
from genmod.cli.completion import component_names, kinds
from genmod.cli.options import Json
from genmod.registry.component import KINDS

if TYPE_CHECKING:
    from genmod.options.schema import Option
    from genmod.registry.provided import Provided

__all__ = ["show"]

_SECTION = re.compile(r"^(Args|Raises|Returns|Yields|Examples?|References?):$", re.MULTILINE)


def show(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help=f"One of: {', '.join(KINDS)}.", autocompletion=kinds)
    ],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="The component, one of `genmod list`.", autocompletion=component_names()
        ),
    ] = None,
    contract: Annotated[
        bool,
        typer.Option(
            "--contract",
            help="Explain what components of a kind must define, for authors, in place of one component.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Explain a component and its options, or how one is written.

    Examples:
      genmod show encoder conv
      genmod show --contract decoder
      genmod show objective elbo --json
      genmod show recipe vae
    """
    from genmod.registry.lookup import current_registry

    if contract or name is None:
        _contract(kind, name, asked=contract, json=json)
        return
    registry = current_registry()
    provided = registry.find(kind, name)
    component = provided.component
    typed = dict(zip((p.qualified for p in registry.components(kind)), registry.names(kind), strict=True))
    document: dict[str, Any] = {
        "kind": kind,
        "name": typed[provided.qualified],
        "provider": provided.distribution,
        "version": provided.version,
        "revision": component.revision,
        "summary": component.summary,
        "aliases": component.aliases,
        "requires": component.requires,
    }
    document |= (
        _TEXTS[kind](provided, document["name"]) if kind in _TEXTS else _class(provided, document["name"])
    )
    if json:
        console.print_json(document)
    else:
        _print(document)


def _contract(kind: str, name: str | None, *, asked: bool, json: bool) -> None:
    """Print what components of a kind must define, with one that runs."""
    from genmod.errors import UsageError
    from genmod.registry.errors import check_kind
    from genmod.scaffold.contract import contract
    from genmod.scaffold.contract_text import contract_text

    check_kind(kind)
    if name is not None or not asked:
        given = f"--contract explains a kind, and {name!r} is a component" if asked else f"no {kind} is named"
        raise UsageError(
            given,
            hint=f"name one: genmod show {kind} NAME, one of `genmod list {kind}`; or for authors, "
            f"genmod show --contract {kind}",
        )
    document = contract(kind)
    if json:
        console.print_json(document)
        return
    console.print_prose(contract_text(document))
    console.print_text(f"\nexample, by `genmod plugin new mine --kind {kind}`:\n\n{document['template']}")
    console.print_text(f"\nexample: genmod plugin new mine --kind {kind}")


def _class(provided: "Provided", name: str) -> dict[str, Any]:
    from genmod.options.schema import REQUIRED
    from genmod.options.values import plain

    doc, found = _said(provided)
    text, *sections = _SECTION.split(doc)
    named = dict(zip(sections[::2], map(inspect.cleandoc, sections[1::2]), strict=True))
    options: list[dict[str, Any]] = [
        {
            "name": option.name,
            "type": option.words,
            "required": option.default is REQUIRED,
            "default": None if option.default is REQUIRED else plain(option.default),
            "choices": option.choices,
            "allowed": option.allowed,
            "help": option.doc,
        }
        for option in found
    ]
    formula = re.search(r"^``([^`]* = [^`]*)``", text, re.MULTILINE)
    return {
        "description": text.strip(),
        "formula": formula.group(1) if formula else "",
        "reference": named.get("Reference", named.get("References", "")),
        "options": options,
        "example": _example(provided, name, options),
    }


def _said(provided: "Provided") -> tuple[str, "Sequence[Option]"]:
    """Docstring and options of a class. Those of built-in ones are read from the source, which imports no torch."""
    from genmod.options.schema import options_of
    from genmod.options.source import declared

    if provided.builtin and (found := declared(provided.component.target)):
        provided.check_requirements()
        return found.doc, found.options
    cls: Callable[..., Any] = provided.load()
    return inspect.getdoc(cls) or "", options_of(cls)


def _example(provided: "Provided", name: str, options: list[dict[str, Any]]) -> str:
    """A command line with the required options, else with one option that has a default, as an example."""
    from genmod.options.text import option_text
    from genmod.scaffold import usage

    kind = provided.kind
    needed = [option for option in options if option["required"]]
    if kind == "tracker":
        given = ",".join(f"{option['name']}={option['name'].upper()}" for option in needed)
        return shlex.join(usage(kind, f"{name}:{given}" if given else name))
    words = usage(kind, name)
    if kind == "format":
        words[-1] += provided.load().suffix
    if kind == "features":
        return shlex.join(words)
    owner = name if kind == "metric" else kind
    for option in needed or [option for option in options if option["default"] is not None][:1]:
        value = option["name"].upper() if option["required"] else option_text(option["default"])
        words += ["-s", f"{owner}.{option['name']}={value}"]
    others = provided.component.goes_with
    if not (others or provided.builtin):
        others = shlex.join(_companions(kind, name))
    # As its author wrote it, quoted or not.
    return f"{shlex.join(words)} {others}".strip()


def _companions(kind: str, name: str) -> list[str]:
    """Flags of the other parts, where the usual ones do not fit this component."""
    from genmod.defaults import MAPS, USUAL
    from genmod.model.compatibility import LATENTS, companions

    if kind not in USUAL:
        return []
    from genmod.data.dataset import DataInfo
    from genmod.errors import GenmodError

    try:
        cell = companions(kind, name, DataInfo((1, 8, 8), levels=17))
    except GenmodError:
        return []
    if cell is None:
        # What fits nothing of vectors wants a condition, or maps.
        return {"prior": ["--condition", "label"], "posterior": MAPS.split()}.get(kind, [])
    words = []
    for axis, usual in USUAL.items():
        if axis != kind and getattr(cell, axis) != usual:
            words += [f"--{axis}", getattr(cell, axis)]
    if cell.latent != LATENTS[0]:
        words += ["--latent", "x".join(map(str, cell.latent))]
    return words


def _recipe(provided: "Provided", name: str) -> dict[str, Any]:
    import tomllib

    from genmod.spec import ModelSpec

    text = provided.text()
    spec = ModelSpec.from_toml(text, recipe=name, where=f"recipe {name!r}")
    table = tomllib.loads(text)
    return {
        "description": str(table.get("summary", "")),
        "reference": str(table.get("paper", "")),
        "latent": spec.latent,
        "parts": [
            {"kind": kind, "name": part.name, "options": part.options}
            for kind, part in spec.components.items()
        ],
        "text": text,
        "example": shlex.join(["genmod", "build", name]),
    }


def _reproduction(provided: "Provided", name: str) -> dict[str, Any]:
    from genmod.experiments import Reproduction

    text = provided.text()
    table = Reproduction.from_toml(name, text).table
    differences = " ".join(["differences:", *str(table.get("differences", "none")).split()])
    return {
        "description": "\n\n".join([table["summary"], " ".join(table["protocol"].split()), differences]),
        "reference": table["paper"],
        "text": text,
        "example": shlex.join(["genmod", "reproduce", name, "--quick"]),
    }


_TEXTS = {"recipe": _recipe, "reproduction": _reproduction}


def _print(document: dict[str, Any]) -> None:
    from genmod.options.text import option_text
    from genmod.registry.file_version import shortened

    lines = [
        f"{document['kind']} {document['name']}, from {document['provider']} {shortened(document['version'])}",
        document["summary"],
    ]
    for label in ("aliases", "requires"):
        if document[label]:
            lines.append(f"{label}: {', '.join(document[label])}")
    if document["description"] not in ("", document["summary"]):
        lines += ["", document["description"].replace("``", "`")]
    if document["reference"]:
        lines += ["", "reference:", *(f"  {line}" for line in document["reference"].splitlines())]
    console.print_prose("\n".join(lines) + "\n")
    if "text" in document:
        if "parts" in document:
            console.print_table(
                ["part", "component", "options"],
                [
                    (
                        part["kind"],
                        part["name"],
                        " ".join(f"{k}={option_text(v)}" for k, v in part["options"].items()),
                    )
                    for part in document["parts"]
                ],
            )
        console.print_text(f"\nas a file:\n\n{document['text'].rstrip()}")
    elif document["options"]:
        prefix = document["name"] if document["kind"] == "metric" else document["kind"]
        console.print_table(
            ["option", "default", "type", "what for"],
            [
                (
                    f"{prefix}.{option['name']}",
                    "(required)" if option["required"] else option_text(option["default"]),
                    option["type"],
                    option["help"],
                )
                for option in document["options"]
            ],
        )
    else:
        console.print_text("it has no options")
    if document["example"]:
        console.print_text(f"\nexample: {document['example']}")
