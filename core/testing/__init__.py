"""The conformance kit: checks that every component must pass, a stranger's as well as a built-in one.

In a test of a plugin::

    from genmod.testing import parametrize_with_checks

    @parametrize_with_checks(["genmod-mypkg"])
    def test_component(check):
        check()

Without pytest: ``genmod check genmod-mypkg``, or :func:`run_checks`.
"""

from genmod.testing.case import Case, NotApplicable
from genmod.testing.cases import Cases
from genmod.testing.check import CHECKS, Check, CheckFailed
from genmod.testing.parametrize import parametrize_with_checks
from genmod.testing.runner import Outcome, Report, run_checks

__all__ = [
    "CHECKS",
    "Case",
    "Cases",
    "Check",
    "CheckFailed",
    "NotApplicable",
    "Outcome",
    "Report",
    "parametrize_with_checks",
    "run_checks",
]
