"""One cause, one failure: an error that several checks meet is told once, with the author's line and one remedy."""

import importlib
import sys
from typing import Annotated, Literal

import pytest
import torch
from inside import run_inside
from torch import nn

from genmod import Doc
from genmod.cli.app import run
from genmod.interfaces.encoder import Encoder
from genmod.scaffold.templates.encoder import TemplateEncoder
from genmod.testing import CHECKS, run_checks
from genmod.testing.cause import cause_of
from genmod.testing.check import CheckFailed

FAST = [check.name for check in CHECKS if check.name != "check_export"]


class Breaks(Encoder):
    """A layer of the wrong width; UsageError."""

    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.feature_shape = (5,)
        self.layer = nn.Linear(7, 5)

    def forward(self, x):
        return self.layer(x.flatten(1))


def test_an_error_is_a_failure_once(registry):
    report = run_checks(Breaks, registry=registry, only=FAST)
    [failed] = report.failed
    # Some versions of torch name the operation first.
    assert "it fails for a batch of 4: " in failed.message
    assert failed.message.endswith("mat1 and mat2 shapes cannot be multiplied (4x64 and 7x5)")
    assert failed.where.endswith("return self.layer(x.flatten(1))")
    assert "test_cause.py:" in failed.where
    assert failed.remedy.startswith("mend that line")
    others = [outcome for outcome in report.checks if outcome.see]
    assert len(others) > 8
    assert {outcome.status for outcome in others} == {"skipped"}
    assert {outcome.see for outcome in others} == {failed.check}


class BreaksTwice(TemplateEncoder):
    """Two errors; UsageError."""

    def forward(self, x):
        if len(x) == 1:
            raise ValueError("one is too few")
        if torch.is_grad_enabled():
            return super().forward(x) + torch.zeros(3)
        return super().forward(x)

    def mirror(self):
        raise LookupError("no mirror")


def test_two_errors_are_two_failures(registry):
    failed = [
        outcome for outcome in run_checks(BreaksTwice, registry=registry, only=FAST).failed if outcome.where
    ]
    assert len({outcome.where for outcome in failed}) == len(failed) == 2
    assert "LookupError" in "".join(outcome.message for outcome in failed)


def test_an_expected_failure_hides_no_other(registry):
    [first] = run_checks(Breaks, registry=registry).failed
    report = run_checks(Breaks, registry=registry, expected_failures={first.check: "it is a test"})
    [failed] = report.failed
    assert failed.check != first.check
    assert failed.where == first.where


class BreaksInOneWay(TemplateEncoder):
    """An error with one option alone; UsageError."""

    def __init__(self, data_shape, *, mode: Annotated[Literal["good", "bad"], Doc("which")] = "good"):
        super().__init__(data_shape)
        self.mode = mode

    def forward(self, x):
        if self.mode == "bad":
            raise RuntimeError("it was the bad one")
        return super().forward(x)


def test_it_is_said_with_which_options(registry):
    [failed] = run_checks(BreaksInOneWay, registry=registry).failed
    assert (
        failed.message
        == "with mode=bad: built for ((1, 8, 8),), it fails for a batch of 4: it was the bad one"
    )


class BreaksAtOtherNumbers(TemplateEncoder):
    """An error at another number than the default; UsageError."""

    def __init__(self, data_shape, *, size: Annotated[int, Doc("of it")] = 4):
        super().__init__(data_shape)
        self.size = size

    def forward(self, x):
        return super().forward(x) + [0.0] * 5 if self.size != 4 else super().forward(x)


def test_an_error_at_other_numbers_has_its_line(registry):
    [failed] = run_checks(BreaksAtOtherNumbers, registry=registry, only=["check_numbers"]).failed
    assert failed.message.startswith(
        "with size=2: check_shapes: built for ((1, 8, 8),), it fails for a batch"
    )
    assert failed.where.endswith("+ [0.0] * 5 if self.size != 4 else super().forward(x)")
    assert failed.remedy.startswith("mend that line")


def test_the_line_is_that_of_the_author():
    def calls_torch():
        torch.ones(2) @ torch.ones(3)

    with pytest.raises(RuntimeError) as raised:
        calls_torch()
    cause = cause_of(raised.value)
    assert str(cause).endswith("torch.ones(2) @ torch.ones(3)")
    failure = CheckFailed("a law")
    assert cause_of(failure) is None
    failure.__cause__ = raised.value
    assert cause_of(failure) == cause


def test_what_is_installed_beside_a_file_is_not_its_author_s(tmp_path, monkeypatch):
    """A file in the folder of a project, whose environment lies there too."""
    packages = tmp_path / ".venv" / "lib" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "beside_it.py").write_text("def divide():\n    return 1 / 0\n")
    (tmp_path / "a_file.py").write_text("import beside_it\nclass Mine:\n    make = beside_it.divide\n")
    monkeypatch.syspath_prepend(str(packages))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("genmod.testing.cause._FOREIGN", (packages,))
    a_file = importlib.import_module("a_file")
    calls = compile("def call(mine):\n    return mine.make()", str(tmp_path / "a_file.py"), "exec")
    exec(calls, there := {})
    try:
        with pytest.raises(ZeroDivisionError) as raised:
            there["call"](a_file.Mine)
    finally:
        sys.modules.pop("a_file"), sys.modules.pop("beside_it")
    assert cause_of(raised.value, a_file.Mine).file == str(tmp_path / "a_file.py")


FILE = """
from torch import nn
from genmod import Component, Encoder, hookimpl

class Mine(Encoder):
    '''A layer that there is not; UsageError.'''

    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.layer = nn.Lineer(7, 5)

    def forward(self, x):
        return x

@hookimpl
def genmod_components():
    yield Component("encoder", "mine", "broken_file:Mine", summary="a broken one")
"""


def test_on_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken_file.py").write_text(FILE)
    try:
        assert run(["check", "./broken_file.py"]) == 1
    finally:
        sys.modules.pop("broken_file", None)
    out = capsys.readouterr().out
    assert "at broken_file.py:10: self.layer = nn.Lineer(7, 5); " in out
    assert "others ended there" in out
    assert "it ended at the same error" not in out


TESTS = """
from torch import nn
from genmod import Encoder
from genmod.testing import parametrize_with_checks

class Mine(Encoder):
    '''A layer that there is not; UsageError.'''

    def __init__(self, data_shape):
        super().__init__(data_shape)
        self.layer = nn.Lineer(7, 5)

    def forward(self, x):
        return x

@parametrize_with_checks(Mine)
def test_component(check):
    check()
"""


def test_in_pytest(tmp_path):
    _, reports = run_inside(tmp_path, TESTS)
    [failed] = reports.of("failed").values()
    assert "self.layer = nn.Lineer(7, 5)" in failed.longreprtext
    assert "remedy: mend that line" in failed.longreprtext
    reasons = [report.longrepr[2] for report in reports.of("skipped").values()]
    assert sum("it ended at the same error, see check_usable" in why for why in reasons) > 8
