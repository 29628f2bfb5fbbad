"""Loading a plugin: from an entry point to a status and components.

Each plugin is loaded on its own: a broken one becomes a line of ``genmod plugins`` and never stops the
program, whatever it raises; only Ctrl-C does. A plugin is taken whole or not at all, so one that fails midway
contributes nothing; only components of kinds that this version does not know are left out singly, and its
status says so.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import Any, Literal, TextIO

import pluggy

from genmod.errors import GenmodError, PluginError
from genmod.options.kinds import kind_meant
from genmod.registry import component as contract
from genmod.registry.component import GROUP, KINDS, Component
from genmod.registry.discovery import DISTRIBUTION_NAME, Found
from genmod.system.installed import OWN_DISTRIBUTION

__all__ = ["LOADING", "PluginStatus", "cause", "load_plugin", "quiet", "unloaded"]

LOADING = threading.RLock()
"""Held while code of a plugin runs: sys.stdout belongs to all threads. A plugin may ask for components."""

_MAX_COMPONENTS = 1000
_HEAVY = (
    *("torch", "torchvision", "numpy", "pydantic", "scipy", "sklearn", "pandas", "matplotlib", "PIL"),
    *("transformers", "lightning", "jax", "tensorflow"),
)


@dataclass(frozen=True)
class PluginStatus:
    """The status of one entry point.

    Args:
        distribution: normalised name of the distribution that it belongs to.
        version: version of that distribution.
        entry_point: its name; empty where it cannot be read.
        status: ``ok``; ``broken``: it failed and gives no component; ``disabled``: not loaded;
            ``incompatible``: made for another version of the plugin contract.
        reason: why it is not ok, or which components were left out.
        load_ms: milliseconds of loading.
        imports_heavy: large packages that it was the first to import, which slows every command.
        components: those that it yields.
        hint: remedy for ``reason``.
    """

    distribution: str
    version: str
    entry_point: str
    status: Literal["ok", "broken", "disabled", "incompatible"] = "ok"
    reason: str = ""
    load_ms: float = 0.0
    imports_heavy: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()
    hint: str = ""


def unloaded(found: Found) -> PluginStatus:
    """The status that an entry point starts with."""
    name = "" if isinstance(found.entry_point, Exception) else found.entry_point.name
    return PluginStatus(found.distribution, found.version, name)


def cause(error: BaseException) -> str:
    """An error of foreign code as one line.

    Example:
        >>> cause(ImportError("no module\\nnamed x"))
        'ImportError: no module named x'
    """
    try:
        text = " ".join(str(error).split())
    except KeyboardInterrupt:
        raise
    except BaseException:
        text = ""
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__


@contextmanager
def quiet() -> Iterator[None]:
    """Run foreign code, with its output and that of its child processes on stderr: stdout carries data.

    Streams that it closes or replaces, and the current folder, are restored.
    """
    with LOADING, _put_back(), redirect_stdout(sys.stderr), _descriptor_of_stdout_to_stderr():
        yield


@contextmanager
def _put_back() -> Iterator[None]:
    out, err, folder = sys.stdout, sys.stderr, _current_folder()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = _open(out, 1), _open(err, 2)
        if folder is not None and folder != _current_folder():
            os.chdir(folder)


def _current_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it has been deleted
        return None


def _open(stream: TextIO, descriptor: int) -> TextIO:
    if stream is None or not stream.closed:
        return stream
    return open(descriptor, "w", encoding="utf-8", errors="backslashreplace", closefd=False)


@contextmanager
def _descriptor_of_stdout_to_stderr() -> Iterator[None]:
    try:
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
        before = os.dup(1)
    except (OSError, ValueError):  # there is none
        yield
        return
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(before, 1)
        os.close(before)


def load_plugin(found: Found, taken: set[tuple[str, str]], *, strict: bool = False) -> PluginStatus:
    """Load one plugin and its components.

    Args:
        found: the entry point.
        taken: kind and name of components of other entry points of the same distribution; extended.
        strict: let the original error through, for authors of plugins.

    Raises:
        Exception: raised by the plugin, if ``strict``; a PluginError in place of one that would end the program.
    """
    status = unloaded(found)
    entry_point = found.entry_point
    if not isinstance(entry_point, Exception) and entry_point.group != GROUP:
        return _incompatible(status, entry_point.group)
    heavy_before = {name for name in _HEAVY if name in sys.modules}
    start = time.perf_counter()
    try:
        if isinstance(entry_point, PluginError):
            raise entry_point
        if isinstance(entry_point, Exception):
            raise PluginError(f"its entry points cannot be read: {cause(entry_point)}") from entry_point
        with quiet():
            components = _ask(entry_point.load(), entry_point.name)
        names = _names(components, taken)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if strict and isinstance(error, Exception):
            raise
        if strict:  # let through, an exit status of 0 would look like success
            raise PluginError(
                f"{status.distribution} {status.version} ends the program: {cause(error)}"
            ) from error
        status = _broken(status, error)
    else:
        taken.update(names)
        status = _with_components(status, components)
    return replace(
        status,
        load_ms=1000 * (time.perf_counter() - start),
        imports_heavy=tuple(name for name in _HEAVY if name in sys.modules and name not in heavy_before),
    )


class _Hooks:
    """The one hook alone: pluggy looks at all that a namespace shows, and a module shows a lot, for each plugin."""

    genmod_components = staticmethod(contract.genmod_components)

    def __dir__(self) -> list[str]:
        return ["genmod_components"]


def _ask(plugin: Any, name: str) -> list[Component]:
    """The components that a plugin yields, in a manager of its own: no plugin can wrap another."""
    manager = pluggy.PluginManager("genmod")
    manager.add_hookspecs(_Hooks())  # type: ignore[arg-type]  # pluggy takes any namespace
    manager.register(plugin, name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError:
        hooks = [
            hook for hook in vars(manager.hook) if not hook.startswith("_") and hook != "genmod_components"
        ]
        raise PluginError(
            f"it implements {', '.join(hooks)}, which is no hook", hint="the only hook is genmod_components"
        ) from None
    implementations = manager.hook.genmod_components.get_hookimpls()
    if not implementations:
        raise PluginError(
            "it has no hook genmod_components",
            hint="write the function, decorated with @hookimpl from genmod",
        )
    returned = manager.hook.genmod_components()
    if len(returned) != len(implementations):  # pluggy leaves None out
        raise PluginError("its genmod_components() returns None", hint="it must yield Component(...) records")
    components = [_checked(component) for each in returned for component in islice(each, _MAX_COMPONENTS + 1)]
    if len(components) > _MAX_COMPONENTS:
        raise PluginError(f"it yields more than {_MAX_COMPONENTS:,} components")
    return components


def _checked(component: Any) -> Component:
    if not isinstance(component, Component):
        raise PluginError(
            f"it yields {component!r:.80}, which is no Component", hint="yield Component(...) records"
        )
    # A subclass, or a record that was changed, may hold anything: what is kept is a record of our own.
    component = Component(*(getattr(component, field.name) for field in fields(Component)))
    if not all(DISTRIBUTION_NAME.fullmatch(name) for name in component.requires):
        raise PluginError(
            f"its {component.kind} {component.name!r} has requires={component.requires!r}, not names of distributions"
        )
    return component


def _names(components: list[Component], taken: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Kind and name of all components and aliases; each must be new."""
    names: set[tuple[str, str]] = set()
    for component in components:
        for name in (component.name, *component.aliases):
            if (component.kind, name) in names | taken:
                raise PluginError(
                    f"it gives the {component.kind} {name!r} twice",
                    hint="names and aliases of one kind must differ within a distribution",
                )
            names.add((component.kind, name))
    return names


