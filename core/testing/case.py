"""A component under test: how it is built, its inputs and its outputs."""

import copy
import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from genmod.distributions.probing import same_support
from genmod.errors import GenmodError, UndefinedError, UsageError
from genmod.interfaces.prior import Prior
from genmod.options.kinds import a_kind
from genmod.options.schema import validate
from genmod.registry.lookup import Registry
from genmod.registry.provided import Provided
from genmod.spec import ModelSpec
from genmod.system.random import seeded
from genmod.testing.cases import Cases
from genmod.testing.inputs import (
    DATA_SHAPES,
    FEATURE_SHAPES,
    INFOS,
    LATENT_SHAPES,
    PARAMETER_SHAPES,
    examples,
    jostle,
    points_or_draws,
    variants,
)
from genmod.testing.reference import DATA, ReferencePosterior, ReferencePrior, reference_model
from genmod.testing.trial import AROUND, Trial, mean_of, whole

__all__ = ["BATCH", "Case", "NotApplicable", "Trial", "mean_of", "whole"]

BATCH = 4

_SPREADS: dict[str, tuple[tuple[str, Iterable[Any]], ...]] = {
    "model": (("", (ModelSpec(),)), ("infos", INFOS)),
    "encoder": (("shapes", DATA_SHAPES),),
    "posterior": (("features", FEATURE_SHAPES), ("latents", LATENT_SHAPES)),
    "prior": (("latents", LATENT_SHAPES),),
    "decoder": (("infos", INFOS),),
    "network": (("latents", LATENT_SHAPES), ("outputs", PARAMETER_SHAPES)),
    "sampler": (("latents", LATENT_SHAPES),),
    "features": (("infos", INFOS),),
    "critic": (("infos", INFOS), ("latents", LATENT_SHAPES)),
}
"""Kind → for each positional parameter of its constructor, which field of its cases it is, and the usual values."""

_FEATURES, _CONTEXT = (7,), 3
"""Shape of features, and length of the context of conditional priors."""


class NotApplicable(Exception):
    """A law that does not apply to this component; the message says why."""


