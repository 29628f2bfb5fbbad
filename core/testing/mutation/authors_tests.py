"""The tests that an author has written for a component: where they are, and which of them fails first."""

import functools
import importlib.util
import inspect
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genmod.errors import UsageError
from genmod.testing.parametrize import IN_THE_KIT

__all__ = ["TestRun", "run_tests", "tests_of"]


@dataclass(frozen=True)
class TestRun:
    """The result of the tests of an author; those that only run the kit are left out.

    Args:
        count: how many tests there are.
        failed: the first that fails, or the file that cannot be read; empty where all pass.
        why: the last line of its error.
    """

    __test__ = False

    count: int
    failed: str = ""
    why: str = ""


def tests_of(cls: Any) -> list[Path]:
    """The tests that lie beside the package of a class, or beside its file.

    Raises:
        UsageError: there are none.
    """
    file = Path(inspect.getfile(cls)).resolve()
    package = cls.__module__.partition(".")[0]
    top = Path(getattr(sys.modules.get(package), "__file__", None) or file).resolve()
    home = top.parent if top.name == "__init__.py" else top
    for place in (home.parent, home.parent.parent if home.parent.name == "src" else home):
        found = [folder] if (folder := place / "tests").is_dir() else sorted(place.glob("test_*.py"))
        if found and "site-packages" not in place.parts:
            return found
    raise UsageError(
        f"there are no tests beside {home}: neither a folder tests nor files test_*.py",
        hint="say where they are: --tests PATH",
    )


def run_tests(paths: Sequence[Path], *, first: bool = True) -> TestRun:
    """Run tests in this process; to be called in one that is a copy, for modules stay imported.

    Args:
        paths: files and folders.
        first: end at the first that fails.
    """
    import pytest

    seen = _Plugin()
    words = ["-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    words += ["-x"] if first else []
    # Options of the author's project may start other processes, in which nothing is planted.
    plain = os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    words += ["-n0"] if importlib.util.find_spec("xdist") and not plain else []
    code = pytest.main([*words, *map(str, paths)], plugins=[seen])
    if code in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERNAL_ERROR) and not seen.failed:
        seen.failed, seen.why = "pytest", f"it ended with {code!r}"
    return TestRun(seen.count, seen.failed, seen.why)


class _Plugin:
    """What is run, and what fails first."""

    def __init__(self) -> None:
        self.count, self.failed, self.why = 0, "", ""

    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        kit = [item for item in items if _is_of_the_kit(item)]
        items[:] = [item for item in items if item not in kit]
        config.hook.pytest_deselected(items=kit)
        self.count = len(items)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.failed:
            self.failed, self.why = report.nodeid, _last_line(report)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.failed:
            self.failed, self.why = report.nodeid or "the tests", _last_line(report)


def _is_of_the_kit(item: Any) -> bool:
    values = getattr(getattr(item, "callspec", None), "params", {}).values()
    return any(isinstance(each, functools.partial) and hasattr(each.func, IN_THE_KIT) for each in values)


def _last_line(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    lines = [line for line in text.splitlines() if line.strip()]
    return (lines[0] if crash is not None else lines[-1]).strip()[:200] if lines else ""