def _with_components(status: PluginStatus, components: list[Component]) -> PluginStatus:
    known = tuple(component for component in components if component.kind in KINDS)
    status = replace(status, components=known)
    if len(known) == len(components):
        return status
    others = [component for component in components if component.kind not in KINDS]
    unknown = ", ".join(f"{c.kind} {c.name!r}" for c in others)
    meant = dict.fromkeys(filter(None, (kind_meant(c.kind, KINDS) for c in others)))
    return replace(
        status,
        status="ok" if known else "incompatible",
        reason=f"of a kind that this genmod does not know: {unknown}",
        hint=(f"did you mean {' and '.join(meant)}? else " if meant else "")
        + f"pip install --upgrade {OWN_DISTRIBUTION}",
    )


def _incompatible(status: PluginStatus, group: str) -> PluginStatus:
    # As text: numbers of thousands of digits are refused, and these come from files of others.
    given, known = (each.rpartition("v")[2].lstrip("0") for each in (group, GROUP))
    newer = (len(given), given) > (len(known), known)
    return replace(
        status,
        status="incompatible",
        reason=f"it is made for {group:.40}, this genmod has {GROUP}",
        hint=f"pip install --upgrade {OWN_DISTRIBUTION if newer else status.distribution}",
    )


def _broken(status: PluginStatus, error: BaseException) -> PluginStatus:
    reason, hint = (error.message, error.hint) if isinstance(error, GenmodError) else (cause(error), "")
    default = f"pip install --upgrade {status.distribution}; GENMOD_STRICT_PLUGINS=1 genmod plugins shows why"
    return replace(status, status="broken", reason=reason, hint=hint or default)
