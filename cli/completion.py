"""Completion in the shell. Nothing here imports a component, so it answers at once.

Options of components are read from their source text; where there is none, none are offered.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from genmod.registry.component import KINDS

if TYPE_CHECKING:
    from genmod.registry.lookup import Registry

__all__ = [
    "check_targets",
    "component_names",
    "distributions",
    "kinds",
    "model_directories",
    "option_names",
    "registry_of",
]

_DEPTH = 3
_MAX_BASES = 8
_MAX_FOLDERS = 2000
_PLAIN = re.compile(r"[\w.,=+@%~-]+")
"""Names that need no quotes in a shell; others are left to its own completion."""


def registry_of(params: Mapping[str, Any]) -> "Registry":
    """The registry that the global options ask for."""
    from genmod.registry.lookup import Registry

    return Registry.from_environment(
        disabled=params.get("disable_plugin") or (),
        third_party=not params.get("no_plugins"),
        files=params.get("plugin") or (),
        accept_changed=bool(params.get("accept_changed")),
    )


def kinds(incomplete: str) -> list[str]:
    """Kinds of component."""
    return [kind for kind in KINDS if kind.startswith(incomplete)]


def component_names(kind: str | None = None) -> Callable[[typer.Context, str], list[tuple[str, str]]]:
    """Names of components, with summaries.

    Args:
        kind: the kind of component; by default the one that was typed as argument ``kind``.
    """

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        registry = registry_of(ctx.find_root().params)
        wanted = kind or ctx.params.get("kind") or ""
        summaries = (provided.component.summary for provided in registry.components(wanted))
        pairs = zip(registry.names(wanted), summaries, strict=True)
        return [pair for pair in pairs if pair[0].startswith(incomplete)]

    return complete


def distributions(ctx: typer.Context, incomplete: str) -> list[str]:
    """Distributions with plugins; none is loaded."""
    from genmod.registry.discovery import find_plugins

    return sorted(
        {found.distribution for found in find_plugins() if found.distribution.startswith(incomplete)}
    )


def check_targets(ctx: typer.Context, incomplete: str) -> list[str]:
    """Targets of ``genmod check``: distributions and ``kind/name``."""
    registry = registry_of(ctx.find_root().params)
    known = {status.distribution for status in registry.plugins()}
    known |= {f"{kind}/{name}" for kind in KINDS for name in registry.names(kind)}
    return sorted(each for each in known if each.startswith(incomplete))


def model_directories(incomplete: str) -> list[str]:
    """Directories that hold a model, up to three levels below what is typed."""
    start, _, name = incomplete.rpartition("/")
    start = f"{start}/" if "/" in incomplete else ""
    return [start + found for found in sorted(_models(Path(start or ".").expanduser(), name))]


def _models(folder: Path, beginning: str) -> Iterator[str]:
    """Paths of model directories below ``folder``; breadth first, so that near ones are always found."""
    waiting, looked_into = [(folder, "", 0)], 0
    while waiting and looked_into < _MAX_FOLDERS:
        place, path, depth = waiting.pop(0)
        looked_into += 1
        try:
            inner = [entry for entry in os.scandir(place) if entry.is_dir() and _PLAIN.fullmatch(entry.name)]
        except OSError:
            continue
        for entry in inner:
            hidden = entry.name.startswith(".") and not beginning.startswith(".")
            if hidden or (depth == 0 and not entry.name.startswith(beginning)):
                continue
            if os.path.isfile(os.path.join(entry.path, "model.json")):
                yield path + entry.name
            elif depth + 1 < _DEPTH and not entry.is_symlink():
                waiting.append((Path(entry.path), f"{path}{entry.name}/", depth + 1))


def option_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """``encoder.channels=`` and the like, for the parts that the command line names so far."""
    registry = registry_of(ctx.find_root().params)
    found = []
    for kind, name in _parts(_params(ctx), registry).items():
        if f"{kind}.".startswith(incomplete[: len(kind) + 1]):
            found += [f"{kind}.{option}=" for option in _options(registry.find(kind, name).component.target)]
    return [each for each in found if each.startswith(incomplete)]


def _params(ctx: typer.Context) -> Mapping[str, Any]:
    """The parameters typed so far, arguments included: the parser drops these where an option lacks its value."""
    *words, _ = ctx.find_root().args
    whole = ctx.command.make_context(ctx.info_name, words, parent=ctx.parent, resilient_parsing=True)
    return whole.params


def _parts(params: Mapping[str, Any], registry: "Registry") -> dict[str, str]:
    """Kind → name of the parts of the recipe with its flags, of a model, or of the component to show."""
    import json
    import tomllib

    from genmod.spec import SPEC_KINDS

    if params.get("targets"):
        return dict(target.split("/", 1) for target in params["targets"] if target.partition("/")[0] in KINDS)
    if "recipe" in params:
        recipe = params["recipe"]
        text = (
            Path(recipe).read_text("utf-8")
            if recipe.endswith(".toml")
            else registry.find("recipe", recipe).text()
        )
        parts = {kind: part for kind, part in tomllib.loads(text).items() if kind in SPEC_KINDS}
        parts |= {
            kind: params[name]
            for kind in SPEC_KINDS
            if params.get(name := "data" if kind == "dataset" else kind)
        }
    else:
        place, *_ = params.get("directories") or [params.get("directory") or "model"]
        model = json.loads((Path(place) / "model.json").read_text("utf-8"))
        parts = {"dataset": params.get("data") or model["components"]["dataset"]}
        parts |= {
            kind: params[name]
            for kind, name in (("sampler", "sampler"), ("format", "format_"))
            if params.get(name)
        }
    return {kind: part if isinstance(part, str) else part["name"] for kind, part in parts.items()}


def _options(target: str, depth: int = _MAX_BASES) -> list[str]:
    """Names of the options of a component's class, read from the text of its module and of its bases' modules."""
    import ast

    module, _, name = target.partition(":")
    text = _source(module) if depth else ""
    classes = {part.name: part for part in ast.parse(text).body if isinstance(part, ast.ClassDef)}
    if name not in classes:
        return []
    for part in classes[name].body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return [argument.arg for argument in part.args.kwonlyargs]
    bases = [base.id for base in classes[name].bases if isinstance(base, ast.Name)][:1]
    found = [
        option
        for base in bases
        for option in _options(
            f"{module}:{base}" if base in classes else _imported(text, module, base), depth - 1
        )
    ]
    if any("dataclass" in ast.unparse(each) for each in classes[name].decorator_list):
        fields = [part.target for part in classes[name].body if isinstance(part, ast.AnnAssign)]
        found += [field.id for field in fields if isinstance(field, ast.Name)]
    return list(dict.fromkeys(found))


def _imported(text: str, module: str, name: str) -> str:
    """The target of a name that a module imports."""
    import ast

    for part in ast.parse(text).body:
        if isinstance(part, ast.ImportFrom):
            for alias in part.names:
                if name == (alias.asname or alias.name):
                    dotted = "." * part.level + (part.module or "")
                    return f"{resolve_name(dotted, module.rpartition('.')[0])}:{alias.name}"
    return ""


def _source(module: str) -> str:
    """The text of a module; imports neither the module nor its packages."""
    parts = module.split(".")
    known = 1
    while known < len(parts) and ".".join(parts[:known]) in sys.modules:
        known += 1
    spec = find_spec(".".join(parts[:known]))
    if spec is None:
        return ""
    stems = [Path(place, *parts[known:]) for place in spec.submodule_search_locations or ()]
    files = [Path(spec.origin or "")] if known == len(parts) else []
    files += [file for stem in stems for file in (stem.with_suffix(".py"), stem / "__init__.py")]
    return next((file.read_text("utf-8") for file in files if file.is_file()), "")
