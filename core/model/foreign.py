"""Parts of a model that are given in Python: modules, distributions, functions and classes in place of names.

They are described in ``model.json`` by their type, which is never imported, and have to be given again when the model is
loaded: ``genmod.load(directory, encoder=module)``. A class is made with options, which are kept.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.distributions import Distribution

from genmod.errors import UsageError
from genmod.interfaces.critic import Critic
from genmod.interfaces.decoder import Decoder
from genmod.interfaces.divergence import Divergence
from genmod.interfaces.encoder import Encoder
from genmod.interfaces.model import GenerativeModel
from genmod.interfaces.network import Network
from genmod.interfaces.objective import Objective
from genmod.interfaces.posterior import Posterior
from genmod.interfaces.prior import Prior
from genmod.model.foreign_parts import (
    ForeignDecoder,
    ForeignEncoder,
    ForeignNetwork,
    ForeignPrior,
    named,
    output_shape,
)
from genmod.options.schema import to_json, validate_many
from genmod.spec import ComponentSpec, ModelSpec, Resolved

__all__ = [
    "check_modules",
    "foreign_kinds",
    "given_shape",
    "is_double",
    "is_named",
    "made_part",
    "with_classes",
]

_CLASSES: dict[str, type[Any]] = {
    "encoder": Encoder,
    "posterior": Posterior,
    "prior": Prior,
    "decoder": Decoder,
    "network": Network,
    "divergence": Divergence,
    "objective": Objective,
    "critic": Critic,
    "model": GenerativeModel,
}
_ALSO = {
    "encoder": "a torch module from x (B, …) to features (B, …)",
    "network": "a torch module from latents (B, …) to parameters (B, …)",
    "prior": "a torch distribution of one latent, or a module that returns one",
    "decoder": "a function or module from parameters (B, …) to a torch distribution of x",
}


def is_named(given: Any) -> bool:
    """Whether a part is given by its name, or by a table with one."""
    return isinstance(given, str | Path | ComponentSpec | Mapping)


def foreign_kinds(spec: ModelSpec) -> list[str]:
    """The parts of a model that were given in Python, data aside."""
    return [kind for kind, part in spec.components.items() if part.module and kind != "dataset"]


def check_modules(spec: ModelSpec, modules: Mapping[str, Any], where: str) -> None:
    """Refuse to make a model without the parts that were given in Python, or with others.

    Args:
        spec: of the model.
        modules: what is given, by kind.
        where: the directory, as it is typed.

    Raises:
        UsageError: names those that are missing, and what to type.
    """
    wanted = foreign_kinds(spec)
    extra = [kind for kind in modules if kind not in wanted]
    if extra:
        raise UsageError(
            f"modules are given for {', '.join(map(str, extra))}; this model was given "
            f"{', '.join(wanted) or 'none'} in Python, and names its other parts"
        )
    missing = [kind for kind in wanted if kind not in modules]
    if missing:
        parts = ", ".join(f"{kind} ({spec.components[kind].module})" for kind in missing)
        typed = ", ".join(
            f"{kind}={spec.components[kind].name if spec.components[kind].of_class else '…'}"
            for kind in wanted
        )
        raise UsageError(
            f"the model has parts that were given in Python and are not in its directory: {parts}",
            hint=f"give them again, in Python: genmod.load({where!r}, {typed})",
        )


def with_classes(spec: ModelSpec, modules: Mapping[str, Any]) -> ModelSpec:
    """The specification with the classes that are given for its parts, and their options, validated.

    Raises:
        UsageError: wrong options, or a class of another kind.
    """
    given = {kind: each for kind, each in modules.items() if isinstance(each, type)}
    if not given:
        return spec
    for kind, cls in given.items():
        if not issubclass(cls, _CLASSES[kind]):
            made_part(kind, cls)
        if missing := sorted(getattr(cls, "__abstractmethods__", ())):
            raise UsageError(
                f"{kind} is given as the class {cls.__qualname__}, which does not define {', '.join(missing)}"
            )
    values = validate_many(
        {kind: (cls, spec.components[kind].options) for kind, cls in given.items()},
        labels={kind: f"{kind} {cls.__qualname__}" for kind, cls in given.items()},
    )
    components = {
        kind: replace(spec.components[kind], options=to_json(cls, values[kind]), of_class=True)
        for kind, cls in given.items()
    }
    new = replace(spec, components={**spec.components, **components})
    return new.with_resolved(
        {**spec.resolved, **{kind: Resolved(cls, values[kind]) for kind, cls in given.items()}}
    )


def made_part(kind: str, given: Any, *wiring: Any, parameter_shape: tuple[int, ...] | None = None) -> Any:
    """A part of a model from what was given for it; genmod's own classes are taken as they are.

    Args:
        kind: of the part.
        given: a module, a distribution or a function.
        wiring: what a component of this kind is constructed with.
        parameter_shape: of a likelihood, where the network is given too.

    Raises:
        UsageError: it cannot be such a part; says what can.
    """
    if isinstance(given, _CLASSES[kind]):
        return given
    _check_precision(kind, given)
    takes = isinstance(given, nn.Module) or (callable(given) and not isinstance(given, type))
    if kind == "encoder" and takes:
        return ForeignEncoder(given, *wiring)
    if kind == "network" and takes:
        return ForeignNetwork(given, *wiring)
    if kind == "prior" and isinstance(given, Distribution | nn.Module):
        return ForeignPrior(given, *wiring)
    if kind == "decoder" and takes:
        return ForeignDecoder(given, *wiring, parameter_shape=parameter_shape)
    own = f"genmod.{_CLASSES[kind].__name__}"
    raise UsageError(
        f"{kind} is given as a {ComponentSpec.given(given).module}; allowed are a name, a table with a name, a class or an "
        f"instance of {own}{', or ' + _ALSO[kind] if kind in _ALSO else ''}",
        hint=f"derive it from {own}, or give an instance"
        if isinstance(given, type)
        else f"genmod list {kind}",
    )


def is_double(modules: Iterable[Any]) -> bool:
    """Whether one of the parts that were given is in double precision, as the model is to be then."""
    return torch.float64 in _precisions(modules)


def _precisions(modules: Iterable[Any]) -> set[torch.dtype]:
    return {
        p.dtype
        for each in modules
        if isinstance(each, nn.Module)
        for p in each.parameters()
        if p.is_floating_point()
    }


def _check_precision(kind: str, given: Any) -> None:
    low = _precisions([given]) & {torch.float16, torch.bfloat16}
    if low:
        raise UsageError(
            f"{named(kind, given)} has weights of {low.pop()}; densities lose whole nats in less than single precision",
            hint="give module.float(); genmod.train(model, data, precision='bf16') runs networks in half precision",
        )


def given_shape(network: Any, in_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """What a likelihood that is given is told of the network that is given with it; nothing where none is."""
    if network is None:
        return {}
    if isinstance(network, Network):
        return {"parameter_shape": network.out_shape}
    return {"parameter_shape": output_shape(network, named("network", network), in_shape)}
