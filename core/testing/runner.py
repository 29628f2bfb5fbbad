"""Running checks and reporting their results."""

import time
from collections.abc import Collection, Iterable, Mapping, MutableMapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from genmod.errors import GenmodError
from genmod.options.schema import REQUIRED, options_of
from genmod.registry.component import KINDS
from genmod.registry.lookup import Registry, current_registry, use_registry
from genmod.spec import MODEL_KINDS
from genmod.system.random import seeded
from genmod.testing.case import Case, NotApplicable
from genmod.testing.cases import Cases
from genmod.testing.cause import Cause, cause_of
from genmod.testing.check import Check, CheckFailed
from genmod.testing.checks.settings import settings_kept
from genmod.testing.prepare import checks_of, expected_of, prepare
from genmod.testing.selection import Target

__all__ = [
    "MEND",
    "Outcome",
    "Report",
    "class_of",
    "message_of",
    "perform",
    "run_checks",
    "run_one",
    "same_error",
]


@dataclass(frozen=True)
class Outcome:
    """The result of one check of one component.

    Args:
        component: ``kind/name``.
        check: name of the check.
        status: ``passed``; ``failed``; ``skipped``: it does not apply to this component; ``expected``: it failed, as
            expected.
        message: the numbers of a failure, the reason of a skip or of the expectation.
        remedy: what to change, one line; empty unless it failed.
        see: the check that met the same error first, and failed by it; this one is skipped.
        where: the author's line at which an error was raised, ``file:line: source``; empty where there was none.
        seconds: how long it took.
    """

    component: str
    check: str
    status: Literal["passed", "failed", "skipped", "expected"]
    message: str = ""
    remedy: str = ""
    seconds: float = 0.0
    see: str = ""
    where: str = ""


@dataclass(frozen=True)
class Report:
    """The results of all checks.

    Example:
        >>> report = run_checks("prior/normal")
        >>> report.ok, report.failed
        (True, ())
    """

    checks: tuple[Outcome, ...]

    @property
    def failed(self) -> tuple[Outcome, ...]:
        return self._of("failed")

    @property
    def skipped(self) -> tuple[Outcome, ...]:
        return self._of("skipped")

    @property
    def ran(self) -> int:
        """How many checks ran; those that were skipped did not."""
        return len(self.checks) - len(self.skipped)

    @property
    def ok(self) -> bool:
        """Whether at least one check ran and none failed."""
        return self.ran > 0 and not self.failed

    def __str__(self) -> str:
        """How many checks of how many components ran, and their results."""
        components = len({outcome.component for outcome in self.checks})
        counts = ", ".join(
            f"{len(self._of(status))} {status}" for status in ("passed", "failed", "skipped", "expected")
        )
        return f"{self.ran} checks of {components} component{'s' * (components != 1)} ran: {counts}"

    def to_json(self) -> dict[str, Any]:
        return {"ok": self.ok, "ran": self.ran, "checks": [asdict(outcome) for outcome in self.checks]}

    def _of(self, status: str) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.checks if outcome.status == status)


def run_checks(
    targets: Target | Iterable[Target],
    *,
    options: Mapping[str, Any] | None = None,
    cases: Cases | Mapping[str, Cases] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    slow: bool = False,
    only: Collection[str] = (),
    root: Path | None = None,
    registry: Registry | None = None,
) -> Report:
    """Check components against the laws of their kinds.

    Args:
        targets: an installed distribution, ``kind/name``, a file ``./mine.py``, a component's record or class; or
            several.
        options: values of options by ``kind.option`` or ``kind/name.option``, such as the file of a dataset.
        cases: shapes, options and files to try before the usual ones; of single components by ``kind/name``.
        expected_failures: check → why it fails; or ``kind/name:check`` for one component. One that passes is a
            failure.
        slow: run the slow checks too.
        only: names of the checks to run; all if there are none.
        root: folder with data files.
        registry: where names are looked up; the current one by default.

    Raises:
        UsageError: a name, an option or an expected check that there is not.
        PluginError: a plugin that cannot be loaded.
    """
    checked, registry, expected = prepare(
        targets, registry or current_registry(), options, cases, expected_failures, root=root
    )
    with use_registry(registry):
        outcomes = []
        for case in checked:
            met: dict[Cause, str] = {}
            for check in checks_of(case, slow=slow):
                if not only or check.name in only:
                    outcomes.append(run_one(case, check, expected_of(case, check, expected), met))
    return Report(tuple(outcomes))


