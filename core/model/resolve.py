"""Resolving a specification: its names to classes, its options to validated values."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from genmod.defaults import RECIPE
from genmod.errors import UsageError
from genmod.options.declared import declared
from genmod.options.schema import to_json, validate_many
from genmod.registry.lookup import Registry, current_registry
from genmod.registry.migration import find_recorded, migrated
from genmod.registry.provided import Provided
from genmod.spec import PART_KINDS, ComponentSpec, ModelSpec, Resolved

__all__ = ["GivenInPython", "recorded", "resolve", "resolve_kinds"]


class GivenInPython:
    """Stands for the class of a part that was given in Python as an instance, which has no options."""

    wants_context = False


def resolve(spec: ModelSpec, *, registry: Registry | None = None) -> ModelSpec:
    """The specification with all names looked up, all options validated, and the provider of each component.

    The classes and values are kept in :attr:`ModelSpec.resolved` and are not looked up again, unless a registry is given.
    A network that is not named is the mirror of the encoder, which is known only once the encoder is built.

    Raises:
        UsageError: parts that are not chosen, unknown names, or wrong options; the message lists all of them.
        PluginError: the plugin that provides a component is missing or broken.

    Example:
        >>> from genmod import compose
        >>> resolve(compose(latent=2)).resolved["objective"].options["beta"]
        Schedule.parse(1.0)
    """
    spec = spec.without_parts() if spec.components.keys() & set(PART_KINDS) else spec
    if spec.missing:
        raise UsageError(
            f"no {', '.join(spec.missing)} chosen",
            hint=f"start from a recipe, which has all parts: genmod build {RECIPE}",
        )
    return resolve_kinds(spec, tuple(spec.components), registry=registry)


def resolve_kinds(spec: ModelSpec, kinds: Sequence[str], *, registry: Registry | None = None) -> ModelSpec:
    """The specification with the components of some kinds resolved, as by :func:`resolve`.

    Raises:
        UsageError: a name is unknown, or options are wrong.
        PluginError: the plugin that provides a component is missing or broken.
    """
    if registry is None:
        kinds = [kind for kind in kinds if kind not in spec.resolved]
        registry = current_registry()
    if not kinds:
        return spec
    given = {
        kind: spec.resolved.get(kind, Resolved(GivenInPython, {}))
        for kind in kinds
        if spec.components[kind].module
    }
    kinds = [kind for kind in kinds if kind not in given]
    found = {kind: find_recorded(registry, kind, spec.components[kind]) for kind in kinds}
    classes = {kind: provided.load() for kind, provided in found.items()}
    values = validate_many(
        {kind: (classes[kind], migrated(found[kind], spec.components[kind])) for kind in kinds},
        labels={kind: f"{kind} {spec.components[kind].name}" for kind in kinds},
    )
    components = {kind: recorded(found[kind], classes[kind], values[kind]) for kind in kinds}
    resolved = {kind: Resolved(classes[kind], values[kind]) for kind in kinds}
    new = replace(spec, components={**spec.components, **components})
    return new.with_resolved({**spec.resolved, **given, **resolved})


def recorded(provided: Provided, cls: type[Any], options: Mapping[str, Any]) -> ComponentSpec:
    """A component with validated options as it is saved with a model."""
    component = provided.component
    return ComponentSpec(
        component.name if provided.builtin else provided.qualified,
        to_json(cls, options),
        provided.distribution,
        provided.version,
        component.revision,
        declared={} if provided.builtin else declared(cls),
    )
