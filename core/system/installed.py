"""Installed distributions, and the one that provides genmod itself."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

# importlib.metadata is imported where it is used: it takes as long as the rest of `genmod --help` together.
if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

__all__ = ["OWN_DISTRIBUTION", "installed", "is_own", "normalised", "to_install", "version_of"]

OWN_DISTRIBUTION = "genmod-torch"
"""The distribution that provides genmod and its built-in components."""

_OF_EXTRA = re.compile(r"""([\w.-]+)[^;]*;.*\bextra\s*==\s*["']([^"']+)""")
_HERE = Path(__file__).resolve().parents[2]


def normalised(distribution: str) -> str:
    """The normalised name of a distribution.

    Example:
        >>> normalised(" Genmod_VQ ")
        'genmod-vq'
    """
    return re.sub(r"[-_.]+", "-", distribution.strip()).lower()


def installed(distribution: str) -> "Distribution | None":
    """The distribution of that name that Python imports from; None if there is none.

    For genmod's own name it is the distribution of this file, even if another of that name comes first on the path.
    """
    from importlib.metadata import PackageNotFoundError, distributions
    from importlib.metadata import distribution as first_on_path

    if normalised(distribution) == OWN_DISTRIBUTION:
        beside = distributions(name=OWN_DISTRIBUTION, path=[str(_HERE)])
        found = (each for many in (beside, distributions(name=OWN_DISTRIBUTION)) for each in many)
        return next((each for each in found if any(map(is_own, _plugins(each)))), None)
    try:
        return first_on_path(distribution)
    except PackageNotFoundError:
        return None


def to_install(distribution: str, missing: Sequence[str]) -> str:
    """What `pip install` is to be given for what a distribution lacks: its smallest extra with all of it, else their names.

    Example:
        >>> to_install("genmod-torch", ["onnxscript"]), to_install("genmod-torch", ["vector-database"])
        ("'genmod-torch[export]'", 'vector-database')
    """
    found, extras = installed(distribution), dict[str, set[str]]()
    for line in (found.requires if found is not None else None) or ():
        if of_extra := _OF_EXTRA.match(line):
            extras.setdefault(of_extra[2], set()).add(normalised(of_extra[1]))
    whole = [extra for extra, names in extras.items() if names >= {normalised(name) for name in missing}]
    if not whole:
        return " ".join(missing)
    return f"'{distribution}[{min(whole, key=lambda extra: len(extras[extra]))}]'"


def is_own(entry_point: "EntryPoint") -> bool:
    """Whether an entry point names a module of genmod itself, which no other distribution contains."""
    return entry_point.value.startswith("genmod.")


def _plugins(distribution: "Distribution") -> "list[EntryPoint]":
    try:
        return [point for point in distribution.entry_points if point.group.startswith("genmod.v")]
    except Exception:
        return []


def version_of(distribution: "Distribution | None") -> str:
    """The version of a distribution; empty if it is not installed or its metadata cannot be read."""
    try:
        return "" if distribution is None else distribution.version or ""
    except Exception:
        return ""
