"""The components that a command line or a test names for checking."""

from collections.abc import Iterable
from pathlib import Path

from genmod.errors import PluginError, UsageError
from genmod.options.kinds import kind_meant
from genmod.registry.component import KINDS, Component
from genmod.registry.errors import check_kind
from genmod.registry.lookup import Registry
from genmod.registry.provided import Provided, import_target
from genmod.system.installed import OWN_DISTRIBUTION, normalised
from genmod.testing.case import Case

__all__ = ["Target", "select"]

Target = str | Component | Provided | type
"""A distribution, ``kind/name``, a file, or a component as its record or class."""


def select(
    targets: Target | Iterable[Target], registry: Registry, *, root: Path | None = None
) -> tuple[list[Case], Registry]:
    """The components that are named, each with its default options, and the registry that has them.

    Args:
        targets: distributions, ``kind/name``, files ``./mine.py``, records or classes.
        registry: where names are looked up.
        root: folder with data files.

    Raises:
        UsageError: an unknown name.
        PluginError: a plugin that cannot be loaded.
    """
    each = [targets] if isinstance(targets, str | Component | Provided | type) else list(targets)
    files = [Path(target) for target in each if isinstance(target, str) and target.endswith(".py")]
    if files:
        registry = registry.with_files(files)
    cases = [case for target in each for case in _cases(target, registry, root)]
    return cases, registry


def _cases(target: Target, registry: Registry, root: Path | None) -> list[Case]:
    if isinstance(target, type):
        kind = next(
            (k for k, base in KINDS.items() if base and issubclass(target, import_target(base))), None
        )
        if kind is None:
            raise UsageError(
                f"{target.__name__} is no component: it is derived from none of their abstract classes",
                hint="derive it from genmod.Encoder, genmod.Decoder, …",
            )
        return [Case(kind, f"{kind}/{target.__name__}", target, registry, root=root)]
    if isinstance(target, Component):
        target = Provided(target, "unregistered", "0", builtin=False, registered=False)
    if isinstance(target, Provided):
        return [_case(target, registry, root)]
    kind, slash, name = target.partition("/")
    if slash and kind not in KINDS and not target.endswith(".py") and kind_meant(kind, KINDS):
        check_kind(kind)
    if slash and kind in KINDS:
        return [_case(registry.find(kind, name), registry, root)]
    return [_case(provided, registry, root) for provided in _of_distribution(target, registry)]


def _of_distribution(target: str, registry: Registry) -> list[Provided]:
    name = f"./{Path(target).name}" if target.endswith(".py") else normalised(target)
    statuses = [status for status in registry.plugins() if status.distribution == name]
    if not statuses:
        known = sorted({status.distribution for status in registry.plugins()} - {OWN_DISTRIBUTION})
        raise UsageError(
            f"{target[:80]!r} is no installed plugin, no KIND/NAME and no file",
            hint=f"the installed plugins are: {', '.join(known)}" if known else "no plugin is installed",
        )
    for status in statuses:
        if status.status != "ok":
            raise PluginError(
                f"{status.distribution} {status.version} is {status.status}: {status.reason}",
                hint=status.hint,
            )
    return [provided for provided in registry.components() if provided.distribution == name]


def _case(provided: Provided, registry: Registry, root: Path | None) -> Case:
    return Case(provided.kind, f"{provided.kind}/{provided.name}", provided, registry, root=root)
