"""Parts that nobody has named adapt to those that somebody has: only what was named is refused."""

import itertools
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from genmod.data.dataset import DataInfo
from genmod.defaults import BARE, USUAL
from genmod.distributions.codes import Codebook
from genmod.distributions.probing import same_support
from genmod.distributions.unvalidated import unvalidated
from genmod.errors import ChoiceWarning, FileError, GenmodError, UsageError
from genmod.interfaces.posterior import Posterior
from genmod.interfaces.prior import Prior
from genmod.model.assembly import blueprint, encoder_shape
from genmod.model.coded import shape_of_prior
from genmod.model.foreign import foreign_kinds
from genmod.model.traits import check_classes
from genmod.options.schema import OptionsError, validate
from genmod.registry.lookup import Registry, current_registry
from genmod.registry.provided import Provided
from genmod.spec import MODEL_KINDS, ModelSpec, Resolved
from genmod.system.random import seeded

__all__ = ["adapted", "named_kinds", "warn_of_choice", "with_fitting_parts"]

Made = TypeVar("Made")

_PART = re.compile(rf"\b({'|'.join(MODEL_KINDS)}) '([^']+)'")
_AXES = tuple(USUAL)
_SMALL = 1024


def with_fitting_parts(
    spec: ModelSpec,
    info: DataInfo,
    make: Callable[[ModelSpec], Made],
    say: Callable[[str], None],
    *,
    registry: Registry | None = None,
) -> Made:
    """What is made of a specification; if it is refused, of one whose unnamed parts are exchanged so that all fit.

    A specification that is accepted is never changed.

    Args:
        spec: resolved; its ``named`` are the parts that the user has chosen.
        info: of the data.
        make: makes a model, or refuses.
        say: is told what was exchanged, and why.
        registry: where names are looked up; the current one by default.

    Raises:
        UsageError: the parts that were named do not fit each other or the data.
    """
    try:
        return make(spec)
    except (OptionsError, FileError):
        # No other part mends an option or a file.
        raise
    except UsageError as refused:
        # Parts that were given in Python are tried as they are.
        attempt = make if foreign_kinds(spec) else None
        other = adapted(spec, info, refused, attempt, registry=registry)
        changes = _changes(spec, other)
        if not changes:
            # The parts fit; what is wrong is elsewhere, such as in weights that were to be taken.
            raise
        say(f"chosen to fit what was named: {changes}\n({refused.message})")
        return make(other)


def warn_of_choice(text: str) -> None:
    """Warn whoever called the function that builds the model, with a :class:`genmod.errors.ChoiceWarning`."""
    warnings.warn(text, ChoiceWarning, stacklevel=4)


def named_kinds(spec: ModelSpec) -> set[str]:
    """Kinds of the parts that the user has chosen: by name, by an option, or in Python."""
    given = {kind for kind, part in spec.components.items() if part.module}
    return {*spec.named, *(path.partition(".")[0] for path in spec.settings), *given}


def adapted(
    spec: ModelSpec,
    info: DataInfo,
    refused: UsageError,
    attempt: Callable[[ModelSpec], Any] | None = None,
    *,
    registry: Registry | None = None,
) -> ModelSpec:
    """A specification that can be built, with as few unnamed parts exchanged as possible.

    A divergence is exchanged for another estimate of the KL, or for none where nothing can have one; an objective for plain
    reconstruction; a prior for the one of the same name as the posterior, the only one on its support, or the only one there
    that learns nothing; a posterior for the one of the same name as the prior, or the only one on its support. Where a recipe
    has another part than the usual one, or than another estimate of the KL, that part is what it is about, and stays.

    Args:
        spec: resolved.
        info: of the data.
        refused: why it cannot be built.
        attempt: refuses what cannot be built; by default a model without memory is put together.
        registry: where names are looked up; the current one by default.

    Raises:
        UsageError: there is none, or several are as good; the message names what the user has named.

    Example:
        >>> from genmod.model.build import compose
        >>> from genmod.model.suggest import with_data
        >>> spec, info = with_data(compose(components={"posterior": "vmf", "encoder": "mlp"}))
        >>> adapted(spec, info, UsageError("")).components["prior"].name
        'uniform-sphere'
    """
    fixed = named_kinds(spec)
    registry = registry or current_registry()
    if {"posterior", "prior"} <= fixed and "draws latents in" in refused.message:
        raise _Search(spec, info, fixed, attempt or str, registry).apart(refused)
    if "model" in spec.components or set(_AXES) <= fixed:
        raise refused
    attempt = attempt or (lambda each: blueprint(each, info, registry=registry))
    search = _Search(spec, info, fixed, attempt, registry)
    found = search.best()
    if found is not None:
        return found
    raise search.refusal(refused)


