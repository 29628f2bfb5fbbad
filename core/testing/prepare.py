"""What is checked, with which options and cases, and what is expected to fail."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from genmod.errors import GenmodError, UsageError
from genmod.options.schema import validate
from genmod.options.values import closest
from genmod.registry.component import KINDS
from genmod.registry.lookup import Registry
from genmod.testing import checks  # noqa: F401 - importing it fills the list
from genmod.testing.case import Case
from genmod.testing.cases import Cases, declared_by
from genmod.testing.check import CHECKS, Check
from genmod.testing.selection import Target, select

__all__ = ["checks_of", "expected_of", "prepare"]


def prepare(
    targets: Target | Iterable[Target],
    registry: Registry,
    options: Mapping[str, Any] | None = None,
    cases: Cases | Mapping[str, Cases] | None = None,
    expected: Mapping[str, str] | None = None,
    *,
    root: Path | None = None,
) -> tuple[list[Case], Registry, dict[str, str]]:
    """The components to check, the registry that has them, and what is expected to fail.

    What is given here comes before what a class declares; arguments are those of
    :func:`genmod.testing.runner.run_checks`.

    Raises:
        UsageError: a name, an option or an expected check that there is not.
        PluginError: a plugin that cannot be loaded.
    """
    found, registry = select(targets, registry, root=root)
    labels = [case.label for case in found]
    given = dict.fromkeys(labels, cases) if isinstance(cases, Cases) else dict(cases or {})
    for label in given:
        if label not in labels:
            raise UsageError(
                f"there are cases of {label!r}, which is not checked",
                hint=f"write KIND/NAME, one of: {', '.join(labels)}",
            )
    found = [_declared(case, given.get(case.label) or Cases(), options or {}) for case in found]
    every = {
        f"{case.label}:{check}": reason
        for case in found
        for check, reason in case.cases.expected_failures.items()
    }
    every |= expected or {}
    found = with_options(found, options or {})
    check_expectations(found, every)
    return found, registry, every


def _declared(case: Case, given: Cases, options: Mapping[str, Any]) -> Case:
    """The component with its cases, their options and their folder."""
    if KINDS[case.kind]:
        try:
            cls = case.cls
        except GenmodError:  # a check of its own says so
            return case
        given = given.over(declared_by(cls))
    # A path that is declared is one of the files that are written, wherever other data lie.
    written = given.files and given.options and not given.options.keys() & _own(case, options).keys()
    root = given.folder if written else case.root or given.folder
    return replace(case, cases=given, root=root, options={**case.options, **given.options})


def _own(case: Case, options: Mapping[str, Any]) -> dict[str, Any]:
    """A component's own of the options ``kind.option`` or ``kind/name.option``."""
    owned = ((*path.rpartition(".")[::2], value) for path, value in options.items())
    return {name: value for owner, name, value in owned if owner in (case.kind, case.label)}


def checks_of(case: Case, *, slow: bool = False) -> Iterator[Check]:
    """The checks of a component's kind."""
    return (check for check in CHECKS if case.kind in check.kinds and (slow or not check.slow))


def expected_of(case: Case, check: Check, expected: Mapping[str, str]) -> str:
    """Why a check is expected to fail for a component; empty where it is not."""
    return expected.get(f"{case.label}:{check.name}", expected.get(check.name, ""))


def check_expectations(cases: list[Case], expected: Mapping[str, str]) -> None:
    """Refuse expectations of checks that there are not.

    Raises:
        UsageError: there is no such check of such a component, or no reason is given.
    """
    names = {case.label: [check.name for check in checks_of(case, slow=True)] for case in cases}
    known = {check for each in names.values() for check in each}
    known |= {f"{label}:{check}" for label, each in names.items() for check in each}
    for name, reason in expected.items():
        if name not in known:
            meant = closest(name, sorted(known))
            raise UsageError(
                f"{name!r} is expected to fail, and is no check of what is checked",
                hint=f"did you mean {meant}?" if meant else f"the checks are: {', '.join(sorted(known))}",
            )
        if not reason.strip():
            raise UsageError(f"{name!r} is expected to fail for no reason", hint="say why it cannot pass")


def with_options(cases: list[Case], options: Mapping[str, Any]) -> list[Case]:
    """The cases, each with its own of the options ``kind.option`` or ``kind/name.option``.

    Raises:
        UsageError: an option of no component, or a wrong value.
    """
    owners = {name for case in cases for name in (case.kind, case.label)}
    for path in options:
        if path.rpartition(".")[0] not in owners:
            raise UsageError(
                f"option {path!r} belongs to nothing that is checked",
                hint=f"write KIND.OPTION, where KIND is one of: {', '.join(sorted(owners))}",
            )
    found = []
    for case in cases:
        every = {**case.options, **_own(case, options)}
        for setting in ({}, *case.cases.settings):
            if every or setting:
                validate(case.cls, {**every, **setting}, case.kind)
        found.append(case.with_options(every))
    return found
