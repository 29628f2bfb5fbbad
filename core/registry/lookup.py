"""The registry of components: finds them by name.

A bare name means a built-in component where there is one, else the only third-party component of that name
or alias. ``distribution/name`` always means that distribution's. Nothing is ever renamed, and an installed plugin
changes nothing until one of its components is named. A file given by ``--plugin ./mine.py`` is one more
distribution, called ``./mine.py``.

Built-in names are looked up without touching third-party code; plugins are loaded when a name is missing,
when components are listed, and only the plugin in question for ``distribution/name``.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Self

from genmod.errors import UsageError
from genmod.registry.component import KINDS
from genmod.registry.discovery import (
    DISTRIBUTION_NAME,
    VERSION,
    Found,
    find_plugins,
    own_plugins,
)
from genmod.registry.errors import (
    check_kind,
    not_given,
    not_provided,
    spelled,
    unknown_component,
    unusable_plugin,
)
from genmod.registry.file_plugin import is_local, last_changed, load_file, local_plugin
from genmod.registry.loader import LOADING, PluginStatus, load_plugin, unloaded
from genmod.registry.provided import Provided
from genmod.system.installed import OWN_DISTRIBUTION, normalised

__all__ = ["Registry", "current_registry", "use_registry"]


class Registry:
    """Finds components by name.

    Args:
        disabled: distributions whose plugins are not loaded.
        only: if given, the only distributions whose plugins are loaded.
        third_party: False for the built-in components alone.
        strict: let the original error of a broken plugin through.
        files: Python files with components; they are run when third-party plugins are loaded.
        accept_changed: go on with files whose program has changed since a model was saved, with a warning.

    Raises:
        UsageError: the built-in components are to be disabled, or two files have one name.
        FileError: a file cannot be read.

    Example:
        >>> Registry(third_party=False).find("encoder", "mlp").qualified
        'genmod-torch/mlp'
    """

    def __init__(
        self,
        *,
        disabled: Collection[str] = (),
        only: Collection[str] | None = None,
        third_party: bool = True,
        strict: bool = False,
        files: Iterable[Path | str] = (),
        accept_changed: bool = False,
    ) -> None:
        self._disabled = {normalised(name) for name in disabled}
        self._only = None if only is None else {normalised(name) for name in only}
        self._third_party = third_party
        self._strict = strict
        self.accept_changed = accept_changed
        self.told: set[tuple[str, str]] = set()
        """The versions of files, then and now, of which the user was warned."""
        self._loaded: dict[str, list[PluginStatus]] = {}
        self._provided: dict[str, list[Provided]] = {}
        if OWN_DISTRIBUTION in self._disabled:
            raise UsageError(
                f"{OWN_DISTRIBUTION} holds the built-in components and cannot be disabled",
                hint="name a plugin, as `genmod plugins` lists them",
            )
        self._files: dict[str, Found] = {}
        for path in dict.fromkeys(Path(file).absolute() for file in files):
            self._add_file(path)

    def _add_file(self, path: Path) -> None:
        found = local_plugin(path)
        other = self._files.get(found.distribution)
        if other is not None and other != found:
            raise UsageError(
                f"two plugins are called {found.distribution}",
                hint="rename one of the files: models record the name",
            )
        self._files[found.distribution] = found

    def with_files(self, files: Iterable[Path | str]) -> "Registry":
        """The same registry with further files."""
        other = Registry(
            disabled=self._disabled,
            only=self._only,
            third_party=self._third_party,
            strict=self._strict,
            accept_changed=self.accept_changed,
        )
        other._files = dict(self._files)
        for path in files:
            other._add_file(Path(path).absolute())
        return other

    def load_files(self) -> None:
        """Run the files that were given, which are otherwise run when a name is looked for among plugins.

        Raises:
            PluginError: one is broken; says where.
        """
        for distribution in self._files:
            self._load(distribution)

    def last_changed(self, distribution: str) -> str:
        """When the file of a plugin was last written, as ``2026-01-31 12:00``; empty where it is no file."""
        return last_changed(self._files[distribution]) if distribution in self._files else ""

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        disabled: Collection[str] = (),
        third_party: bool = True,
        files: Iterable[Path | str] = (),
        accept_changed: bool = False,
    ) -> Self:
        """A registry by the environment and the command line.

        ``GENMOD_PLUGINS=a,b`` allows only these distributions, and none if it is empty;
        ``GENMOD_DISABLE_PLUGINS=a,b`` disables these; ``GENMOD_STRICT_PLUGINS=1`` lets their errors through.
        """
        environ = os.environ if environ is None else environ
        allowed = environ.get("GENMOD_PLUGINS")
        return cls(
            disabled=[*disabled, *_comma_list(environ.get("GENMOD_DISABLE_PLUGINS", ""))],
            only=None if allowed is None else _comma_list(allowed),
            third_party=third_party,
            strict=environ.get("GENMOD_STRICT_PLUGINS", "").strip() not in ("", "0"),
            files=files,
            accept_changed=accept_changed,
        )

    def find(self, kind: str, name: str) -> Provided:
        """The component that ``name`` means: a name, an alias, or one of these after ``distribution/``.

        Raises:
            UsageError: an unknown kind, or a name that several plugins use.
            UnknownComponentError: no component has that name; says which there are.
            MissingPluginError: the distribution is not installed, or the file is not given.
            PluginError: the distribution's plugin is broken, disabled or incompatible.
        """
        check_kind(kind)
        distribution, slash, bare = name.rpartition("/")
        if slash:
            return self._find_qualified(kind, distribution, bare)
        candidates = _named(self._builtin, kind, name) or _named(self._others, kind, name)
        if len(candidates) > 1:
            raise UsageError(
                f"{len(candidates)} plugins provide the {kind} {name!r}",
                hint="write which: " + " or ".join(f"{p.distribution}/{name}" for p in candidates),
            )
        if not candidates:
            raise unknown_component(kind, name, "", self.components(), self.plugins())
        return candidates[0]

    def components(self, kind: str | None = None, *, third_party: bool = True) -> list[Provided]:
        """All components of a kind, or of all: by kind, built-in ones first, by name, by distribution.

        Raises:
            UsageError: an unknown kind.
        """
        if kind is not None:
            check_kind(kind)
        every = [*self._builtin, *(self._others if third_party else ())]
        order = list(KINDS)
        return sorted(
            (p for p in every if kind in (None, p.kind)),
            key=lambda p: (order.index(p.kind), not p.builtin, p.name, p.distribution),
        )

    def names(self, kind: str) -> list[str]:
        """The name to type for each of ``components(kind)``: its name if that is unique, else the qualified name.

        Raises:
            UsageError: an unknown kind.
        """
        return list(spelled(self.components(kind)))

    def plugins(self) -> list[PluginStatus]:
        """The status of every plugin: the built-in one, then the others by distribution and entry point."""
        return [
            *self._load(OWN_DISTRIBUTION),
            *(status for name in self._found for status in self._load(name)),
        ]

    def requirements(self, providers: Iterable[Provided] | None = None) -> list[str]:
        """``distribution==version`` of these components, else of all plugins, to install the same again."""
        used: Iterable[Provided | PluginStatus] = self.plugins() if providers is None else providers
        return sorted({_requirement(part.distribution, part.version) for part in used})

    @property
    def _builtin(self) -> list[Provided]:
        return self._components_of(OWN_DISTRIBUTION)

    @property
    def _others(self) -> list[Provided]:
        return [provided for name in self._found for provided in self._components_of(name)]

    @cached_property
    def _found(self) -> dict[str, list[Found]]:
        """Entry points by distribution, in a fixed order."""
        found: dict[str, list[Found]] = {}
        for each in (*find_plugins(), *self._files.values()):
            found.setdefault(each.distribution, []).append(each)
        return found

    def _components_of(self, distribution: str) -> list[Provided]:
        self._load(distribution)
        return self._provided[distribution]

    def _load(self, distribution: str) -> list[PluginStatus]:
        """The status of one distribution's entry points; each is loaded once."""
        with LOADING:
            if distribution not in self._loaded:
                # A plugin that asks for components while it is being loaded does not see its own.
                self._loaded[distribution], self._provided[distribution] = [], []
                try:
                    self._loaded[distribution] = self._load_now(distribution)
                except BaseException:
                    del self._loaded[distribution]
                    raise
                self._provided[distribution] = [
                    Provided(
                        component,
                        distribution,
                        status.version,
                        builtin=distribution == OWN_DISTRIBUTION,
                        registered=not is_local(distribution),
                    )
                    for status in self._loaded[distribution]
                    for component in status.components
                ]
            return self._loaded[distribution]

    def _load_now(self, distribution: str) -> list[PluginStatus]:
        taken: set[tuple[str, str]] = set()
        if distribution == OWN_DISTRIBUTION:
            return [load_plugin(found, taken, strict=True) for found in own_plugins()]
        if is_local(distribution):
            return [load_file(found, taken) for found in self._found[distribution]]
        reason, hint = self._blocked(distribution)
        if reason:
            return [
                replace(unloaded(found), status="disabled", reason=reason, hint=hint)
                for found in self._found[distribution]
            ]
        return [load_plugin(found, taken, strict=self._strict) for found in self._found[distribution]]

    def _blocked(self, distribution: str) -> tuple[str, str]:
        """Why a distribution is not loaded, and the remedy; empty if it is loaded."""
        if not self._third_party:
            return "all third-party plugins are switched off", "leave out --no-plugins"
        if distribution in self._disabled:
            return "it is switched off by name", "take it out of --disable-plugin and GENMOD_DISABLE_PLUGINS"
        if self._only is not None and distribution not in self._only:
            return "it is not among the allowed plugins", "add it to GENMOD_PLUGINS"
        return "", ""

    def _find_qualified(self, kind: str, distribution: str, name: str) -> Provided:
        if is_local(distribution) and distribution not in self._files:
            raise not_given(kind, name, distribution)
        if not is_local(distribution) and not DISTRIBUTION_NAME.fullmatch(distribution):
            raise UsageError(
                f"{distribution[:80]!r} is no name of a distribution",
                hint=f"write {kind} as NAME or DISTRIBUTION/NAME",
            )
        if not is_local(distribution):
            distribution = normalised(distribution)
        if distribution != OWN_DISTRIBUTION and distribution not in self._found:
            raise not_provided(kind, name, distribution)
        candidates = _named(self._components_of(distribution), kind, name)
        if candidates:
            return candidates[0]
        for status in self._load(distribution):
            if status.status != "ok":
                raise unusable_plugin(kind, name, status)
        raise unknown_component(kind, name, distribution, self.components(), self.plugins())


def _requirement(distribution: str, version: str) -> str:
    if DISTRIBUTION_NAME.fullmatch(distribution) and VERSION.fullmatch(version):
        return f"{distribution}=={version}"
    # What pip cannot install becomes a comment.
    return "".join(sign if sign.isprintable() else "?" for sign in f"# {distribution} {version}")


def _named(provided: Iterable[Provided], kind: str, name: str) -> list[Provided]:
    return [p for p in provided if p.kind == kind and name in p.names]


def _comma_list(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]


_current: ContextVar[Registry] = ContextVar("genmod_registry")


@cache
def _default_registry() -> Registry:
    return Registry.from_environment()


def current_registry() -> Registry:
    """The registry in use: that of :func:`use_registry`, else one made from the environment on first use."""
    registry = _current.get(None)
    return _default_registry() if registry is None else registry


@contextmanager
def use_registry(registry: Registry) -> Iterator[Registry]:
    """Use another registry inside; threads that are started there do not inherit it.

    Example:
        >>> with use_registry(Registry(third_party=False)) as registry:
        ...     current_registry() is registry
        True
    """
    token = _current.set(registry)
    try:
        yield registry
    finally:
        _current.reset(token)