@dataclass
class _Search:
    """The exchange of unnamed parts of one specification."""

    spec: ModelSpec
    info: DataInfo
    fixed: set[str]
    attempt: Callable[[ModelSpec], Any]
    registry: Registry

    def __post_init__(self) -> None:
        self.several: tuple[str, list[str]] | None = None
        self.providers = {
            "genmod-torch",
            *(self.spec.components[kind].provider for kind in self.fixed & set(_AXES)),
        }

    def best(self) -> ModelSpec | None:
        """The first specification that can be built; None if there is none, or no first one."""
        found = self._with_losses(self.spec)
        if found is not None:
            return found
        for kind, other in (("prior", "posterior"), ("posterior", "prior")):
            if kind in self.fixed or other not in self.fixed:
                continue
            if self.spec.components[kind].name != USUAL[kind]:
                # Another than the usual one is what its recipe is about.
                continue
            alike = self.spec.components[other].name
            there = {each.name for each in self._candidates(kind)}
            found = self._with_losses(self.spec.with_component(kind, alike)) if alike in there else None
            if found is not None:
                return found
            names = dict(self._on_the_support(kind))
            if self.spec.components[kind].name in names:
                # Where latents are is not what is wrong, and another one there would not help.
                continue
            plain = [name for name, learns in names.items() if not learns]
            if len(names) > 1 and kind == "prior" and len(plain) == 1:
                names = dict.fromkeys(plain, False)
            if len(names) == 1:
                return self._with_losses(self.spec.with_component(kind, *names))
            if names:
                self.several = kind, sorted(names)
        return None

    def refusal(self, refused: UsageError) -> UsageError:
        """Why nothing fits, in terms of what was named."""
        named = [f"{kind} {self.spec.components[kind].name!r}" for kind in _AXES if kind in self.fixed]
        if self.several is not None:
            kind, names = self.several
            return UsageError(
                f"{' and '.join(named)} {'go' if len(named) > 1 else 'goes'} with several {kind}s, and none was named: "
                f"{', '.join(names)}",
                hint="name one: " + " or ".join(f"--{kind} {name}" for name in names),
            )
        others = [kind for kind, _ in _PART.findall(refused.message) if kind not in self.fixed]
        if any(self.spec.components[kind].name != USUAL[kind] for kind in others if kind in USUAL):
            return refused
        recipes = self._recipes()
        hint = "\n".join(
            [refused.hint, *([f"or start from a recipe that has it: {recipes}"] if recipes else [])]
        )
        if not others or not named:
            refused.hint = hint
            return refused
        free = [kind for kind in _AXES if kind not in self.fixed]
        flags = " ".join(
            f"--{kind} {self.spec.components[kind].name}" for kind in _AXES if kind in self.fixed
        )
        grid = "" if foreign_kinds(self.spec) else f"; genmod grid {flags} shows what goes together"
        start = f", or start from a recipe that has it: {recipes}" if recipes else ""
        # What is said of the named parts alone: that a posterior draws its latents there, and not elsewhere.
        clauses = [
            each
            for each in re.split(r", (?:but|and) ", refused.message)
            if {kind for kind, _ in _PART.findall(each)} <= self.fixed and _PART.search(each)
        ]
        why = (
            clauses[0]
            if clauses
            else f"{' and '.join(named)} {'fit' if len(named) > 1 else 'fits'} none of the others"
        )
        return UsageError(
            f"{why}, and no {' or '.join(free)} for that could be chosen unasked",
            hint=f"name them{grid}{start}",
        )

    def apart(self, refused: UsageError) -> UsageError:
        """Why a posterior and a prior that were both named do not fit, and which would fit one of them."""
        lines = []
        for kind, other in (("prior", "posterior"), ("posterior", "prior")):
            found = sorted((name != USUAL[kind], name) for name, _ in self._on_the_support(kind))
            if names := f" or --{kind} ".join(name for _, name in found[:3]):
                chosen = self.spec.components[other].name
                more = f", and others: genmod grid --{other} {chosen}" if len(found) > 3 else ""
                lines.append(f"with {other} {chosen}: --{kind} {names}{more}")
        return UsageError(refused.message, hint="\n".join(lines) or refused.hint)

    def _with_losses(self, spec: ModelSpec) -> ModelSpec | None:
        """The specification with divergence and objective that fit, exchanged as little as possible."""
        for divergence, objective in sorted(
            itertools.product(self._divergences(), self._objectives()),
            key=lambda pair: sum(n > 0 for n, _ in pair),
        ):
            tried = spec
            for kind, (place, name) in (("divergence", divergence), ("objective", objective)):
                tried = tried.with_component(kind, name) if place else tried
            try:
                self.attempt(tried)
            except GenmodError as error:
                kinds = {kind for kind, _ in _PART.findall(error.message)}
                if kinds & {"posterior", "prior"} and not kinds & {"divergence", "objective"}:
                    # No other loss helps posterior and prior that do not fit each other.
                    return None
                continue
            return tried
        return None

    def _divergences(self) -> list[tuple[int, str]]:
        current = self.spec.components["divergence"].name
        if "divergence" in self.fixed:
            return [(0, current)]
        classes = {each.name: each.load() for each in self._candidates("divergence")}
        estimates = [name for name, cls in classes.items() if cls.is_kl]
        if current not in estimates:
            return [(0, current)]
        bare = [name for name, cls in classes.items() if not cls.needs_prior]
        return list(enumerate(dict.fromkeys([current, *estimates, *bare])))

    def _objectives(self) -> list[tuple[int, str]]:
        current = self.spec.components["objective"].name
        if "objective" in self.fixed or current != USUAL["objective"]:
            return [(0, current)]
        return [(0, current), (1, BARE["objective"])]

    def _on_the_support(self, kind: str) -> Iterator[tuple[str, bool]]:
        """The priors, or posteriors, on the support of the other one, which is kept, and whether the prior learns."""
        resolved = self.spec.resolved
        if {"encoder", "posterior", "prior"} & set(foreign_kinds(self.spec)):
            return
        with torch.device("meta"), unvalidated():
            encoder = resolved["encoder"].cls(
                encoder_shape(self.spec, self.info), **deepcopy(dict(resolved["encoder"].options))
            )
        # Small parts have memory: without, some of them import the compiler of torch, which takes longer than all the rest.
        size = max(math.prod(encoder.feature_shape), math.prod(self.spec.latent))
        with torch.device("meta" if size > _SMALL else "cpu"), seeded(0), unvalidated():
            if kind == "prior":
                posterior = self._posterior(resolved["posterior"], encoder)
                for each in self._candidates("prior"):
                    made = None if posterior is None else self._agreeing(posterior, each.load(), {})
                    if made is not None:
                        yield each.name, any(True for _ in made.parameters())
                return
            prior = resolved["prior"]
            for each in self._candidates("posterior"):
                posterior = self._posterior(
                    Resolved(each.load(), validate(each.load(), {}, each.name)), encoder
                )
                if posterior is not None and self._agreeing(posterior, prior.cls, prior.options):
                    yield each.name, False

    def _posterior(self, found: Resolved, encoder: Any) -> Posterior | None:
        try:
            made: Posterior = found.cls(
                encoder.feature_shape, self.spec.latent, **deepcopy(dict(found.options))
            )
        except (GenmodError, RuntimeError):
            return None
        return made

    def _agreeing(self, posterior: Posterior, cls: type[Any], options: Mapping[str, Any]) -> Prior | None:
        """A prior with a density where a posterior draws its latents; None if it has none there."""
        if cls.wants_context and not self.spec.condition:
            return None
        shape = shape_of_prior(posterior)
        if isinstance(posterior, Codebook):
            # Whether it is one over classes does not depend on how many there are.
            shape = (*shape[:-1], 2)
        try:
            prior: Prior = cls(shape, **deepcopy(dict(options or validate(cls, {}, "prior"))))
            if isinstance(posterior, Codebook):
                check_classes(self.spec, prior, posterior)
                return prior if prior.has_density else None
        except (GenmodError, RuntimeError, TypeError):
            return None
        supports = posterior.support, prior.support
        same = None not in supports and same_support(*supports, posterior.latent_shape)  # type: ignore[arg-type]
        return prior if same else None

    def _candidates(self, kind: str) -> Iterator[Provided]:
        """Built-in components, and those of the plugins whose parts were named: no other plugin changes what is chosen."""
        for each in self.registry.components(kind):
            if each.builtin or each.distribution in self.providers:
                yield each

    def _recipes(self) -> str:
        """Commands for recipes that have all parts that were named."""
        wanted = {kind: self.spec.components[kind].name for kind in self.fixed & set(_AXES)}
        found = []
        for each in self.registry.components("recipe") if wanted else ():
            parts = ModelSpec.from_toml(each.text(), where=each.name).components
            if all(kind in parts and parts[kind].name == name for kind, name in wanted.items()):
                found.append(f"genmod build {each.name}")
        return ", ".join(found[:3])


def _changes(before: ModelSpec, after: ModelSpec) -> str:
    return ", ".join(
        f"--{kind} {after.components[kind].name} in place of {before.components[kind].name}"
        for kind in _AXES
        if after.components[kind].name != before.components[kind].name
    )
