"""A page for each built-in component, made from the registry and from docstrings when the site is built."""

import ast
import json
import re
import shlex
from pathlib import Path
from typing import Any

import site_pictures
import site_rst as rst
from site_links import ROOT, SOURCE
from sphinx.application import Sphinx
from typer.testing import CliRunner

from genmod.cli.app import app as program
from genmod.options.schema import REQUIRED
from genmod.options.source import declared
from genmod.options.text import option_text
from genmod.registry.component import KINDS
from genmod.registry.lookup import Registry
from genmod.registry.provided import Provided
from genmod.scaffold import usage
from genmod.system.installed import installed

__all__ = ["FOLDER", "built_in", "docstring", "setup", "written"]

FOLDER = "components"


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages before the sources are looked for."""
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True}


def built_in(kind: str | None = None) -> list[Provided]:
    """The components that come with genmod."""
    return Registry(third_party=False).components(kind)


def written(path: Path, text: str) -> None:
    """Write a file where its text differs, so that unchanged pages are not read again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8", newline="\n")


def _write(app: Sphinx) -> None:
    folder = Path(app.srcdir) / FOLDER
    there = set(folder.rglob("*.rst"))
    for provided in built_in():
        path = folder / provided.kind / f"{provided.name}.rst"
        written(path, _page(provided, path.parent))
        there.discard(path)
    for path in there:
        if path.name != "index.rst":
            path.unlink()


def _page(provided: Provided, folder: Path) -> str:
    kind, name = provided.kind, provided.name
    record = provided.component
    shown = _shown(provided)
    doc = docstring(provided)
    text, parts = rst.sections(doc)
    # The page of the kind leads here: with a few hundred entries the contents of every page would be long, and slow to make.
    pieces = [":orphan:\n", rst.title(f"{kind} {name}"), ":doc:`All of this kind <index>`\n", _head(provided)]
    if KINDS[kind]:
        pieces += [text, ""]
    else:
        pieces += [rst.escaped(shown["description"]) * (shown["description"] != record.summary), ""]
    picture = site_pictures.drawn(provided, folder / f"{name}.svg")
    if picture:
        pieces += [f".. figure:: {name}.svg\n   :width: 520px\n   :alt: {picture}\n\n   {picture}\n"]
    pieces += [_options(shown, kind, name), _use(provided, shown, parts)]
    if record.goes_with:
        pieces += [
            rst.title("Goes with", "-"),
            f"``{record.goes_with}``: the usual other parts do not fit it.\n",
        ]
    if "Raises" in parts:
        pieces += [rst.title("What is refused", "-"), _terms(parts["Raises"])]
    reference = parts.get("Reference") or shown["reference"]
    if reference:
        pieces += [rst.title("Reference", "-"), rst.linked(reference), ""]
    pieces += [rst.title("Laws and source", "-"), _laws_and_source(provided)]
    return "\n".join(pieces)


def _head(provided: Provided) -> str:
    record = provided.component
    lines = [f"*{rst.escaped(record.summary)}*", ""]
    if record.aliases:
        lines += [f"Also called {', '.join(f'``{each}``' for each in record.aliases)}.", ""]
    if record.requires:
        install = shlex.join(["pip", "install", *record.requires])
        lines += [f"It needs ``{install}``.", ""]
    if record.opens:
        lines += [
            f"It opens {', '.join(f'``{each}``' for each in record.opens)}, given as a path in place of a name.",
            "",
        ]
    return "\n".join(lines)


def docstring(provided: Provided) -> str:
    """The docstring of a component's class; empty for a text."""
    if not KINDS[provided.kind]:
        return ""
    found = declared(provided.component.target)
    if found is not None:
        return found.doc
    name = provided.component.target.partition(":")[2]
    tree = ast.parse(_source(provided).read_text(encoding="utf-8"))
    classes = (each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == name)
    return next((ast.get_docstring(each) or "" for each in classes), "")


def _shown(provided: Provided) -> dict[str, Any]:
    """What ``genmod show --json`` says."""
    words = ["show", provided.kind, provided.name, "--json"]
    if not provided.missing_requirements:
        done = CliRunner().invoke(program, words)
        if done.exit_code:
            raise RuntimeError(f"genmod {shlex.join(words)}: {done.exception!r}")
        document: dict[str, Any] = json.loads(done.stdout)
        return document
    found = declared(provided.component.target)
    options = [
        {"name": each.name, "type": each.words, "required": False, "default": each.default, "help": each.doc}
        for each in (found.options if found else ())
    ]
    command = shlex.join(usage(provided.kind, provided.name))
    return {"description": "", "reference": "", "options": options, "example": command}


