"""Compatibility: which combinations of posterior, prior, divergence and objective can be built."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import torch

from genmod.data.dataset import DataInfo
from genmod.defaults import BARE, DATASET, DECODER, RECIPE, SMALL, USUAL
from genmod.distributions.unvalidated import unvalidated
from genmod.errors import GenmodError
from genmod.interfaces.part import Part
from genmod.model.assembly import constructed
from genmod.model.build import compose
from genmod.model.fits import check_fits
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.resolve import resolve, resolve_kinds
from genmod.model.traits import check_losses
from genmod.options.schema import validate
from genmod.registry.lookup import Registry, current_registry, use_registry
from genmod.spec import ComponentSpec, ModelSpec
from genmod.system.random import seeded

__all__ = ["AXES", "LATENTS", "Cell", "combinations", "companions", "grid_spec"]

AXES = tuple(USUAL)

LATENTS: tuple[tuple[int, ...], ...] = ((16,), (3, 4), (2, 2, 4))
"""Latent shapes that are tried: vectors, as long as those of the default recipe, groups of classes, and maps of these."""


@dataclass(frozen=True)
class Cell:
    """A combination of components, and whether it can be built.

    Args:
        posterior: name of the posterior.
        prior: name of the prior.
        divergence: name of the divergence.
        objective: name of the objective.
        latent: the latent shape that it was tried with.
        reason: why it is refused; empty if it can be built.
        hint: what to choose instead.
    """

    posterior: str
    prior: str
    divergence: str
    objective: str
    latent: tuple[int, ...]
    reason: str = ""
    hint: str = ""

    @property
    def allowed(self) -> bool:
        return not self.reason

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"allowed": self.allowed, **asdict(self)}


def grid_spec(
    names: Sequence[str],
    latent: tuple[int, ...],
    *,
    decoder: Any = None,
    data: str = DATASET,
    registry: Registry | None = None,
) -> ModelSpec:
    """The specification of a small model with the four named components, in the order of :data:`AXES`.

    Example:
        >>> grid_spec(("normal", "normal", "kl", "elbo"), (4,)).components["encoder"].options
        {'hidden': [8]}
    """
    parts = dict(zip(AXES, names, strict=True))
    components = {**parts, "encoder": SMALL, "network": SMALL, "decoder": decoder or DECODER, "dataset": data}
    return compose(RECIPE, components=components, latent=latent, registry=registry)


def combinations(
    data: DataInfo,
    *,
    chosen: dict[str, Sequence[str]] | None = None,
    registry: Registry | None = None,
) -> Iterator[Cell]:
    """Every combination, and whether it can be built; parts are small, and each is made once.

    For each posterior and prior, one model is assembled. Divergences and objectives are then exchanged in it, with the
    checks of :func:`genmod.build` in the same order. The latent shape is the first that posterior and prior accept.

    Args:
        data: shape and range of the data; the decoder binarises grey pixels.
        chosen: names to try, by kind; all components of a kind that is left out.
        registry: where names are looked up; the current one by default.

    Raises:
        UsageError: an unknown name.
        PluginError: a component that cannot be loaded.

    Example:
        >>> chosen = {"posterior": ["delta"], "prior": ["none"], "divergence": ["none", "kl"], "objective": ["elbo"]}
        >>> [(cell.divergence, cell.allowed) for cell in combinations(DataInfo((2,), levels=2), chosen=chosen)]
        [('none', False), ('kl', False)]
    """
    registry = registry or current_registry()
    names = {kind: list((chosen or {}).get(kind, registry.names(kind))) for kind in AXES}
    yield from _Trials(data, registry).cells(names)


def companions(kind: str, name: str, data: DataInfo, *, registry: Registry | None = None) -> Cell | None:
    """A combination with a given component that can be built, and differs from the defaults in as few others as possible.

    Args:
        kind: one of :data:`AXES`.
        name: name of the component.
        data: shape and range of the data.
        registry: where names are looked up; the current one by default.

    Returns:
        None if there is none, as for a component that needs a condition.

    Example:
        >>> companions("posterior", "vmf", DataInfo((2,), levels=2)).prior
        'uniform-sphere'
    """
    registry = registry or current_registry()
    # Divergences and objectives first: they are exchanged in one model; a posterior or prior needs a new model.
    others = [axis for axis in reversed(AXES) if axis != kind]
    names = {axis: [name for name in registry.names(axis) if name != USUAL[axis]] for axis in others}
    if "divergence" in names:
        # A KL first, so that the model still has a bound.
        names["divergence"].sort(key=lambda name: not registry.find("divergence", name).load().is_kl)
    trials = _Trials(data, registry)
    if not getattr(registry.find(kind, name).load(), "has_density", True):
        # It goes only with divergences and objectives that need no density.
        usual = {axis: [USUAL[axis]] for axis in others}
        bare = {axis: [value] for axis, value in BARE.items() if axis in others}
        for cell in trials.cells({**usual, **bare, kind: [name]}):
            if cell.allowed:
                return cell
    for count in range(len(others) + 1):
        for free in itertools.combinations(others, count):
            chosen = {axis: [USUAL[axis]] for axis in others if axis not in free}
            chosen |= {axis: names[axis] for axis in free}
            for cell in trials.cells({**chosen, kind: [name]}):
                if cell.allowed:
                    return cell
    return None


class _Trials:
    """Models of small parts, each pair of a posterior and a prior put together once.

    They have memory: on the ``meta`` device a product takes a thousand times as long as with so few numbers.
    """

    def __init__(self, data: DataInfo, registry: Registry) -> None:
        self.data, self.registry = data, registry
        usual = USUAL | BARE
        self.base = resolve(grid_spec((*usual.values(),), LATENTS[0], registry=registry), registry=registry)
        self.parts: dict[tuple[str, str], Any] = {}
        self.made: dict[tuple[Any, ...], Any] = {}
        self.priors: dict[Any, Any] = {}
        self.pairs: dict[tuple[str, str], tuple[_Checks | None, tuple[int, ...], GenmodError]] = {}

    def cells(self, names: dict[str, list[str]]) -> Iterator[Cell]:
        """Every combination of these names, by kind, and whether it can be built."""
        specs = {(kind, name): self.resolved(kind, name) for kind in AXES[:2] for name in names[kind]}
        parts = {kind: [(name, self.part(kind, name)) for name in names[kind]] for kind in AXES[2:]}
        for posterior, prior in product(names["posterior"], names["prior"]):
            if (posterior, prior) not in self.pairs:
                found = specs["posterior", posterior], specs["prior", prior]
                self.pairs[posterior, prior] = self.pair(*found)
            check, latent, error = self.pairs[posterior, prior]
            for divergence, objective in product(parts["divergence"], parts["objective"]):
                refusal = check(divergence, objective) if check else (error.message, error.hint)
                yield Cell(posterior, prior, divergence[0], objective[0], latent, *refusal)

    def resolved(self, kind: str, name: str) -> ModelSpec:
        """A specification with that component, resolved."""
        return resolve_kinds(self.base.with_component(kind, name), (kind,), registry=self.registry)

    def part(self, kind: str, name: str) -> Any:
        if (kind, name) not in self.parts:
            cls = self.registry.find(kind, name).load()
            with unvalidated():
                self.parts[kind, name] = cls(**validate(cls, {}, kind))
        return self.parts[kind, name]

    def pair(
        self, posterior: ModelSpec, prior: ModelSpec
    ) -> tuple["_Checks | None", tuple[int, ...], GenmodError]:
        """The checks of the model of a posterior and a prior with its latent shape, or the error of the first shape."""
        spec = posterior.with_component("prior", prior.components["prior"]).with_resolved(
            {
                **self.base.resolved,
                "posterior": posterior.resolved["posterior"],
                "prior": prior.resolved["prior"],
            }
        )
        errors = []
        for latent in LATENTS:
            try:
                with seeded(0), unvalidated(), use_registry(self.registry):
                    shaped = spec.with_latent(latent).with_resolved(spec.resolved)
                    model = constructed(shaped, self.data, made=self.made)
                    check_fits(model)
                    return _Checks(model, self.priors), latent, GenmodError("")
            except GenmodError as error:
                errors.append(error)
        return None, LATENTS[0], errors[0]


class _Checks:
    """The checks of a build for one posterior and prior, with any divergence and objective."""

    def __init__(self, model: LatentVariableModel, priors: dict[Any, Any]) -> None:
        self.model = model
        # The names that errors say; a new specification for each combination would take longer than its checks.
        self.named = dict(model.spec.components)
        model.spec = replace(model.spec, components=self.named)
        self.refused: dict[str, GenmodError | None] = {}
        self.p = None
        with unvalidated():
            self.q = model.posterior(model.encoder(torch.zeros(2, *model.encoder.data_shape)))
            if model.prior.has_density:
                # One distribution for all models that share a prior: what is found out about it is found out once.
                shared = type(model.prior).bind is Part.bind
                self.p = (priors.get(model.prior) if shared else None) or model.prior(None)
                if shared:
                    priors[model.prior] = self.p

    def __call__(self, divergence: tuple[str, Any], objective: tuple[str, Any]) -> tuple[str, str]:
        """Why a combination is refused, and a hint; both empty if it is allowed."""
        for kind, (name, part) in (("divergence", divergence), ("objective", objective)):
            if getattr(self.model, kind) is not part:  # to exchange one takes longer than to look
                setattr(self.model, kind, part)
            self.named[kind] = ComponentSpec(name)
        try:
            check_losses(self.model)
            self._check_divergence(*divergence)
            with unvalidated():
                self.model.objective.check(self.model)
        except GenmodError as error:
            return error.message, error.hint
        return "", ""

    def _check_divergence(self, name: str, part: Any) -> None:
        if name not in self.refused:
            self.refused[name] = None
            try:
                if self.p is not None:
                    with unvalidated():
                        part.check(self.q, self.p)
            except GenmodError as error:
                self.refused[name] = error
        if (refused := self.refused[name]) is not None:
            raise refused
