"""The contract of a kind as text: for ``genmod show --contract``, and for the page ``docs/contracts.md``.

python -m genmod.scaffold.contract_text > docs/contracts.md
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from textwrap import indent
from typing import Any

from genmod.options.kinds import a_kind
from genmod.registry.component import KINDS
from genmod.scaffold.contract import contract

__all__ = ["LAWS", "contract_text", "page"]

LAWS = "laws that `genmod check` tests"
"""The heading of what the conformance kit holds a component against."""

_PAGE = """\
# The contract of each kind of component

What the class of a component is given, what it must define and what it may. `genmod show --contract KIND` prints the same
with the laws that `genmod check` tests and an example that runs; `help(genmod.Decoder)` has the docstrings in Python. This page
is written by `python -m genmod.scaffold.contract_text > docs/contracts.md`.
"""

_HEADINGS = {
    "must be set": lambda each: each["kind"] == "attribute" and not each["default"],
    "may be set": lambda each: each["kind"] == "attribute" and each["default"],
    "must define": lambda each: each["kind"] != "attribute" and each["abstract"],
    "may define": lambda each: each["kind"] != "attribute" and not each["abstract"],
}


def contract_text(document: Mapping[str, Any]) -> str:
    """A contract as it is printed, without its example."""
    parts = [*_own(document), *_related(document), *_functions("functions for it", document["functions"])]
    parts.append(_titled(LAWS, "\n".join(map(_law, document["checks"]))))
    return _plain("\n\n".join([*parts, *_every(document["every"])]))


def page() -> str:
    """The text of ``docs/contracts.md``: every kind, and once what is the same for all; the laws are printed by commands."""
    parts = [_PAGE.rstrip()]
    related: dict[str, Any] = {}
    for kind in KINDS:
        document = contract(kind)
        related |= {each["class"]: each for each in document["related"]}
        parts += [
            f"## {kind}",
            _fenced([*_own(document), *_functions("functions for it", document["functions"])]),
        ]
    parts += ["## What components are given and return"]
    parts += [_fenced(_class(each)) for each in related.values()]
    parts += ["## In every component", _fenced(_every(contract("encoder")["every"]))]
    return "\n\n".join(parts) + "\n"


def _own(document: Mapping[str, Any]) -> list[str]:
    by = "is a TOML file, read by" if not KINDS[document["kind"]] else "is a subclass of"
    return [f"{a_kind(document['kind'])} {by} {document['class']}", *_class(document, heading="")]


def _related(document: Mapping[str, Any]) -> Iterator[str]:
    for each in document["related"]:
        yield from _class(each)


def _class(document: Mapping[str, Any], heading: str | None = None) -> list[str]:
    """A class: what it is, its constructor, and its members by what a subclass has to do with them."""
    members = [*document["attributes"], *document["methods"]]
    subclassed = heading is not None
    parts = [document["description"]]
    if document["arguments"]:
        parts.append(_titled(document["constructor"], document["arguments"]))
    if subclassed:
        parts += [
            _titled(title, _members(filter(of, members)))
            for title, of in _HEADINGS.items()
            if any(map(of, members))
        ]
    elif members:
        parts.append(_titled("it has", _members(members)))
    if document["raises"]:
        parts.append(_titled("it raises", document["raises"]))
    if subclassed:
        return parts
    return [_titled(document["class"], "\n\n".join(parts))]


def _every(every: Mapping[str, Any]) -> Iterator[str]:
    yield _titled("its record, which the plugin module yields", "\n\n".join(_class(every["record"])))
    if "class" in every:
        yield _titled(
            "any class may declare", _members([*every["class"]["attributes"], *every["class"]["methods"]])
        )
        yield _titled("the fields of check_cases", every["cases"]["arguments"])
        yield _titled("its options", every["options"])
        yield from _functions("statistics of a batch over all processes", every["processes"])


def _functions(title: str, functions: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    if functions:
        said = "\n\n".join(
            f"{each['name']}{each['type']}\n{indent(each['doc'], '    ')}" for each in functions
        )
        yield _titled(title, said)


def _members(members: Iterable[Mapping[str, Any]]) -> str:
    return "\n".join(map(_member, members))


def _member(member: Mapping[str, Any]) -> str:
    if member["kind"] == "method":
        shown = f"{member['name']}{member['type']}"
    else:
        shown = f"{member['name']}: {member['type']}".removesuffix(": ")
        shown += f" = {member['default']}" if member["default"] else ""
    return f"{shown}\n{indent(member['doc'], '    ')}" if member["doc"] else shown


def _law(check: Mapping[str, Any]) -> str:
    return f"{check['name'].removeprefix('check_').replace('_', ' ')}: {check['law']}"


def _titled(title: str, body: str) -> str:
    return f"{title}\n{indent(_plain(body), '    ')}"


def _plain(text: str) -> str:
    """Without the marks of roles: ``:class:`genmod.Row``` is ``genmod.Row``."""
    return re.sub(r":(?:class|meth|attr|func|mod|data):`([^`]*)`", r"`\1`", text).replace("``", "`")


def _fenced(parts: Iterable[str]) -> str:
    return "```text\n" + "\n\n".join(map(_plain, parts)) + "\n```"


if __name__ == "__main__":
    sys.stdout.write(page())
