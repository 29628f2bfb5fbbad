"""Composing specifications, and building models from them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genmod.defaults import RECIPE
from genmod.errors import UsageError
from genmod.options.kinds import kinds_hint
from genmod.registry.lookup import Registry, current_registry
from genmod.registry.paths import dataset_at
from genmod.spec import SPEC_KINDS, ComponentSpec, ModelSpec
from genmod.system.files import read_text

if TYPE_CHECKING:
    from genmod.model.latent_variable import LatentVariableModel

__all__ = ["build", "compose"]


def compose(
    recipe: str | None = None,
    *,
    file: Path | None = None,
    text: str | None = None,
    components: Mapping[str, Any] | None = None,
    latent: int | str | tuple[int, ...] | None = None,
    settings: Mapping[str, Any] | None = None,
    condition: str | Sequence[str] | None = None,
    registry: Registry | None = None,
) -> ModelSpec:
    """A specification from a recipe or a TOML file, with parts and options replaced; components are not looked up.

    Args:
        recipe: name of a recipe; ``vae`` by default.
        file: a TOML file, whose entries replace those of the recipe.
        text: TOML text in place of a file.
        components: by kind, a name or a table ``{"name": …, option: value}``.
        latent: number of latent dimensions, or their shape.
        settings: options by dotted path, such as ``{"encoder.channels": (32, 64)}``.
        condition: what the model is conditioned on: ``label``, or names of factors.
        registry: registry of the recipe; the current one by default.

    Raises:
        UsageError: an unknown recipe, part or path, or values of the wrong form.

    Example:
        >>> spec = compose("vae", components={"encoder": "mlp"}, settings={"encoder.hidden": [64]})
        >>> spec.components["encoder"].options
        {'hidden': [64]}
    """
    registry = registry or current_registry()
    found = registry.find("recipe", recipe or RECIPE)
    spec = ModelSpec.from_toml(
        found.text(), recipe=found.component.name, where=f"recipe {found.component.name!r}"
    )
    if file is not None:
        text = read_text(file, "specification")
    if text is not None:
        own = ModelSpec.from_toml(text, where=str(file or "the standard input"))
        for kind, part in own.components.items():
            spec = spec.with_component(kind, part)
        spec = ModelSpec(
            spec.components, own.latent, condition=own.condition, named=frozenset(own.components)
        )
    for kind, component in (components or {}).items():
        path = isinstance(component, str | Path) and kind == "dataset"
        spec = spec.with_component(kind, (path and dataset_at(component, registry)) or component)
    spec = replace(spec, named=spec.named | set(components or {}), settings=dict(settings or {}))
    spec = spec.without_parts()
    if latent is not None and "model" in spec.components:
        raise UsageError(
            f"model {spec.components['model'].name!r} has no latents, and --latent is {latent}",
            hint="leave out the number of latents; genmod show model NAME lists the options of a model",
        )
    if latent is not None:
        spec = spec.with_latent(latent)
    if condition is not None:
        spec = spec.with_condition(condition)
    return spec.with_options(settings or {})


def build(
    recipe: str = RECIPE,
    *,
    data: Any = None,
    latent: int | str | tuple[int, ...] | None = None,
    settings: Mapping[str, Any] | None = None,
    condition: str | Sequence[str] | None = None,
    seed: int = 0,
    root: Path | str | None = None,
    source: str | None = None,
    **components: Any,
) -> "LatentVariableModel":
    """Assemble a model from named components, and from modules, distributions and functions of your own.

    In place of a name, ``encoder`` and ``network`` may be a torch module, ``prior`` a torch distribution, ``decoder`` a
    function or module from parameters to one; or any part an instance of genmod's own class for it. Shapes are found by
    running them on two examples, and become part of the model as they are, with the weights that they have. In evaluation
    mode the result of an example must not depend on the others in its batch. Any part may also be a class that is derived
    from genmod's own, from a notebook too: it is made with the options of ``settings``, as a named one is. What was given in
    Python cannot be loaded by name: ``genmod.load(directory, encoder=MyEncoder)`` is given it again.

    Posterior, prior, divergence and objective that are not named are exchanged where those of the recipe do not fit the parts
    that are: :func:`genmod.model.adapt.adapted` says how. A :class:`genmod.errors.ChoiceWarning` says what was chosen.

    Args:
        recipe: name of the recipe; other arguments replace its parts. An encoder and a decoder that are not named are
            replaced where they do not suit data of your own: tables get an encoder of vectors and a likelihood of columns.
        data: name of a dataset, or a table ``{"name": …, option: value}``; the path of a file or folder; or data themselves,
            a tensor, an array, a DataFrame, a torch dataset or loader, or splits by name, as :func:`genmod.as_dataset` takes
            them.
        latent: number of latent dimensions, or their shape.
        settings: options by dotted path, as on the command line.
        condition: what the model is conditioned on: ``label``, or names of factors.
        seed: of the initial weights.
        root: folder with data files.
        source: ``FORMAT:FOLDER``, a model of another library, whose parts and weights are taken; the other parts come from a
            recipe.
        **components: by kind (encoder, posterior, prior, decoder, network, divergence, objective, critic, dataset), a
            name or a table, or what was said above. ``model``, a name or a table, is whole and takes the place of all parts.

    Returns:
        The model, with fresh weights or those of the source, on the CPU; where a ``model`` is named, it is that
        :class:`genmod.GenerativeModel`.

    Raises:
        UsageError: unknown names, wrong options, parts that do not fit.
        PluginError: a plugin is missing or broken.
        FileError: there is no model at the source, or it is damaged.

    Example:
        >>> model = build(encoder="mlp", prior="normal", latent=2, settings={"objective.beta": 4.0})
        >>> model.latent_shape
        (2,)
        >>> import torch
        >>> build(data=torch.rand(60, 8, 8), encoder="mlp").data.shape
        (1, 8, 8)
        >>> from torch import nn
        >>> from torch.distributions import Laplace
        >>> model = build(
        ...     data=torch.randn(60, 5),
        ...     encoder=nn.Sequential(nn.Linear(5, 16), nn.ReLU()),
        ...     network=nn.Linear(2, 5),
        ...     decoder=lambda parameters: Laplace(parameters, 1.0),
        ...     latent=2,
        ... )
        >>> model.decode(torch.zeros(3, 2)).log_prob(torch.zeros(3, 5)).shape
        torch.Size([3])
    """
    from genmod.model.adapt import warn_of_choice, with_fitting_parts
    from genmod.model.assembly import assemble
    from genmod.model.foreign import is_named
    from genmod.model.suggest import suggested, with_data

    if isinstance(data, str | Path | ComponentSpec) or (
        isinstance(data, Mapping) and isinstance(data.get("name"), str)
    ):
        components["dataset"] = data
    elif data is not None:
        components["dataset"] = ComponentSpec.given(data)

    # A class is made here, with options; an instance becomes part of the model as it is.
    modules = {kind: each for kind, each in components.items() if not is_named(each)}
    components |= {kind: ComponentSpec.given(each) for kind, each in modules.items()}
    if "model" in modules and not isinstance(modules["model"], type):
        raise UsageError(
            f"model is given as a {ComponentSpec.given(modules['model']).module}; allowed are a name, a table or a class",
            hint="a model that is made already needs no building: genmod.train(model, data)",
        )
    unknown = sorted(set(components) - set(SPEC_KINDS))
    if unknown:
        raise UsageError(
            f"{', '.join(map(repr, unknown))}: not a part of a model",
            hint=kinds_hint(unknown, SPEC_KINDS, "the parts are"),
        )
    incoming = None
    if source is not None:
        from genmod.model.incoming import assemble_incoming, read_source, with_parts

        incoming = read_source(source)
        components = with_parts(incoming, components, latent, source)
        latent, recipe = incoming.latent, incoming.recipe if recipe == RECIPE else recipe
    spec = compose(recipe, components=components, latent=latent, settings=settings, condition=condition)
    if spec.components["dataset"].module:
        from genmod.data.sources import as_dataset

        info = as_dataset(data).info
        spec = suggested(spec, info)
    else:
        spec, info = with_data(spec, root)

    def made(spec: ModelSpec) -> "LatentVariableModel":
        if incoming is not None and source is not None:
            return assemble_incoming(spec, info, incoming, source, seed=seed)
        return assemble(spec, info, seed=seed, modules=modules)

    return with_fitting_parts(spec, info, made, warn_of_choice)
