"""Laws at other numbers than the defaults of options, where a wrong formula can be right."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Any

from genmod.errors import UsageError
from genmod.options.schema import validate
from genmod.system.random import seeded
from genmod.testing.case import Case, NotApplicable
from genmod.testing.check import CheckFailed, check_for
from genmod.testing.checks.densities import check_draws, check_normalised
from genmod.testing.checks.divergences import check_closed_form_kl, check_kl, check_not_negative
from genmod.testing.checks.gradients import check_rsample_gradient
from genmod.testing.checks.modules import check_gradient
from genmod.testing.checks.objectives import check_bound, check_terms
from genmod.testing.checks.shapes import (
    check_decoder_shapes,
    check_divergence_shapes,
    check_posterior_shapes,
    check_prior_shapes,
    check_shapes,
)
from genmod.testing.numbers import numbers

__all__: list[str] = []

_Law = Callable[[Case], None]

_LAWS: Mapping[str, tuple[_Law, ...]] = {
    "encoder": (check_shapes, check_gradient),
    "posterior": (
        check_posterior_shapes,
        check_normalised,
        check_draws,
        check_closed_form_kl,
        check_rsample_gradient,
    ),
    "prior": (check_prior_shapes, check_normalised, check_draws, check_closed_form_kl),
    "decoder": (check_decoder_shapes, check_normalised, check_draws),
    "network": (check_shapes, check_gradient),
    "divergence": (check_divergence_shapes, check_kl, check_not_negative),
    "objective": (check_terms, check_bound),
}
"""Few laws, and those that a wrong formula breaks."""

_PAIRS = 2
"""Pairs of a posterior and a prior that each law is checked for."""


@dataclass(frozen=True)
class _Thin(Case):
    """A component that is built for one wiring alone: all others are tried with its defaults."""

    built: list[Any] = field(default_factory=list, compare=False)

    def tried(self, *spreads: Iterable[Any]) -> Iterator[tuple[Any, tuple[Any, ...] | UsageError]]:
        for part, wiring in () if self.built else super().tried(*spreads):
            if part is not None:
                self.built.append(part)
            yield part, wiring
            if part is not None:
                return

    def pairs(self, part: Any = None, latent: tuple[int, ...] = (2,)) -> Iterator[tuple[Any, Any]]:
        return islice(super().pairs(part, latent), _PAIRS)


@check_for(
    *_LAWS,
    remedy="use the option in every formula that it belongs to, constants too; what is right at its default alone is wrong",
    once=True,
)
def check_numbers(case: Case) -> None:
    """Densities, divergences, shapes and gradients are right with other numbers in the options than the defaults."""
    tried = False
    for found in numbers(case.cls, case.options):
        together = _accepted(case, found)
        # What does not go together is tried one by one.
        settings = [found] if together else [{name: value} for name, value in found.items()]
        for setting in settings:
            if not together and not _accepted(case, setting):
                continue
            tried = True
            if broken := _broken(case, setting):
                if _broken(case, {}):
                    raise NotApplicable(
                        "its laws do not hold with the defaults either, which other checks tell"
                    )
                names, why = _guilty(case, setting, broken)
                numbers_used = ", ".join(f"{name}={value}" for name, value in names.items())
                raise CheckFailed(f"with {numbers_used}: {why}") from why.__cause__
    if not tried:
        raise NotApplicable("it has no numbers among its options that could be changed")


def _guilty(
    case: Case, setting: Mapping[str, Any], broken: CheckFailed
) -> tuple[Mapping[str, Any], CheckFailed]:
    """The one option with which it breaks too, and how; all of them where none does alone."""
    for name, value in setting.items() if len(setting) > 1 else ():
        alone = {name: value}
        if _accepted(case, alone) and (why := _broken(case, alone)):
            return alone, why
    return setting, broken


def _with(case: Case, setting: Mapping[str, Any]) -> _Thin:
    own = {each.name: getattr(case, each.name) for each in fields(case)}
    return _Thin(**{**own, "options": {**case.options, **setting}})


def _accepted(case: Case, setting: Mapping[str, Any]) -> bool:
    """Whether it can be built with these options."""
    thin = _with(case, setting)
    try:
        validate(thin.cls, thin.options, thin.kind)
        next(thin.accepted())
    except (UsageError, NotApplicable):
        return False
    return True


def _broken(case: Case, setting: Mapping[str, Any]) -> CheckFailed | None:
    """Which law does not hold with these options, its numbers, and the error that was raised; None where all hold."""
    for law in _LAWS[case.kind]:
        try:
            with seeded(0):
                law(_with(case, setting))
        except NotApplicable:
            continue
        except CheckFailed as failure:
            return _failure(f"{law.__name__}: {failure}", failure.__cause__)
        except Exception as error:
            why = f"it raised {type(error).__name__}: {' '.join(str(error).split())[:300]}"
            return _failure(f"{law.__name__}: {why}", error)
    return None


def _failure(message: str, cause: BaseException | None) -> CheckFailed:
    failure = CheckFailed(message)
    failure.__cause__ = cause
    return failure
