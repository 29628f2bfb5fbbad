"""Each fault planted in a process of its own: which check of the kit notices it, and which test of the author."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from genmod.errors import UsageError
from genmod.registry.lookup import Registry, use_registry
from genmod.testing.case import Case
from genmod.testing.forks import Died, can_fork, forked
from genmod.testing.mutation import Mutator, NoChange, mutators_of, planted
from genmod.testing.mutation.authors_tests import TestRun, run_tests, tests_of
from genmod.testing.prepare import checks_of
from genmod.testing.runner import Outcome, class_of, run_one

__all__ = ["Fault", "examine"]

_SLOW = 10.0
"""Checks that take more seconds are left out: they would be run once for each fault."""
_LIMIT = 600.0


@dataclass(frozen=True)
class Fault:
    """What became of one planted fault.

    Args:
        component: ``kind/name``.
        fault: what was wrong.
        meant: the check of the kit that is meant for it; empty where no check can know.
        kit: the check that noticed it; empty where none did.
        test: the first test of the author that failed; empty where none did.
        why: why that test failed; where nothing was changed, why it was not.
        changed: whether the fault changed anything in this component.
    """

    component: str
    fault: str
    meant: str
    kit: str = ""
    test: str = ""
    why: str = ""
    changed: bool = True

    @property
    def noticed(self) -> bool:
        """Whether the kit or a test noticed it, or there was nothing to notice."""
        return bool(self.kit or self.test) or not self.changed

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "noticed": self.noticed}


def examine(
    cases: Sequence[Case],
    registry: Registry,
    tests: Sequence[Path] = (),
    *,
    processes: int | None = None,
    on_fault: Callable[[Fault], None] = lambda fault: None,
) -> list[Fault]:
    """Plant each fault of their kinds in components, and see what notices it.

    Args:
        cases: the components, with their options.
        registry: where names are looked up.
        tests: files and folders of the author's tests; those beside each component's package by default.
        processes: how many at once; by default as many as there are cores, up to four.
        on_fault: called with each fault as soon as it and those before it are done.

    Raises:
        UsageError: there are no tests, tests or checks fail without any fault, or this system cannot copy processes.
    """
    if not can_fork():
        raise UsageError(
            "faults are planted in copies of a process, which this system cannot make",
            hint="run it on Linux or macOS, or in WSL",
        )
    jobs: list[Callable[[], Any]] = []
    with use_registry(registry):
        for case in cases:
            if (cls := class_of(case)) is None:
                continue
            paths = list(tests) or tests_of(cls)
            times = _correct(case, paths)
            jobs += [partial(_planted, case, each, paths, times) for each in mutators_of(cls, case.kind)]
        found: dict[int, Fault] = {}
        told, count = 0, processes or min(4, os.cpu_count() or 1)
        for number, fault in forked(jobs, processes=count, limit=_LIMIT):
            found[number] = _died(jobs[number], fault) if isinstance(fault, Died) else Fault(**fault)
            while told in found:
                on_fault(found[told])
                told += 1
    return [found[number] for number in sorted(found)]


def _correct(case: Case, paths: Sequence[Path]) -> Mapping[str, float]:
    """Seconds of each check that passes, without a fault.

    Raises:
        UsageError: something fails.
    """

    def without_fault() -> Any:
        outcomes = [asdict(run_one(case, check)) for check in checks_of(case)]
        return outcomes, asdict(run_tests(paths))

    [(_, done)] = forked([without_fault], limit=_LIMIT)
    if isinstance(done, Died):
        raise UsageError(
            f"the checks and tests of {case.label} cannot be run: {done}",
            hint="run them without --mutate first",
        )
    outcomes, tests = [Outcome(**each) for each in done[0]], TestRun(**done[1])
    if tests.failed:
        raise UsageError(
            f"{tests.failed} fails before any fault is planted: {tests.why}",
            hint="mend it first: pytest " + " ".join(map(str, paths)),
        )
    return {each.check: each.seconds for each in outcomes if each.status == "passed" and each.seconds < _SLOW}


def _planted(case: Case, mutator: Mutator, paths: Sequence[Path], times: Mapping[str, float]) -> Any:
    fault = Fault(case.label, mutator.name, _meant(case, mutator))
    try:
        with planted(mutator, case.cls) as seen:
            kit = next(_noticing(case, mutator, times), "")
            tests = run_tests(paths)
    except NoChange as none:
        return asdict(replace(fault, changed=False, why=str(none)))
    changed = seen.changed or bool(kit or tests.failed)
    why = tests.why if changed else "nothing that was run is any different by it"
    if not changed and not mutator.checks:
        # An option that no test sets is not one without effect.
        changed, why = True, "no test gives it another value"
    return asdict(replace(fault, kit=kit, test=tests.failed, why=why, changed=changed))


def _meant(case: Case, mutator: Mutator) -> str:
    """The check that is meant for a fault in a component of this kind; nothing where no check can know."""
    names = [check.name for check in checks_of(case)]
    return next((name for name in mutator.checks if name in names), "")


def _noticing(case: Case, mutator: Mutator, times: Mapping[str, float]) -> Iterator[str]:
    """The checks that fail: the one that is meant first, then the others, the fastest first."""
    checks = sorted(
        (check for check in checks_of(case) if check.name in times),
        key=lambda check: (check.name not in mutator.checks, times[check.name]),
    )
    for check in checks:
        if run_one(case, check).status == "failed":
            yield check.name


def _died(job: Any, why: str) -> Fault:
    """A fault by which the process ended, or did not end: no test would miss that."""
    case, mutator = job.args[:2]
    return Fault(case.label, mutator.name, _meant(case, mutator), test="all", why=why)
