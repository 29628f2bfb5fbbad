"""Tests within a test: a file of tests, run in this process."""

import os

import pytest


class Reports(list):
    """The reports of a run of pytest."""

    __hash__ = object.__hash__  # pytest keeps its plugins in a set

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            self.append(report)

    def of(self, outcome):
        return {report.nodeid.partition("::")[2]: report for report in self if report.outcome == outcome}


def run_inside(folder, text):
    """Run a file of tests in a folder; the exit code of pytest, and its reports."""
    # A name of its own: the module stays imported.
    file = folder / f"test_{folder.name}.py"
    file.write_text(text)
    reports = Reports()
    # In this process, because torch takes long to import; without plugins that this run of pytest uses itself.
    without = (
        "cacheprovider",
        "timeout",
        "xdist",
        "faulthandler",
        "terminal",
        "hypothesispytest",
        "anyio",
        "zarr",
    )
    options = [option for name in without for option in ("-p", f"no:{name}")]
    place = ["-c", os.devnull, "--rootdir", str(folder), "--capture=no", str(file)]
    return pytest.main([*options, *place], plugins=[reports]), reports