def run_one(
    case: Case, check: Check, expected: str = "", met: MutableMapping[Cause, str] | None = None
) -> Outcome:
    """Run one check; strict about one that was expected to fail.

    Args:
        case: the component.
        check: the check.
        expected: why it is expected to fail; empty where it is not.
        met: errors of the component → the check that met it first, which alone fails by it; extended.
    """
    start = time.perf_counter()
    found: Outcome = Outcome(case.label, check.name, "passed")
    try:
        perform(case, check)
        if expected:
            found = replace(found, status="failed", message=f"expected to fail ({expected}), and passed")
    except NotApplicable as skip:
        found = replace(found, status="skipped", message=str(skip))
    except Exception as error:
        found = _of_error(found, case, check, error, expected, {} if met is None else met)
    if found.status == "failed" and not found.remedy:
        found = replace(found, remedy=check.remedy)
    return replace(found, seconds=time.perf_counter() - start)


def _of_error(
    found: Outcome,
    case: Case,
    check: Check,
    error: Exception,
    expected: str,
    met: MutableMapping[Cause, str],
) -> Outcome:
    cause = cause_of(error, class_of(case))
    where = "" if cause is None else str(cause)
    message = message_of(error)
    if expected:
        return replace(found, status="expected", message=f"{expected}: {message}", where=where)
    if cause is not None:
        first = met.setdefault(cause, check.name)
        if first != check.name:
            return replace(found, status="skipped", message=same_error(first), see=first, where=where)
    remedy = "" if cause is None else MEND
    return replace(found, status="failed", message=message, remedy=remedy, where=where)


MEND = "mend that line; what cannot work is refused in the constructor, by UsageError(what was given, hint=…)"
"""The remedy for an error of the component, whatever was checked when it was met."""


def same_error(first: str) -> str:
    """Why a check that met an error that another check has met does not fail by it."""
    return f"it ended at the same error, see {first}"


def message_of(error: Exception) -> str:
    """What a check found, in one line.

    Example:
        >>> message_of(ZeroDivisionError("division by zero"))
        'it raised ZeroDivisionError: division by zero'
    """
    if isinstance(error, CheckFailed):
        return str(error)
    if isinstance(error, GenmodError):
        return error.message
    with_ = next(iter(getattr(error, "__notes__", ())), "")
    return f"it raised {type(error).__name__}: {with_}{' '.join(str(error).split())[:500]}"


def class_of(case: Case) -> Any:
    """The class of a component; None where it has none, or cannot be loaded."""
    try:
        return case.cls if KINDS[case.kind] else None
    except GenmodError:
        return None


def perform(case: Case, check: Check) -> None:
    """Run a check with the given options, and with each choice among the others; from one seed.

    Raises:
        CheckFailed: the law does not hold; says with which options.
        NotApplicable: it applies to none of them.
    """
    _require(case, check)
    reasons: list[str] = []
    # A dataset's choices say how files are read, and not every file can be read in every way.
    moved = not check.once and case.kind in (*MODEL_KINDS, "critic", "sampler", "model")
    settings = list(case.settings()) if moved else [case.options, *_also(case, check)]
    for options in settings:
        try:
            with settings_kept(), seeded(0):
                check.function(case.with_options(options))
        except NotApplicable as skip:
            reasons.append(str(skip))
        except CheckFailed as failure:
            raise CheckFailed(f"{_with(case, options)}{failure}") from failure.__cause__
        except Exception as error:
            if with_ := _with(case, options):
                error.add_note(with_)
            raise
    if len(reasons) == len(settings):
        raise NotApplicable(reasons[0])


def _with(case: Case, options: Mapping[str, Any]) -> str:
    """The options that are not those of the case, to begin a message with."""
    given = case.options
    changed = [name for name, value in options.items() if name not in given or value is not given[name]]
    return "".join(f"with {name}={options[name]}: " for name in changed)


def _also(case: Case, check: Check) -> list[dict[str, Any]]:
    """The settings that the author declares, for a kind whose choices are not tried."""
    return [] if check.once else [{**case.options, **setting} for setting in case.cases.settings]


def _require(case: Case, check: Check) -> None:
    """Skip checks that need what is broken already: one fault, one failure.

    Raises:
        NotApplicable: what the check needs is missing.
    """
    if case.provided is not None and (missing := case.provided.missing_requirements):
        raise NotApplicable(f"it needs {', '.join(missing)}, which is not installed")
    if check.needs == "record":
        return
    try:
        abstract = getattr(case.cls, "__abstractmethods__", ())
    except GenmodError:
        abstract = ("its class",)
    if abstract:
        raise NotApplicable("it has no complete class, see check_class")
    if check.needs == "class":
        return
    try:
        options = options_of(case.cls)
    except GenmodError:
        raise NotApplicable("its options cannot be read, see check_options") from None
    needed = [o.name for o in options if o.default is REQUIRED and o.name not in case.options]
    if needed:
        raise NotApplicable(f"it needs the options {', '.join(needed)}, see check_given")
