"""Faults that are planted in correct components, and what notices them."""

import importlib
import json
import sys
from dataclasses import asdict
from functools import partial

import pytest
import torch

from genmod.cli.app import run
from genmod.errors import UsageError
from genmod.registry.component import KINDS
from genmod.registry.lookup import use_registry
from genmod.scaffold.templates.dataset import TemplateDataset
from genmod.scaffold.templates.decoder import TemplateDecoder
from genmod.scaffold.templates.prior import TemplatePrior
from genmod.scaffold.templates.tracker import TemplateTracker
from genmod.testing import CHECKS
from genmod.testing.forks import Died, can_fork, forked
from genmod.testing.mutation import MUTATORS, NoChange, mutators_of, planted
from genmod.testing.mutation.authors_tests import tests_of as found_tests
from genmod.testing.mutation.examine import Fault, examine
from genmod.testing.prepare import checks_of, prepare
from genmod.testing.runner import run_one

CLASSES = [kind for kind, base in KINDS.items() if base]
needs_fork = pytest.mark.skipif(not can_fork(), reason="this system copies no processes")


def template(kind):
    module = importlib.import_module(f"genmod.scaffold.templates.{kind}")
    return next(value for name, value in vars(module).items() if name.startswith("Template"))


def test_every_kind_has_faults_each_with_a_check_that_is_meant_for_it():
    checks = {check.name: check.kinds for check in CHECKS}
    assert {kind for mutator in MUTATORS for kind in mutator.kinds} == set(CLASSES)
    assert len({mutator.name for mutator in MUTATORS}) >= 60
    for mutator in MUTATORS:
        for kind in mutator.kinds:
            assert any(kind in checks[name] for name in mutator.checks), (mutator.name, kind)
    for kind in CLASSES:
        names = [mutator.name for mutator in MUTATORS if kind in mutator.kinds]
        assert len(names) == len(set(names)) >= 3, kind


def test_a_fault_ends_with_its_context(tmp_path):
    before = dict(vars(TemplatePrior))
    for mutator in mutators_of(TemplatePrior, "prior"):
        try:
            with planted(mutator, TemplatePrior):
                assert dict(vars(TemplatePrior)) != before
        except NoChange:
            pass
        assert dict(vars(TemplatePrior)) == before, mutator.name


def test_what_is_planted_is_wrong_and_is_seen():
    [doubled] = [each for each in mutators_of(TemplatePrior, "prior") if each.name == "log_prob is doubled"]
    z = torch.randn(4, 2)
    right = TemplatePrior((2,))().log_prob(z)
    with planted(doubled, TemplatePrior) as seen:
        assert not seen.reached
        wrong = TemplatePrior((2,))().log_prob(z)
        assert seen.changed
    torch.testing.assert_close(wrong, 2 * right)
    torch.testing.assert_close(TemplatePrior((2,))().log_prob(z), right)


def test_options_are_read_as_before():
    [ignored] = [each for each in mutators_of(TemplateDecoder, "decoder") if each.name.startswith("option ")]
    info = TemplateDecoder.__init__.__doc__
    with planted(ignored, TemplateDecoder) as seen:
        from genmod import DataInfo
        from genmod.options.schema import options_of

        assert [option.name for option in options_of(TemplateDecoder)] == ["scale"]
        data = DataInfo((2,), low=-torch.inf, high=torch.inf)
        wide = TemplateDecoder(data, scale=7.0)(torch.zeros(2)).stddev
        assert seen.changed
    assert not torch.equal(wide, TemplateDecoder(data, scale=7.0)(torch.zeros(2)).stddev)
    assert TemplateDecoder.__init__.__doc__ == info


UNCHANGED = {
    ("dataset", "whole numbers become fractions"),
    ("dataset", "labels are those of another example"),
    ("dataset", "an example is lost from everything()"),
    ("dataset", "the declared range is half as wide"),
    ("divergence", "its parts by dimension are halves"),
    ("decoder", "a parameter gets no gradient"),
    ("divergence", "it is doubled"),
    ("sampler", "latents depend on each other no more"),
    # The template is symmetric.
    ("divergence", "posterior and prior are swapped"),
}
"""Faults that change nothing in the template of their kind."""


