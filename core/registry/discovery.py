"""Finding plugins: entry points of installed distributions, read from metadata alone; nothing is imported."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from genmod.errors import PluginError, quoted
from genmod.registry.component import GROUP
from genmod.system.installed import OWN_DISTRIBUTION, installed, is_own, normalised

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

__all__ = [
    "DISTRIBUTION_NAME",
    "VERSION",
    "Found",
    "Loadable",
    "find_plugins",
    "own_plugins",
]

DISTRIBUTION_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
"""What a distribution may be called; anything else must not reach a ``pip install`` line."""

VERSION = re.compile(r"[0-9][0-9A-Za-z.!+]{0,63}")
"""What a version in such a line may be; versions come from foreign files."""

_VERSIONED_GROUP = re.compile(r"genmod\.v[0-9]+")
_OBJECT = re.compile(r"[\w.]*\w(\s*:\s*[\w.]+)?(\s*\[.*\])?")


class Loadable(Protocol):
    """What an entry point has: importlib.metadata's, or a file in its place."""

    @property
    def name(self) -> str: ...

    @property
    def group(self) -> str: ...

    def load(self) -> Any: ...


@dataclass(frozen=True)
class Found:
    """An entry point that is not loaded yet, or the error of reading the entry points of a distribution."""

    distribution: str
    version: str
    entry_point: "Loadable | Exception"


def own_plugins() -> list[Found]:
    """The entry points of genmod's own distribution; no other is looked at.

    Raises:
        PluginError: genmod is imported from files that were never installed.
    """
    distribution = installed(OWN_DISTRIBUTION)
    found = [] if distribution is None else _entry_points(distribution, OWN_DISTRIBUTION)
    if not found:
        raise PluginError(
            f"the built-in components are not found: the installation of {OWN_DISTRIBUTION} is incomplete",
            hint=f"pip install {OWN_DISTRIBUTION}, or pip install -e . in a checkout",
        )
    return found


def find_plugins() -> list[Found]:
    """Every third-party entry point of any version of the contract, in a fixed order; imports none."""
    from importlib.metadata import distributions

    by_name: dict[str, Distribution] = {}
    unusable: list[Found] = []
    for distribution in distributions():
        try:
            if "genmod.v" not in (distribution.read_text("entry_points.txt") or ""):
                continue
            name = normalised(_field(distribution, "Name"))
            poses = name == OWN_DISTRIBUTION and not all(map(is_own, _plugins(distribution)))
        except Exception as error:
            unusable.append(_refused(distribution, f"its metadata cannot be read: {error!s:.200}"))
            continue
        if poses:
            unusable.append(_refused(distribution, f"it calls itself {OWN_DISTRIBUTION}, and is another"))
        elif name != OWN_DISTRIBUTION and not DISTRIBUTION_NAME.fullmatch(name):
            unusable.append(_refused(distribution, f"its name is none that one may have: {name!r:.80}"))
        elif name != OWN_DISTRIBUTION:
            by_name.setdefault(name, distribution)
    # Of a distribution that is on the path twice, only the copy that Python imports from counts.
    found = [
        found for name, there in by_name.items() for found in _entry_points(installed(name) or there, name)
    ]
    return sorted([*found, *unusable], key=lambda each: each.distribution)


def _refused(distribution: "Distribution", why: str) -> Found:
    """One that has no name to speak of; it is known by the folder of its metadata."""
    place = str(getattr(distribution, "_path", None) or distribution.locate_file(""))
    hint = f"remove it from the path: {quoted(place)}"
    return Found(place, "", PluginError(f"{why}; nothing of it is looked into", hint=hint))


def _field(distribution: "Distribution", name: str) -> str:
    """A field of a distribution's metadata; parsing all of them takes ten times as long, for each plugin."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    found = re.search(rf"^{name}:[ \t]*(.*?)\s*$", re.split(r"\r?\n\r?\n", text, maxsplit=1)[0], re.MULTILINE)
    return found[1] if found else str(distribution.metadata[name] or "")


def _entry_points(distribution: "Distribution", name: str) -> list[Found]:
    version = ""
    try:
        version = _field(distribution, "Version")
        entry_points = _plugins(distribution)
    except Exception as error:
        return [Found(name, version, error)]
    # A plugin for several versions of the contract is loaded in this one.
    entry_points = [point for point in entry_points if point.group == GROUP] or entry_points
    return [
        Found(name, version, _checked(point, own=name == OWN_DISTRIBUTION))
        for point in sorted(entry_points, key=lambda p: (p.name, p.group, p.value))
    ]


def _plugins(distribution: "Distribution") -> "list[EntryPoint]":
    return [point for point in distribution.entry_points if _VERSIONED_GROUP.fullmatch(point.group)]


def _checked(point: "EntryPoint", *, own: bool) -> "EntryPoint | PluginError":
    """The entry point, or why it is not to be loaded; one that is malformed may fail wherever it is looked at."""
    if not _OBJECT.fullmatch(point.value):
        return PluginError(f"its entry point {point.name!r:.80} names no module: {point.value!r:.80}")
    if is_own(point) and not own:
        return PluginError(f"its entry point {point.name!r:.80} names a module of genmod: {point.value:.80}")
    return point
