"""Finding plugins: entry points of installed distributions, read from metadata alone; nothing is imported."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from genmod.errors import PluginError
from genmod.registry.component import GROUP

# importlib.metadata is imported where it is used: it takes as long as the rest of `genmod --help` together.
if TYPE_CHECKING:
    from importlib.metadata import Distribution

__all__ = [
    "DISTRIBUTION_NAME",
    "OWN_DISTRIBUTION",
    "VERSION",
    "Found",
    "Loadable",
    "find_plugins",
    "installed",
    "normalised",
    "own_plugins",
]

OWN_DISTRIBUTION = "genmod-torch"
"""The distribution that genmod and its built-in components are installed by."""

DISTRIBUTION_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
"""What a distribution may be called; anything else must not reach a ``pip install`` line."""

VERSION = re.compile(r"[0-9][0-9A-Za-z.!+]{0,63}")
"""What a version may be that is put into such a line; others are read from files of strangers."""

_VERSIONED_GROUP = re.compile(r"genmod\.v\d+")


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


def normalised(distribution: str) -> str:
    """The one spelling of a distribution's name.

    Example:
        >>> normalised(" Genmod_VQ ")
        'genmod-vq'
    """
    return re.sub(r"[-_.]+", "-", distribution.strip()).lower()


def installed(distribution: str) -> "Distribution | None":
    """The distribution of that name that Python imports from, None where there is none."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import distribution as first_on_path

    try:
        return first_on_path(distribution)
    except PackageNotFoundError:
        return None


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
    for distribution in distributions():
        try:
            if "genmod.v" in (distribution.read_text("entry_points.txt") or ""):
                by_name.setdefault(normalised(_field(distribution, "Name")), distribution)
        except Exception:  # remains of a distribution, with no readable name: there is nothing to list it by
            continue
    by_name.pop(OWN_DISTRIBUTION, None)
    # Of a distribution that is on the path twice, only the copy that Python imports from counts.
    return [
        found
        for name, distribution in sorted(by_name.items())
        for found in (
            _entry_points(installed(name) or distribution, name)
            if DISTRIBUTION_NAME.fullmatch(name)
            else [Found(name, "", _bad_name(distribution))]
        )
    ]


def _field(distribution: "Distribution", name: str) -> str:
    """A field of a distribution's metadata; parsing all of them takes ten times as long, for each plugin."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    found = re.search(rf"^{name}:[ \t]*(.*?)\s*$", re.split(r"\r?\n\r?\n", text, maxsplit=1)[0], re.MULTILINE)
    return found[1] if found else str(distribution.metadata[name] or "")


def _bad_name(distribution: "Distribution") -> PluginError:
    return PluginError(
        "its name is none that a distribution may have, so nothing of it is looked into",
        hint=f"remove {distribution.locate_file('')} from the path, or what has that name from there",
    )


def _entry_points(distribution: "Distribution", name: str) -> list[Found]:
    version = ""
    try:
        version = _field(distribution, "Version")
        entry_points = [
            point for point in distribution.entry_points if _VERSIONED_GROUP.fullmatch(point.group)
        ]
    except Exception as error:
        return [Found(name, version, error)]
    # Whoever supports this version and others is asked in this version.
    entry_points = [point for point in entry_points if point.group == GROUP] or entry_points
    return [
        Found(name, version, point)
        for point in sorted(entry_points, key=lambda p: (p.name, p.group, p.value))
    ]
