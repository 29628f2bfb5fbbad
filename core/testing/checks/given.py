"""Laws for what a component must be given before anything else can be checked."""

from typing import Any

from genmod.errors import UsageError
from genmod.options.schema import REQUIRED
from genmod.testing.case import Case, NotApplicable
from genmod.testing.check import check_for, expect
from genmod.testing.checks.contract import CLASSES, readable_options

__all__: list[str] = []


@check_for(
    *CLASSES,
    remedy="give it: -s KIND.OPTION=…; or let the class declare a small example: check_cases = "
    '{"files": a function that writes it into a folder, "options": {…}}',
    once=True,
    needs="class",
)
def check_given(case: Case) -> None:
    """The options without a default are given, so that the component can be made."""
    needed = [o.name for o in readable_options(case) if o.default is REQUIRED and o.name not in case.options]
    missing = ", ".join(f"{case.kind}.{name}" for name in needed)
    expect(not needed, f"{missing} has no default and is not given: nothing else can be checked")


@check_for(
    *("model", "encoder", "posterior", "prior", "decoder", "network", "sampler", "features", "critic"),
    remedy="accept it in the constructor, or take it out of the cases: what is refused is not checked",
    once=True,
)
def check_declared(case: Case) -> None:
    """Each shape that the author declares for the checks is accepted, beside some shape of the other arguments."""
    if not any(case.declared):
        raise NotApplicable("its author declares no shapes")
    for place, own in enumerate(case.declared):
        for value in own:
            spreads = [(value,) if at == place else each for at, each in enumerate(case.spreads)]
            refusal = _refusal(case, spreads)
            expect(refusal is None, f"it refuses {value}, which its cases declare: {refusal}")


def _refusal(case: Case, spreads: list[tuple[Any, ...]]) -> str | None:
    """Why it cannot be built with any of these, whatever its settings; None where it can."""
    refusal = ""
    for options in case.settings():
        for _, wiring in case.with_options(options).tried(*spreads):
            if not isinstance(wiring, UsageError):
                return None
            refusal = refusal or wiring.message
    return refusal
