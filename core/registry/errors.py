"""Errors for unknown names of components: known and similar names, plugins that failed to load."""

from collections import Counter
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from genmod.errors import PluginError, UsageError
from genmod.options.kinds import kinds_hint
from genmod.registry.component import KINDS
from genmod.registry.loader import PluginStatus
from genmod.registry.provided import Provided
from genmod.system.installed import installed, version_of

__all__ = [
    "MissingPluginError",
    "UnknownComponentError",
    "check_kind",
    "not_given",
    "not_provided",
    "spelled",
    "to_install",
    "unknown_component",
    "unusable_plugin",
]


class UnknownComponentError(UsageError):
    """No component has that name."""


class MissingPluginError(PluginError):
    """A component of a distribution that is not installed, or of a file that is not given."""


def check_kind(kind: str) -> None:
    """Refuse an unknown kind of component.

    Raises:
        UsageError: the kind is unknown; the hint lists all.
    """
    if kind not in KINDS:
        raise UsageError(f"there is no kind {kind[:80]!r} of component", hint=kinds_hint([kind], KINDS))


def spelled(provided: Iterable[Provided]) -> dict[str, Provided]:
    """All components of one kind by the name to type: the name where it is unique, else the qualified name."""
    provided = list(provided)
    users = Counter(name for p in provided for name in p.names)
    return {p.name if p.builtin or users[p.name] == 1 else p.qualified: p for p in provided}


def unknown_component(
    kind: str, name: str, distribution: str, components: Iterable[Provided], plugins: Iterable[PluginStatus]
) -> UnknownComponentError:
    """The error for an unknown name, within one distribution, or anywhere if that is empty."""
    components = list(components)
    names = spelled(p for p in components if p.kind == kind)
    known = [typed for typed, p in names.items() if distribution in ("", p.distribution)]
    aliases = [alias for typed in known for alias in names[typed].component.aliases]
    hints = list(_did_you_mean(name, [*known, *aliases]))
    others = dict.fromkeys(p.kind for p in components if name in p.names and p.kind != kind)
    if others:
        hints.append(f"it is the name of another kind of component: {', '.join(others)}")
    if known:
        hints.append(f"{'its' if distribution else 'the'} {kind.removesuffix('s')}s are: {', '.join(known)}")
    hints.extend(_left_out(status.status for status in plugins if distribution in ("", status.distribution)))
    owner = f"{distribution} has no" if distribution else "there is no"
    return UnknownComponentError(f"{owner} {kind} {name[:80]!r}", hint="\n".join(hints))


def unusable_plugin(kind: str, name: str, status: PluginStatus) -> PluginError:
    """The error for a component of a plugin that failed to load."""
    return PluginError(
        f"{kind} {name[:80]!r} needs {status.distribution} {status.version}, whose plugin"
        f" {status.entry_point!r} is {status.status}: {status.reason}",
        hint=status.hint,
    )


def not_provided(kind: str, name: str, distribution: str) -> PluginError:
    """The error for a component of a distribution that is no plugin; its name must be a valid one."""
    if (found := installed(distribution)) is not None:
        return PluginError(
            f"{kind} {name[:80]!r} cannot come from {distribution} {version_of(found)}: it is no genmod plugin",
            hint="`genmod plugins` lists the plugins",
        )
    return MissingPluginError(
        f"{kind} {name[:80]!r} needs the plugin {distribution}, which is not installed",
        hint=to_install(distribution),
    )


def to_install(distribution: str, version: str = "") -> str:
    """What to do to have a distribution; where it is not there yet, its name comes from whoever wrote a file."""
    line = f"pip install {distribution}{version and f'=={version}'}"
    if installed(distribution) is not None:
        return line
    return f"look at the package first, its code runs as you: https://pypi.org/project/{distribution}\n{line}"


def not_given(kind: str, name: str, file: str) -> MissingPluginError:
    """The error for a component of a file that is not given; files are never looked for."""
    return MissingPluginError(
        f"{kind} {name[:80]!r} needs the file {file[:80]!r}, which was not given",
        hint="give it: --plugin PATH",
    )


def _did_you_mean(given: str, known: Iterable[str]) -> Iterator[str]:
    if close := get_close_matches(given.lower(), list(known), n=3):
        yield f"did you mean {' or '.join(close)}?"


def _left_out(statuses: Iterable[str]) -> Iterator[str]:
    """A line for plugins that could have the component and are not loaded."""
    counts = Counter(statuses)
    if failed := counts["broken"] + counts["incompatible"]:
        yield f"{failed} plugin{'s' * (failed > 1)} failed to load, see `genmod plugins`"
    if disabled := counts["disabled"]:
        yield f"{disabled} plugin{'s are' if disabled > 1 else ' is'} disabled, see `genmod plugins`"
