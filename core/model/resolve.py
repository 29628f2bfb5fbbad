"""From names and options to classes and validated values; done once, and kept with the specification."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from genmod.defaults import RECIPE
from genmod.errors import UsageError
from genmod.options.schema import to_json, validate_many
from genmod.registry.lookup import Registry, current_registry
from genmod.registry.migration import find_recorded, migrated
from genmod.registry.provided import Provided
from genmod.spec import MODEL_KINDS, ComponentSpec, ModelSpec, Resolved

__all__ = ["resolve", "resolve_kinds"]


def resolve(spec: ModelSpec, *, registry: Registry | None = None) -> ModelSpec:
    """Every name looked up, every option validated and filled in, and where each component comes from.

    What was found stays with the specification (:attr:`ModelSpec.resolved`) and is not looked up again, unless a registry
    is named. An encoder's mirror is not known until the encoder is built, so a network that was not named stays out.

    Raises:
        UsageError: a part is not chosen, a name is unknown, options are wrong: all of them in one error.
        PluginError: the plugin that provides a component is missing or broken.

    Example:
        >>> from genmod import compose
        >>> resolve(compose(latent=2)).resolved["objective"].options["beta"]
        Schedule.parse(1.0)
    """
    missing = [
        kind for kind in (*MODEL_KINDS, "dataset") if kind not in spec.components and kind != "network"
    ]
    if missing:
        raise UsageError(
            f"no {', '.join(missing)} chosen",
            hint=f"start from a recipe, which has all parts: genmod build {RECIPE}",
        )
    return resolve_kinds(spec, tuple(spec.components), registry=registry)


def resolve_kinds(spec: ModelSpec, kinds: Sequence[str], *, registry: Registry | None = None) -> ModelSpec:
    """The components of some kinds resolved, as :func:`resolve` does it; what is known of the others stays.

    Raises:
        UsageError: a name is unknown, or options are wrong.
        PluginError: the plugin that provides a component is missing or broken.
    """
    if registry is None:
        kinds = [kind for kind in kinds if kind not in spec.resolved]
        registry = current_registry()
    if not kinds:
        return spec
    found = {kind: find_recorded(registry, kind, spec.components[kind]) for kind in kinds}
    classes = {kind: provided.load() for kind, provided in found.items()}
    values = validate_many(
        {kind: (classes[kind], migrated(found[kind], spec.components[kind])) for kind in kinds},
        labels={kind: f"{kind} {spec.components[kind].name}" for kind in kinds},
    )
    components = {kind: _recorded(found[kind], to_json(classes[kind], values[kind])) for kind in kinds}
    resolved = {kind: Resolved(classes[kind], values[kind]) for kind in kinds}
    new = replace(spec, components={**spec.components, **components})
    return new.with_resolved({**spec.resolved, **resolved})


def _recorded(provided: Provided, options: Mapping[str, Any]) -> ComponentSpec:
    component = provided.component
    name = component.name if provided.builtin else provided.qualified
    return ComponentSpec(name, options, provided.distribution, provided.version, component.revision)
