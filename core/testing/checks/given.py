"""Laws for what a component must be given before anything else can be checked."""

from genmod.options.schema import REQUIRED
from genmod.testing.case import Case
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