@dataclass(frozen=True)
class Case:
    """A component, with some of its options given.

    Args:
        kind: kind of the component.
        label: its name in reports, such as ``decoder/laplace``.
        source: the component, or its class.
        registry: where other components are looked up.
        options: those that are not at their defaults.
        root: folder with data files, for datasets.
        cases: what its author declares: shapes and options to try first.
    """

    kind: str
    label: str
    source: Provided | type[Any]
    registry: Registry
    options: Mapping[str, Any] = field(default_factory=dict)
    root: Path | None = None
    cases: Cases = field(default_factory=Cases)

    @property
    def provided(self) -> Provided | None:
        """The component; None for a class without a record."""
        return self.source if isinstance(self.source, Provided) else None

    @cached_property
    def cls(self) -> Any:
        """The class; PluginError where it cannot be loaded."""
        return self.source.load() if isinstance(self.source, Provided) else self.source

    @property
    def given(self) -> tuple[int, ...]:
        """Length of the context, the last positional argument of a conditional prior."""
        return (_CONTEXT,) if self.kind == "prior" and getattr(self.cls, "wants_context", False) else ()

    @property
    def declared(self) -> tuple[tuple[Any, ...], ...]:
        """Values that the author declares for each positional argument of the constructor."""
        return tuple(
            tuple(getattr(self.cases, name)) if name else () for name, _ in _SPREADS.get(self.kind, ())
        )

    @property
    def spreads(self) -> tuple[tuple[Any, ...], ...]:
        """Values to try for each positional argument of the constructor: those that the author declares, then the usual."""
        both = zip(self.declared, _SPREADS.get(self.kind, ()), strict=True)
        return tuple((*own, *(each for each in usual if each not in own)) for own, (_, usual) in both)

    def settings(self) -> Iterator[dict[str, Any]]:
        """The given options, with each choice among the others in turn, and the settings that the author declares."""
        yield from variants(self.cls, self.options)
        for setting in self.cases.settings:
            yield {**self.options, **setting}

    def with_options(self, options: Mapping[str, Any]) -> "Case":
        return replace(self, options=options)

    def build(self, *wiring: Any) -> Any:
        """The component; a prior that is made of other parts of a model is bound to one.

        Raises:
            UsageError: it refuses this wiring, or these options.
        """
        part = self.cls(*wiring, *self.given, **validate(self.cls, self.options, self.kind))
        if self.given:
            return _Conditioned(part)
        if self.kind == "prior" and type(part).bind is not Prior.bind:
            part.__dict__[AROUND] = (_model_around(part, self.registry),)
        return part

    def tried(self, *spreads: Iterable[Any]) -> Iterator[tuple[Any, tuple[Any, ...] | UsageError]]:
        """For every combination of wirings, the component and the wiring, or None and why it was refused."""
        for wiring in itertools.product(*(spreads or self.spreads)):
            try:
                yield self.build(*wiring), wiring
            except UsageError as error:
                yield None, error

    def accepted(self, *spreads: Iterable[Any]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
        """The component for every combination of wirings that it does not refuse, and the wiring.

        Raises:
            NotApplicable: it refuses all of them.
        """
        refusal: UsageError | None = None
        accepted = False
        for part, wiring in self.tried(*spreads):
            if isinstance(wiring, UsageError):
                refusal = wiring if refusal is None or isinstance(refusal, UndefinedError) else refusal
            else:
                accepted = True
                yield part, wiring
        if not accepted:
            raise NotApplicable(f"it refuses everything that was tried: {refusal.message if refusal else ''}")

    def trial(self, batch: int = BATCH) -> "Trial":
        """The component for the first wiring that it accepts, and fixed inputs for it.

        All parameters are moved off their start: a layer that starts at zero would hide what is below it.

        Raises:
            NotApplicable: a component of this kind, or without a density, has no inputs of its own.
        """
        part, wiring = next(self.accepted())
        jostle(part)
        companions: tuple[nn.Module, ...] = ()
        fixed = torch.Generator().manual_seed(1)

        def noise(*shape: int) -> Tensor:
            return torch.randn((batch, *shape), generator=fixed)

        match self.kind:
            case "encoder" | "network":
                inputs: tuple[Tensor, ...] = (noise(*wiring[0]),)
            case "posterior":
                inputs = (noise(*wiring[0]),)
                if part.has_density:
                    inputs += (points_or_draws(part.support, part(inputs[0]), (batch,), fixed),)
            case "prior":
                if not part.has_density:
                    raise NotApplicable("it declares has_density = False")
                inputs = (points_or_draws(part.support, part(), (batch,), fixed),)
            case "decoder":
                inputs = (noise(*part.parameter_shape), part.observe(examples(wiring[0], batch, fixed)))
            case "divergence":
                companions = next(self.pairs(part))
                z = companions[0](features := noise(*_FEATURES)).sample((3,))
                inputs = (features, z.movedim(1, 0))
            case _:
                raise NotApplicable(f"{a_kind(self.kind)} has no inputs of its own")
        return Trial(self.kind, part, tuple(each.detach() for each in inputs), companions)

    def pairs(self, part: Any = None, latent: tuple[int, ...] = (2,)) -> Iterator[tuple[Any, Any]]:
        """Pairs of a posterior and a prior on one support, both with densities; each is met once, because all are many.

        Args:
            part: a divergence that accepts the pairs; None where this component is one of each pair.
            latent: shape of the latents.

        Raises:
            NotApplicable: there is none.
        """
        own = self.provided.distribution if self.provided is not None and not self.provided.builtin else ""
        if self.kind not in ("posterior", "prior"):
            fitting = _fitting(self.registry, latent, own)
        else:
            mine, _ = next(self.accepted(*([each] for each in _wiring(self.kind, latent))))
            jostle(mine)
            others = _built(self.registry, "prior" if self.kind == "posterior" else "posterior", latent, own)
            pairs = [(mine, each) if self.kind == "posterior" else (each, mine) for each in others]
            fitting = [pair for pair in pairs if _fit(*pair)]
        met: set[nn.Module] = set()
        for pair in fitting:
            if met.issuperset(pair):
                continue
            # Copies, because checks convert them; building takes much longer than copying.
            q_of, p_of = copy.deepcopy(pair)
            try:
                if part is not None:
                    part.check(q_of(torch.zeros(1, *_FEATURES)), p_of())
            except UsageError:
                continue
            met.update(pair)
            yield q_of, p_of
        if not met:
            raise NotApplicable(
                "there is no posterior and prior with densities on one support that it works for"
            )


def _wiring(kind: str, latent: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    return (_FEATURES, latent) if kind == "posterior" else (latent,)


def _fit(q_of: Any, p_of: Any) -> bool:
    alike = q_of.has_density and p_of.has_density and q_of.latent_shape == p_of.latent_shape
    return alike and same_support(q_of.support, p_of.support, q_of.latent_shape)


@lru_cache(maxsize=8)
def _fitting(registry: Registry, latent: tuple[int, ...], own: str) -> list[tuple[Any, Any]]:
    """Every posterior with every prior that has a density on the same support."""
    made = (_built(registry, kind, latent, own) for kind in ("posterior", "prior"))
    return [pair for pair in itertools.product(*made) if _fit(*pair)]


@lru_cache(maxsize=16)
def _built(registry: Registry, kind: str, latent: tuple[int, ...], own: str) -> list[Any]:
    """The reference posterior or prior, the built-in ones, and those of one distribution; all moved off their start."""
    wiring = _wiring(kind, latent)
    with seeded(3):
        parts: list[Any] = [ReferencePosterior(*wiring) if kind == "posterior" else ReferencePrior(*wiring)]
        for provided in registry.components(kind):
            if provided.builtin or provided.distribution == own:
                with suppress(GenmodError):  # its own checks report its faults
                    parts.append(Case(kind, "", provided, registry).build(*wiring))
        for part in parts:
            jostle(part)
    return parts


class _Conditioned(Prior):
    """A conditional prior with a fixed context."""

    context: Tensor

    def __init__(self, prior: Prior) -> None:
        super().__init__(prior.latent_shape)
        self.prior = prior
        self.support, self.has_density = prior.support, prior.has_density
        # Every entry differs from zero, so that every weight has a gradient.
        self.register_buffer("context", torch.linspace(0.5, 1.5, _CONTEXT), persistent=False)

    def features(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return self.prior.features(z, self.context.expand(len(z), -1))

    def forward(self, context: Tensor | None = None) -> Distribution:
        return self.prior(self.context)  # type: ignore[no-any-return]


def _model_around(prior: Any, registry: Registry) -> nn.Module:
    """A model to bind the prior to, with a posterior on the prior's support where it declares one."""
    posteriors = [ReferencePosterior(DATA.shape, prior.latent_shape)]
    for provided in registry.components("posterior") if prior.support is not None else ():
        with suppress(GenmodError, TypeError):
            posteriors.append(provided.load()(DATA.shape, prior.latent_shape))
    fitting = [
        p
        for p in posteriors
        if prior.support is None or same_support(p.support, prior.support, prior.latent_shape)
    ]
    model = reference_model(
        latent=prior.latent_shape, prior=prior, posterior=(fitting or posteriors)[0]
    ).float()
    prior.bind(model)
    return model