def noticed(case, mutator):
    """The check that notices a fault."""
    try:
        with planted(mutator, case.cls) as seen:
            wanted = [check for check in checks_of(case) if check.name in mutator.checks]
            failed = [check.name for check in wanted if run_one(case, check).status == "failed"]
            return failed[0] if failed else "" if seen.changed else "unchanged"
    except NoChange:
        return "unchanged"


@needs_fork
@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=[pytest.mark.slow] * (kind not in ("dataset", "tracker"))) for kind in CLASSES],
)
def test_the_kit_notices_them(kind, registry):
    [case], _, _ = prepare(template(kind), registry)
    mutators = [mutator for mutator in MUTATORS if kind in mutator.kinds]
    with use_registry(registry):
        found = dict(forked([partial(noticed, case, mutator) for mutator in mutators], processes=2))
    missed = {
        mutators[number].name: check
        for number, check in found.items()
        if (isinstance(check, Died) or check in ("", "unchanged"))
        and (kind, mutators[number].name) not in UNCHANGED
    }
    assert missed == {}


PLUGIN = """
from pathlib import Path
from typing import Annotated
import torch
from genmod import Batch, Component, DataInfo, Dataset, Doc, TensorSplit, hookimpl

class Numbers(Dataset):
    '''Whole numbers in a row; nothing is read.'''

    def __init__(self, root: Path, *, size: Annotated[int, Doc("how many")] = 60):
        super().__init__(root)
        self.size = size

    @property
    def info(self):
        return DataInfo((1,), low=0.0, high=60.0)

    def split(self, name):
        place = ("train", "validation", "test").index(name)
        return TensorSplit(Batch(torch.arange(self.size)[place::3, None].float()))

@hookimpl
def genmod_components():
    yield Component("dataset", "numbers", "{module}:Numbers", summary="whole numbers")
"""
TESTS = """
from pathlib import Path
from genmod.testing import parametrize_with_checks
from {module} import Numbers

def test_order():
    split = Numbers(Path()).split("test")
    assert split.__getitems__([2, 0]).x.flatten().tolist() == [8.0, 2.0]

{more}

@parametrize_with_checks([Numbers])
def test_component(check):
    check()
"""
SIZE = """
def test_size():
    assert len(Numbers(Path(), size=9).split("train")) == 3
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A function that writes a plugin with tests beside it; the file."""
    # Plugins of pytest that are installed here cannot be loaded a second time.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    module = f"numbers_{tmp_path.name.replace('-', '_')}"

    def write(more="", tests=TESTS):
        (tmp_path / f"{module}.py").write_text(PLUGIN.replace("{module}", module))
        (tmp_path / f"test_{module}.py").write_text(tests.format(module=module, more=more))
        return str(tmp_path / f"{module}.py")

    yield write
    sys.modules.pop(module, None)


SOME = (
    "indices are sorted",
    "labels are those of another example",
    "test examples are among those of training",
    "option size is ignored",
)


