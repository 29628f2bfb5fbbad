"""A page for each kind of component: what there is, what it must define, and the laws that the kit checks."""

import importlib
import inspect
from pathlib import Path
from typing import Any

import site_rst as rst
from site_components import FOLDER, built_in, written
from sphinx.application import Sphinx

from genmod.registry.component import KINDS
from genmod.scaffold.contract import contract, laws
from genmod.scaffold.contract_text import LAWS, contract_text

__all__ = ["setup"]

_WORDS = {
    "model": "A whole model in place of all parts.",
    "recipe": "A whole model by its parts, in a TOML file, with the paper that it is from.",
    "reproduction": "A published experiment in a TOML file: its models, its protocol, and what was published.",
}


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages before the sources are looked for."""
    app.connect("builder-inited", _write, priority=600)
    return {"parallel_read_safe": True}


def _write(app: Sphinx) -> None:
    folder = Path(app.srcdir) / FOLDER
    for kind in KINDS:
        written(folder / kind / "index.rst", _page(kind))
    count = len(built_in())
    pages = "\n".join(f"   {kind}/index" for kind in KINDS)
    rows = [(f":doc:`{kind} <{kind}/index>`", _words(kind), str(len(built_in(kind)))) for kind in KINDS]
    written(
        folder / "index.rst",
        rst.title("Pages of components")
        + f"\nAll {count} components that come with genmod, by kind. ``genmod show KIND NAME`` prints the same.\n\n"
        + rst.table(["kind", "what it is", "components"], rows, "20 65 15")
        + f"\n.. toctree::\n   :hidden:\n\n{pages}\n",
    )


def _page(kind: str) -> str:
    components = built_in(kind)
    rows = [(f":doc:`{each.name}`", rst.escaped(each.component.summary)) for each in components]
    pieces = [
        rst.title(kind),
        _words(kind),
        "",
        rst.table(["name", "what it is"], rows, "30 70"),
    ]
    document = contract(kind)
    # The laws are a table below, and what all components share is on a page of its own.
    text = contract_text(document).partition(LAWS)[0]
    pieces += [
        rst.title("What one must define", "-"),
        f"``genmod show --contract {kind}`` prints this, and ``genmod plugin new NAME --kind {kind}`` writes a package "
        "to start from. :doc:`/contracts` has what is the same in every component.\n",
        rst.code(text, "text", look="contract"),
        rst.title("An example to start from", "-"),
        rst.code(document["template"], "python" if KINDS[kind] else "toml"),
        f".. _laws-{kind}:\n",
        rst.title("Laws", "-"),
        _laws(kind),
    ]
    return "\n".join(pieces)


def _words(kind: str) -> str:
    if kind in _WORDS:
        return _WORDS[kind]
    module, _, name = KINDS[kind].partition(":")
    doc = inspect.getdoc(getattr(importlib.import_module(module), name)) or ""
    return doc.partition("\n\n")[0]


def _laws(kind: str) -> str:
    rows = [
        (f"``{check['name']}``", rst.escaped(check["law"]), rst.escaped(check["remedy"]))
        for check in laws(kind)
    ]
    words = "What ``genmod check`` tries with every component of this kind, and what its author is told where it fails.\n"
    return words + "\n" + rst.table(["check", "law", "what to do where it fails"], rows, "25 40 35")
