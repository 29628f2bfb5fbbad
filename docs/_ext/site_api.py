"""The reference of Python names: a page for each room that authors and users import, made from ``__all__``."""

import importlib
import inspect
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import site_rst as rst
from site_components import written
from site_links import ROOT
from sphinx.application import Sphinx

__all__ = ["rooms", "setup"]

_ROOMS = re.compile(r"^\| `(genmod[\w.]*)` \| (.*) \|$", re.MULTILINE)
_GROUPS = {
    "interfaces": "What components derive from",
    "model": "Making models",
    "bundle": "Models on disk",
    "training": "Training",
    "evaluation": "Measuring",
    "data": "Data",
    "distributions": "Distributions",
    "figures": "Pictures",
    "options": "Options",
    "registry": "Plugins",
    "spec": "Specifications",
    "errors": "Errors",
}
"""Room that defines a name of ``genmod`` → heading, in the order of the page."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages before the sources are looked for, and mend docstrings as they are read."""
    app.connect("builder-inited", _write)
    # Before napoleon reads the sections, which has the priority 500.
    app.connect("autodoc-process-docstring", _without_attributes, priority=400)
    app.connect("autodoc-process-docstring", _mended)
    return {"parallel_read_safe": True}


def rooms() -> dict[str, str]:
    """The modules that CONTRIBUTING.md lets components import, and what is in each; then what users import beside them."""
    found = dict(_ROOMS.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    return {**found, "genmod.sklearn": "the estimator of scikit-learn"}


def _write(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "api"
    for room, words in rooms().items():
        written(folder / f"{room}.rst", _page(room, words))
    rows = [(f":doc:`{room}`", rst.escaped(words)) for room, words in rooms().items()]
    hidden = "\n".join(f"   {room}" for room in rooms())
    written(
        folder / "index.rst",
        "\n".join(
            [
                rst.title("Python names"),
                "What is listed here is what users and authors of components import; modules inside a room may move.\n",
                rst.table(["module", "what is in it"], rows, "30 70"),
                f".. toctree::\n   :hidden:\n\n{hidden}\n",
            ]
        ),
    )


def _page(room: str, words: str) -> str:
    module = importlib.import_module(room)
    names = list(module.__all__)
    pieces = [rst.title(room), f"{rst.escaped(words[0].upper() + words[1:])}.\n", f".. module:: {room}\n"]
    if room != "genmod":
        return "\n".join([*pieces, *(_entry(room, name) for name in names)])
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[_home(getattr(module, name), name)].append(name)
    for group, heading in _GROUPS.items():
        if groups[group]:
            pieces += [rst.title(heading, "-"), *(_entry(room, name) for name in groups.pop(group))]
    rest = [name for each in groups.values() for name in each]
    if rest:
        pieces += [rst.title("Others", "-"), *(_entry(room, name) for name in rest)]
    return "\n".join(pieces)


def _home(value: Any, name: str) -> str:
    defined = getattr(value, "__module__", "") or ""
    if defined.startswith("genmod."):
        return defined.split(".")[1]
    return {"Doc": "options", "Activation": "options", "hookimpl": "registry", "SplitName": "data"}.get(
        name, ""
    )


def _entry(room: str, name: str) -> str:
    value = getattr(importlib.import_module(room), name)
    # An object that `genmod` has too is described there, and named here.
    import genmod

    if room != "genmod" and name in genmod.__all__ and getattr(genmod, name) is value:
        return f"``{name}``\n   The same as :py:obj:`genmod.{name}`.\n"
    if inspect.isclass(value):
        return f".. autoclass:: {room}.{name}\n   :members:\n   :show-inheritance:\n"
    if inspect.isroutine(value):
        return f".. autofunction:: {room}.{name}\n"
    return f".. autodata:: {room}.{name}\n   :no-value:\n"


def _without_attributes(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Leave out the list of attributes that a class has for ``help``: each has its own entry on the page."""
    if what == "class" and "Attributes:" in lines:
        begin = lines.index("Attributes:")
        rest = lines[begin + 1 :]
        end = next((at for at, line in enumerate(rest) if line[:1].strip()), len(rest))
        lines[begin:] = rest[end:]


def _mended(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Links to papers; runs after the sections were read, so that nothing else has to know of it."""
    lines[:] = rst.linked("\n".join(lines)).split("\n")
