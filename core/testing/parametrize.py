"""The checks as tests of pytest, which is imported only where this is used; no pytest plugin is needed."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from genmod.registry.lookup import current_registry, use_registry
from genmod.testing.case import Case, NotApplicable
from genmod.testing.cases import Cases
from genmod.testing.cause import Cause, cause_of
from genmod.testing.check import Check
from genmod.testing.prepare import checks_of, expected_of, prepare
from genmod.testing.runner import MEND, class_of, perform, same_error
from genmod.testing.selection import Target

__all__ = ["IN_THE_KIT", "parametrize_with_checks"]

IN_THE_KIT = "_genmod_kit"
"""Attribute of the function that runs a check within a test of pytest."""


def parametrize_with_checks(
    targets: Target | Iterable[Target],
    *,
    options: Mapping[str, Any] | None = None,
    cases: Cases | Mapping[str, Cases] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    slow: bool = False,
    root: Path | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test function once for each check of each component, as its argument ``check``.

    Arguments are those of :func:`run_checks`. A check that does not apply to a component is skipped with the
    reason; one that is expected to fail must fail.

    Raises:
        UsageError: an unknown name, option or expected check, or nothing to check.
        PluginError: a plugin that cannot be loaded.

    Example:
        >>> @parametrize_with_checks(["prior/normal"])
        ... def test_component(check):
        ...     check()
        >>> test_component.pytestmark[0].name
        'parametrize'
    """
    import pytest

    checked, registry, expected = prepare(
        targets, current_registry(), options, cases, expected_failures, root=root
    )

    met: dict[tuple[str, Cause], str] = {}

    def run(case: Case, check: Check, expected: str) -> None:
        __tracebackhide__ = True
        try:
            with use_registry(registry):
                perform(case, check)
        except NotApplicable as skip:
            pytest.skip(str(skip))
        except Exception as error:
            cause = cause_of(error, class_of(case))
            first = check.name
            if cause is not None and not expected:
                first = met.setdefault((case.label, cause), check.name)
            if first != check.name:
                pytest.skip(f"{same_error(first)}: {cause}")
            error.add_note(f"remedy: {check.remedy}" if cause is None else f"at {cause}\nremedy: {MEND}")
            raise

    # Tests that only run the kit are no tests of an author, where it is asked which of these notice a fault.
    setattr(run, IN_THE_KIT, True)
    parameters = []
    for case in checked:
        for check in checks_of(case, slow=slow):
            reason = expected_of(case, check, expected)
            marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
            parameters.append(
                pytest.param(partial(run, case, check, reason), id=f"{case.label}:{check.name}", marks=marks)
            )
    return pytest.mark.parametrize("check", parameters)