def _options(shown: dict[str, Any], kind: str, name: str) -> str:
    if "text" in shown:
        parts = [
            (
                f":doc:`{part['kind']} <../{part['kind']}/index>`",
                f":doc:`../{part['kind']}/{part['name']}`" if _known(part) else f"``{part['name']}``",
                _given(part["options"]),
            )
            for part in shown.get("parts", ())
        ]
        table = rst.table(["part", "component", "options"], parts) if parts else ""
        return "\n".join(
            [
                rst.title("Parts" if parts else "As a file", "-"),
                table,
                "As a file:\n" if parts else "",
                rst.code(shown["text"], "toml"),
            ]
        )
    if not shown["options"]:
        return "It has no options.\n"
    owner = name if kind == "metric" else kind
    rows = [
        (
            f"``{owner}.{each['name']}``",
            "required"
            if each["required"]
            else f"``{option_text(each['default']) or ' '}``"
            if str(option_text(each["default"])).strip()
            else "empty",
            rst.escaped(each["type"]),
            rst.escaped(each["help"]),
        )
        for each in shown["options"]
    ]
    return "\n".join(
        [rst.title("Options", "-"), rst.table(["option", "default", "type and bounds", "what for"], rows)]
    )


def _known(part: dict[str, Any]) -> bool:
    return any(part["name"] == each.name for each in built_in(part["kind"]))


def _given(options: dict[str, Any]) -> str:
    return " ".join(f"``{name}={option_text(value)}``" for name, value in options.items())


def _use(provided: Provided, shown: dict[str, Any], parts: dict[str, str]) -> str:
    pieces = [rst.title("Example", "-")]
    if shown["example"]:
        pieces.append(rst.code(f"$ {shown['example']}", "console"))
    if example := in_python(provided):
        pieces += ["In Python:\n", rst.code(example, "python")]
    if "Example" in parts and installed_all(provided):
        pieces += ["The class by itself:\n", rst.code(_imported(provided) + parts["Example"], "pycon")]
    return "\n".join(pieces)


def _imported(provided: Provided) -> str:
    module, _, name = provided.component.target.partition(":")
    return f">>> from {module} import {name}\n"


def installed_all(provided: Provided) -> bool:
    """Whether what it needs is there; else its example cannot be tried."""
    return all(map(installed, provided.component.requires))


def in_python(provided: Provided) -> str:
    """The lines that use a component, where it needs no more than a name; empty where it does."""
    kind, name = provided.kind, provided.name
    found = declared(provided.component.target) if KINDS[kind] else None
    if found is not None and any(each.default is REQUIRED for each in found.options):
        return ""
    trained = 'model = genmod.load("model")\n'
    data = "data = genmod.open_dataset(model.spec)\n"
    lines = {
        "recipe": f'model = genmod.build("{name}")',
        "dataset": f'model = genmod.build(data="{name}")',
        "metric": f'{trained}{data}print(genmod.evaluate(model, data, "{name}"))',
        "sampler": f'{trained}genmod.fit_sampler(model, sampler="{name}")\nx = model.sample(16)',
        "tracker": f'genmod.train(genmod.build(), directory="model", trackers=["{name}"])',
        "format": f'{trained}genmod.export(model, "{name}", "out")',
    }
    if kind in lines:
        return f"import genmod\n\n{lines[kind]}"
    if kind in ("features", "reproduction"):
        return ""
    words, arguments = shlex.split(f"--{kind} {name} {provided.component.goes_with}"), []
    for flag, value in zip(words[::2], words[1::2], strict=True):
        if flag == "-s":
            path, _, text = value.partition("=")
            arguments.append(f"settings={{{path!r}: {text.title()}}}".replace("'", '"'))
            continue
        shape = tuple(map(int, value.split("x"))) if flag == "--latent" else ()
        written = (shape if len(shape) > 1 else shape[0]) if shape else f'"{value}"'
        arguments.append(f"{flag.removeprefix('--')}={written}")
    return f"import genmod\n\nmodel = genmod.build({', '.join(arguments)})"


def _terms(text: str) -> str:
    """``name: what`` lines as a list, from a section of a docstring."""
    items, lines = [], text.splitlines()
    for line in lines:
        head = re.match(r"(\w+): (.*)", line)
        if head and not line.startswith(" "):
            items.append(f"- ``{head[1]}``: {head[2]}")
        elif line.strip():
            items.append(f"  {line.strip()}")
    return "\n".join(items) + "\n"


def _source(provided: Provided) -> Path:
    module, _, rest = provided.component.target.partition(":")
    folder = ROOT / "plugins" / Path(*module.removeprefix("genmod.plugins").strip(".").split("."))
    return folder.with_suffix(".py") if KINDS[provided.kind] else folder / rest


def _laws_and_source(provided: Provided) -> str:
    path = _source(provided).relative_to(ROOT).as_posix()
    kind = provided.kind
    laws = f"``genmod check {kind}/{provided.name}`` checks the :ref:`laws of the kind {kind} <laws-{kind}>`."
    return f"{laws} Its source is `{path} <{SOURCE}/blob/main/{path}>`__.\n"
