"""The installed component for one that a model recorded: missing, older, newer or changed."""

import warnings
from collections.abc import Mapping
from typing import Any

from genmod.errors import PluginError, PluginWarning, quoted
from genmod.options.declared import changes, declared
from genmod.registry.discovery import DISTRIBUTION_NAME, VERSION
from genmod.registry.errors import MissingPluginError, UnknownComponentError, to_install
from genmod.registry.file_plugin import is_local
from genmod.registry.file_version import same_program, shortened
from genmod.registry.loader import cause
from genmod.registry.lookup import Registry
from genmod.registry.provided import Provided
from genmod.spec import ComponentSpec
from genmod.system.installed import installed, normalised, version_of

__all__ = ["find_recorded", "migrated"]


def find_recorded(registry: Registry, kind: str, part: ComponentSpec) -> Provided:
    """The component that a specification names, in a version that can replace the recorded one.

    Raises:
        UsageError: an unknown name, in a specification that was typed, not saved.
        MissingPluginError: the distribution is not installed, or the file not given; says which version of it.
        PluginError: the installed version cannot be used instead.
    """
    try:
        provided = registry.find(kind, part.name)
    except MissingPluginError as error:
        raise _missing(part, error) from None
    except UnknownComponentError as error:
        if not part.revision:
            raise
        raise _lacking(kind, part, error) from None
    if is_local(provided.distribution) and part.version not in ("", provided.version):
        _check_file(registry, kind, part, provided)
    if part.revision > provided.component.revision:
        raise PluginError(
            f"{kind} {provided.name!r} was saved by {part.provider} {part.version} (revision {part.revision}); "
            f"installed is {provided.version}, which knows revision {provided.component.revision}",
            hint=f"pip install --upgrade {provided.distribution}",
        )
    return provided


def _check_file(registry: Registry, kind: str, part: ComponentSpec, provided: Provided) -> None:
    """Refuse a file whose program is not the one that a model was saved with, or warn where the user accepts that."""
    if same_program(part.version, provided.version):
        return
    when = registry.last_changed(provided.distribution)
    said = (
        f"{kind} {provided.name!r} was saved with another {provided.distribution}: {shortened(part.version)} then, "
        f"{shortened(provided.version)} now{f', last changed {when}' if when else ''}"
    )
    if not registry.accept_changed:
        raise PluginError(
            f"{said}; with it the model may compute something else",
            hint="to go on with the file as it is now, add --accept-changed (in Python: "
            "Registry(files=[...], accept_changed=True)); else give the file as it was",
        )
    if (told := (part.version, provided.version)) not in registry.told:
        registry.told.add(told)
        warnings.warn(f"{said}; it is used as it is now", PluginWarning, stacklevel=2)


def migrated(provided: Provided, part: ComponentSpec) -> Mapping[str, Any]:
    """The recorded options as the installed revision of the component understands them.

    Raises:
        PluginError: they are of an earlier revision, and the component does not convert them.
    """
    component = provided.component
    if part.revision in (0, component.revision):
        _tell_changes(provided, part)
        return part.options
    label = f"{component.kind} {component.name!r} of {provided.distribution} {provided.version}"
    saved = f"revision {part.revision} of its options, and it is at revision {component.revision}"
    hint = _pinned(part)
    migrate = getattr(provided.load(), "migrate", None)
    if migrate is None:
        raise PluginError(f"{label} cannot read {saved}: it has no migrate", hint=hint)
    try:
        options = migrate(dict(part.options), part.revision)
    except Exception as error:
        raise PluginError(f"{label} fails to convert {saved}: {cause(error)}", hint=hint) from error
    if not isinstance(options, Mapping):
        raise PluginError(
            f"{label} fails to convert {saved}: migrate returned a {type(options).__name__}", hint=hint
        )
    return options


def _tell_changes(provided: Provided, part: ComponentSpec) -> None:
    """Warn of options that are declared otherwise than when they were saved, at the same revision."""
    found = changes(part.declared, declared(provided.load())) if part.declared else []
    if found:
        component = provided.component
        warnings.warn(
            f"{component.kind} {component.name!r} was saved by {part.provider} {shortened(part.version)}; "
            f"{shortened(provided.version)} is installed, which differs in the {' and the '.join(found)}: the saved values "
            "are used, and may mean something else now",
            PluginWarning,
            stacklevel=2,
        )


def _missing(part: ComponentSpec, error: MissingPluginError) -> MissingPluginError:
    if not part.version:
        return error
    if is_local(part.provider):
        return MissingPluginError(
            f"{error.message}; the model was saved with {shortened(part.version)}",
            hint=f"give it: --plugin {quoted(part.provider)}",
        )
    return MissingPluginError(
        f"{error.message}; the model was saved with {part.version[:80]}", hint=_pinned(part) or error.hint
    )


def _lacking(kind: str, part: ComponentSpec, error: UnknownComponentError) -> PluginError:
    now = installed(part.provider) if DISTRIBUTION_NAME.fullmatch(part.provider) else None
    there = f"installed is {version_of(now)}" if now is not None else "that is not installed"
    return PluginError(
        f"{kind} {part.name[:80]!r} was saved by {part.provider[:80]} {part.version[:80]}; {there}, and {error.message}",
        hint="\n".join(filter(None, (_pinned(part), error.hint))),
    )


def _pinned(part: ComponentSpec) -> str:
    """The command that installs the recorded version; empty where the record is not safe to type."""
    if DISTRIBUTION_NAME.fullmatch(part.provider) and VERSION.fullmatch(part.version):
        return to_install(normalised(part.provider), part.version)
    return ""