@needs_fork
def test_what_the_tests_of_an_author_notice(plugin, capsys, monkeypatch):
    def some(cls, kind):
        return [mutator for mutator in mutators_of(cls, kind) if mutator.name in SOME]

    monkeypatch.setattr("genmod.testing.mutation.examine.mutators_of", some)
    assert run(["check", plugin(), "--mutate", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    faults = {each["fault"]: each for each in document["faults"]}
    order = faults["indices are sorted"]
    assert order["kit"] == "check_indices"
    assert order["test"].endswith("::test_order")
    assert order["why"].startswith("assert [2.0, 8.0]")
    overlap = faults["test examples are among those of training"]
    assert (overlap["kit"], overlap["test"]) == ("check_splits", "")
    labels = faults["labels are those of another example"]
    assert not labels["changed"]
    assert [name for name, each in faults.items() if not each["noticed"]] == ["option size is ignored"]
    assert not document["ok"]


@needs_fork
@pytest.mark.slow
def test_a_test_of_the_option_is_what_was_missing(plugin, capsys):
    assert run(["check", plugin(SIZE), "--mutate"]) == 0
    out = capsys.readouterr().out
    assert "option size is ignored\tcannot know\t" in out
    assert "::test_size" in out
    assert ", 0 by neither; " in out


def test_faults_are_printed_as_soon_as_they_are_known(capsys, monkeypatch):
    printed = []

    def one_by_one(cases, registry, tests, *, on_fault):
        found = [
            Fault("prior/normal", fault, "check_draws", kit="check_draws") for fault in ("first", "last")
        ]
        for fault in found:
            on_fault(fault)
            printed.append(capsys.readouterr().out)
        return found

    monkeypatch.setattr("genmod.testing.mutation.examine.examine", one_by_one)
    assert run(["check", "prior/normal", "--mutate"]) == 0
    row = "prior/normal\t{}\tcheck_draws\tno\t\n"
    head = "component\tfault\tthe kit\tyour tests\twhy\n"
    assert printed == [head + row.format("first"), row.format("last")]
    assert capsys.readouterr().out.startswith("2 faults planted: 2 noticed by the kit")

    monkeypatch.setattr("genmod.cli.console._is_terminal", lambda stream: True)
    monkeypatch.setattr("genmod.cli.console.width", lambda stream: 140)
    assert run(["--color", "never", "check", "prior/normal", "--mutate"]) == 0
    [head, first], [last] = (text.splitlines() for text in printed[2:])
    assert head.index("the kit") == first.index("check_draws") == last.index("check_draws")


@needs_fork
def test_faults_are_told_in_their_order(registry, monkeypatch, tmp_path):
    def backwards(jobs, **limits):
        return ((n, asdict(Fault("prior/x", str(n), ""))) for n in reversed(range(len(jobs))))

    monkeypatch.setattr("genmod.testing.mutation.examine._correct", lambda *given: {})
    monkeypatch.setattr("genmod.testing.mutation.examine.forked", backwards)
    [case], registry, _ = prepare(TemplatePrior, registry)
    told = []
    assert examine([case], registry, [tmp_path], on_fault=told.append) == told
    assert [fault.fault for fault in told] == [str(n) for n in range(len(told))]


@needs_fork
def test_tests_that_fail_without_a_fault_are_told(plugin):
    with pytest.raises(UsageError, match="::test_order fails before any fault is planted: assert"):
        run(["check", plugin(tests=TESTS.replace("[8.0, 2.0]", "[8.0, 3.0]")), "--mutate"])


def test_without_tests_it_is_said_how_to_name_them(tmp_path, registry, monkeypatch):
    monkeypatch.setattr(
        "genmod.testing.mutation.authors_tests.inspect.getfile", lambda cls: str(tmp_path / "a.py")
    )
    monkeypatch.setitem(sys.modules, "genmod", type(sys)("genmod"))
    with pytest.raises(UsageError) as raised:
        found_tests(TemplateTracker)
    assert "--tests PATH" in raised.value.hint
    with pytest.raises(UsageError, match="which is not given"):
        run(["check", "prior/normal", "--tests", str(tmp_path)])


def test_where_no_process_can_be_copied_it_is_refused(registry, monkeypatch):
    monkeypatch.setattr("genmod.testing.mutation.examine.can_fork", lambda: False)
    [case], _, _ = prepare(TemplateDataset, registry)
    with pytest.raises(UsageError, match="cannot make"):
        examine([case], registry)


@needs_fork
def test_a_process_that_dies_or_does_not_end_has_no_result():
    import os
    import time

    jobs = [lambda: os._exit(3), lambda: 1 / 0, lambda: {"a": [1]}]
    found = dict(forked(jobs, processes=3))
    assert found == {0: "its process ended", 1: "ZeroDivisionError: division by zero", 2: {"a": [1]}}
    assert isinstance(found[0], Died)
    assert isinstance(found[1], Died)
    [(_, late)] = forked([lambda: time.sleep(600)], limit=0.5)
    assert isinstance(late, Died)
    assert late == "it did not end in 0.5 seconds"
