"""From a specification to a model: every fit is checked before anything is allocated."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Any, cast

import torch
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from genmod.data.conditions import Conditions, joined_shape
from genmod.data.dataset import DataInfo, Dataset, default_root
from genmod.data.suited import suited
from genmod.distributions.codes import Codebook
from genmod.distributions.unvalidated import unvalidated
from genmod.errors import DataError, GenmodError, PluginError, UsageError
from genmod.interfaces.part import Part
from genmod.model.coded import PriorOfCodes, shape_of_prior
from genmod.model.fits import check_fits
from genmod.model.foreign import check_modules, foreign_kinds, given_shape, is_double, made_part, with_classes
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.resolve import resolve, resolve_kinds
from genmod.model.table_input import TableInput
from genmod.model.traits import check_classes
from genmod.registry.file_plugin import is_local
from genmod.registry.file_version import shortened
from genmod.registry.lookup import Registry, current_registry, use_registry
from genmod.spec import ModelSpec
from genmod.system.failures import line_in
from genmod.system.memory import physical_memory
from genmod.system.random import seed_for, seeded

__all__ = ["assemble", "blueprint", "constructed", "encoder_shape", "open_dataset"]

_MAX_PARTS = 5000
_MAX_PARAMETERS = 20_000_000_000
_SMALL_PARAMETERS = 2**22
_SMALL_VALUES = 2**18


def open_dataset(
    spec: ModelSpec, root: Any = None, *, info: DataInfo | None = None, registry: Registry | None = None
) -> Dataset:
    """The dataset that a specification names.

    Args:
        spec: names and options.
        root: folder with data files.
        info: what a model was built for; the data are then brought to that, see :func:`genmod.data.suited.suited`.
        registry: where names are looked up; the current one by default.

    Raises:
        UsageError: an unknown name or wrong options.
        DataError: the data do not suit the model.
    """
    module = spec.components["dataset"].module if "dataset" in spec.components else ""
    if module:
        raise DataError(
            f"the model was built for data that were given in Python, a {module}",
            hint="give them again: genmod.train(model, data), genmod.evaluate(model, data)\n"
            "or train on others: genmod train DIR --data NAME",
        )
    spec = resolve_kinds(spec, ("dataset",), registry=registry)
    found = spec.resolved["dataset"]
    dataset: Dataset = found.cls(default_root(root), **deepcopy(dict(found.options)))
    dataset.opened_as = spec.components["dataset"].to_json()
    if info is None:
        return dataset
    dataset.known = info
    return suited(dataset, info, spec.condition)


def assemble(
    spec: ModelSpec,
    data: DataInfo,
    *,
    seed: int = 0,
    registry: Registry | None = None,
    check: Callable[[LatentVariableModel], None] | None = None,
    modules: Mapping[str, Any] | None = None,
) -> LatentVariableModel:
    """The model that a specification describes, with freshly drawn weights.

    Args:
        spec: names and options; resolved here.
        data: shape and range of the data.
        seed: of the initial weights.
        registry: where names are looked up; the current one by default.
        check: is given the model without memory, and may refuse it.
        modules: the parts that were given in Python, by kind; they are made part of the model, not copied.

    Raises:
        UsageError: parts that do not fit each other or the data, or take more memory than there is; nothing
            has been allocated then.
        PluginError: a plugin is missing or broken.
    """
    if modules or foreign_kinds(spec):
        return _with_modules(spec, data, modules or {}, seed, registry, check)
    planned = blueprint(spec, data, registry=registry)
    if check is not None:
        check(planned)
    _check_memory(planned)
    with seeded(seed_for(seed, "weights")), use_registry(registry or current_registry()):
        model = constructed(planned.spec, data)
    model.weights_seed = seed
    return model


def _with_modules(
    spec: ModelSpec,
    data: DataInfo,
    modules: Mapping[str, Any],
    seed: int,
    registry: Registry | None,
    check: Callable[[LatentVariableModel], None] | None,
) -> LatentVariableModel:
    """A model with parts that have memory already, so that it is tried as it is."""
    check_modules(spec, modules, "DIR")
    spec = resolve(with_classes(spec, modules), registry=registry)
    with use_registry(registry or current_registry()):
        with seeded(seed_for(seed, "weights")):
            model = constructed(spec, data, modules)
        if is_double(modules.values()):
            model.double()
        if model.has_latents:
            with seeded(0), unvalidated():
                check_fits(model)
    if check is not None:
        check(model)
    return model


def _check_memory(planned: LatentVariableModel) -> None:
    takes, there = sum(t.nbytes for t in planned.state_dict().values()), physical_memory()
    if takes > there:
        raise UsageError(
            f"the weights of the model would take {takes / 2**30:,.1f} GiB; this machine has {there / 2**30:,.1f} GiB",
            hint="choose fewer or narrower layers, or fewer latents",
        )


def blueprint(spec: ModelSpec, data: DataInfo, *, registry: Registry | None = None) -> LatentVariableModel:
    """The model without memory for its weights (on torch's ``meta`` device), all fits checked.

    Raises:
        UsageError: as :func:`assemble`.
    """
    spec, registry = resolve(spec, registry=registry), registry or current_registry()
    with unvalidated(), use_registry(registry):
        try:
            with torch.device("meta"), _few_parts():
                model = constructed(spec, data)
            _check_fits(model)
        except (RuntimeError, TypeError) as error:
            if "overflow" in str(error).lower():
                raise UsageError(
                    "the model would be too large for any memory", hint="choose smaller numbers"
                ) from error
            raise
    return model


def _check_fits(planned: LatentVariableModel) -> None:
    """Check that the parts of a model without memory fit each other, by a copy with weights where that is small.

    The first product on the ``meta`` device imports torch's compiler, which takes longer than all the rest.
    """
    count = sum(p.numel() for p in planned.parameters())
    if count > _MAX_PARAMETERS:
        raise UsageError(
            f"the model would have {count:,} parameters; at most {_MAX_PARAMETERS:,} are allowed"
        )
    if not planned.has_latents:
        # It is whole: nothing has to fit but the data, which it has seen.
        return
    values = max(planned.data.size, math.prod(planned.decoder.parameter_shape))
    if count > _SMALL_PARAMETERS or values > _SMALL_VALUES:
        with torch.device("meta"):
            check_fits(planned)
    else:
        with seeded(0):
            check_fits(constructed(planned.spec, planned.data))


@contextmanager
def _few_parts() -> Iterator[None]:
    """Inside, a component that goes on making layers is stopped, whatever it is made of."""
    made = itertools.count(1)

    def count(*_: Any) -> None:
        if next(made) > _MAX_PARTS:
            raise UsageError(
                f"the model would have more than {_MAX_PARTS:,} layers and parameters",
                hint="choose fewer layers; genmod show KIND NAME lists the options",
            )

    hooks = [
        register_module_module_registration_hook(count),
        register_module_parameter_registration_hook(count),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def encoder_shape(spec: ModelSpec, data: DataInfo) -> tuple[int, ...]:
    """Shape of what an encoder is given: the data, marks of what is missing, and conditions."""
    shape = (2 * data.shape[0], *data.shape[1:]) if data.missing else data.shape
    if data.columns:
        shape = (TableInput(data).width,)
    return joined_shape(shape, Conditions(spec.condition, data).size if spec.condition else 0)


def constructed(
    spec: ModelSpec,
    data: DataInfo,
    modules: Mapping[str, Any] = {},
    made: dict[tuple[Any, ...], Any] | None = None,
) -> LatentVariableModel:
    """The model of a resolved specification, nothing checked.

    Args:
        spec: resolved.
        data: shape and range of the data.
        modules: the parts that were given in Python, by kind.
        made: parts of other models for the same data, by kind, name and shapes; those that belong to no single model are
            taken from there, and added to it.
    """

    def make(kind: str, *wiring: Any, **more: Any) -> Any:
        if made is None or more:
            return new(kind, *wiring, **more)
        key = (kind, spec.components[kind].name, wiring)
        part = made[key] if key in made else new(kind, *wiring)
        if type(part).bind is Part.bind:
            made[key] = part
        return part

    def new(kind: str, *wiring: Any, **more: Any) -> Any:
        part, found = spec.components[kind], spec.resolved[kind]
        if part.module and not isinstance(modules[kind], type):
            return made_part(kind, modules[kind], *wiring, **more)
        try:
            return found.cls(*wiring, **deepcopy(dict(found.options)))
        except GenmodError:
            raise
        except Exception as error:
            # Torch counts bytes in 64 bits, and says so in errors of several types.
            if "overflow" in str(error).lower():
                raise UsageError(
                    f"{kind} {part.name!r} would be too large for any memory",
                    hint=f"give smaller numbers than {dict(part.options)}",
                ) from error
            if part.provider == "genmod-torch" or part.module:
                raise
            where, local = line_in(found.cls.__module__, error), is_local(part.provider)
            remedy = "mend the file" if local else f"report it to the authors of {part.provider}"
            raise PluginError(
                f"{kind} {part.name!r} of {part.provider} {shortened(part.version)} failed while being built"
                f"{f' ({where})' if where else ''}: {error!r}",
                hint=f"{remedy}, or choose another: genmod list {kind}",
            ) from error

    if "model" in spec.components:
        # What works with latents refuses one without.
        return cast(LatentVariableModel, make("model", spec, data))
    conditions = Conditions(spec.condition, data) if spec.condition else None
    size = conditions.size if conditions else 0
    inputs = TableInput(data) if data.columns else None
    encoder = make("encoder", encoder_shape(spec, data))
    posterior = make("posterior", encoder.feature_shape, spec.latent)
    wants_context = spec.resolved["prior"].cls.wants_context
    wiring = [size] if wants_context else []
    if made is not None and isinstance(posterior, Codebook):
        # Whether a prior is one over classes shows with two of them, and some take long over a thousand.
        with suppress(_TooFew):
            check_classes(spec, _with_two_classes(make, posterior, wiring), posterior)
    prior = make("prior", shape_of_prior(posterior), *wiring)
    latent_shape = posterior.latent_shape
    if isinstance(posterior, Codebook):
        check_classes(spec, prior, posterior)
        prior = PriorOfCodes(prior, posterior, latent_shape)
    instance = spec.components["decoder"].module and not isinstance(modules["decoder"], type)
    given = modules.get("network") if instance else None
    decoder = make("decoder", data, **given_shape(given, joined_shape(prior.feature_shape, size)))
    if "network" not in spec.components:
        spec = _with_mirror(spec, encoder)
    network = make("network", joined_shape(prior.feature_shape, size), decoder.parameter_shape)
    model = LatentVariableModel(
        spec,
        data,
        encoder=encoder,
        posterior=posterior,
        prior=prior,
        network=network,
        decoder=decoder,
        divergence=make("divergence"),
        objective=make("objective"),
        critic=make("critic", data, posterior.latent_shape) if "critic" in spec.components else None,
        conditions=conditions,
        inputs=inputs,
    )
    for part in (
        encoder,
        posterior,
        prior,
        decoder,
        network,
        model.divergence,
        model.objective,
        model.critic,
    ):
        if part is not None:
            part.bind(model)
    return model


class _TooFew(Exception):
    """A prior is not there for so few classes."""


def _with_two_classes(make: Callable[..., Any], posterior: Codebook, wiring: list[int]) -> Any:
    try:
        return make("prior", (*posterior.shape, 2), *wiring)
    except GenmodError as error:
        raise _TooFew from error


def _with_mirror(spec: ModelSpec, encoder: Any) -> ModelSpec:
    mirror = encoder.mirror()
    if mirror is None:
        raise UsageError(
            f"encoder {spec.components['encoder'].name!r} has no mirror image to decode with",
            hint=f"name one with --network: {', '.join(current_registry().names('network'))}",
        )
    return resolve_kinds(spec.with_component("network", mirror).with_resolved(spec.resolved), ("network",))
