"""The contract of a kind: every attribute, method and law, explained, read from the sources alone."""

import importlib
import inspect
import pydoc
import sys
from pathlib import Path

import pytest

from genmod.registry.component import KINDS
from genmod.registry.provided import import_target
from genmod.scaffold.contract import contract, laws
from genmod.scaffold.contract_text import page
from genmod.system.explained import explained, members_of, unexplained
from genmod.testing import CHECKS

CLASSES = {kind: target for kind, target in KINDS.items() if target}
PAGE = Path(__file__).parents[2] / "docs" / "contracts.md"


def described(document):
    yield from (document, *document["related"], document["every"]["record"])
    yield from (document["every"][key] for key in ("class", "cases") if key in document["every"])


def members(document):
    return {each["name"]: each for each in (*document["attributes"], *document["methods"])}


@pytest.mark.parametrize("kind", KINDS)
def test_every_member_is_explained(kind):
    for each in described(contract(kind)):
        assert each["description"], each["class"]
        for member in members(each).values():
            assert member["doc"], (each["class"], member["name"])


@pytest.mark.parametrize("kind", CLASSES)
def test_no_attribute_and_no_method_is_left_out(kind):
    """Against what Python knows of the class."""
    cls = import_target(KINDS[kind])
    own = [base for base in cls.__mro__ if base.__module__.startswith("genmod.")]
    there = {name for base in own for name in (*vars(base), *vars(base).get("__annotations__", {}))}
    document = contract(kind)
    given = {line.partition(":")[0] for line in document["arguments"].splitlines()}
    assert {name for name in there if not name.startswith("_")} <= set(members(document)) | given
    assert {name for name, each in members(document).items() if each["abstract"]} == cls.__abstractmethods__


@pytest.mark.parametrize("kind", KINDS)
def test_laws_are_the_checks_that_apply(kind):
    there = sorted((each.name, each.summary, each.remedy, each.slow) for each in CHECKS if kind in each.kinds)
    assert sorted(tuple(each.values()) for each in laws(kind)) == there
    assert there


@pytest.mark.parametrize("kind", KINDS)
def test_classes_are_where_it_says(kind):
    for each in described(contract(kind)):
        module, _, name = each["class"].rpartition(".")
        if name != "ComponentClass":  # which only describes
            assert inspect.isclass(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("kind", CLASSES)
def test_help_explains_every_attribute_and_begins_with_it(kind):
    cls = import_target(KINDS[kind])
    doc = inspect.getdoc(cls)
    for each in members_of(*KINDS[kind].split(":")):
        if each.kind == "attribute":
            assert f"\n    {each.name} ({each.type}" in doc
    shown = [line.strip(" |") for line in pydoc.plain(pydoc.render_doc(cls)).splitlines()]
    assert doc.splitlines()[0] in shown[:12]  # after the signature, of several lines since Python 3.13


@pytest.mark.parametrize("kind", KINDS)
def test_functions_are_where_it_says(kind):
    document = contract(kind)
    for each in [*document["functions"], *document["every"].get("processes", ())]:
        room, _, name = each["name"].rpartition(".")
        found = getattr(importlib.import_module(room), name)
        assert list(inspect.signature(found).parameters)
        assert inspect.getdoc(found) == each["doc"] != ""


SOURCE = """
class Base:
    '''A base.'''
    told: int = 3
    '''What it is.'''
    untold: int

class Mine(Base):
    '''A class.

    Args:
        x: a number.
    '''
    def __init__(self, x: float):
        self.x = x
        self.made = 1.0
    def explained(self) -> int:
        '''It is.'''
    def unexplained(self) -> int: ...
    def _private(self): ...
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "some_contract.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("some_contract")
    sys.modules.pop("some_contract")


def test_a_new_one_without_an_explanation_is_found(module):
    assert unexplained("some_contract", "Mine") == ["made", "unexplained() -> int", "untold: int"]
    doc = explained(module.Mine).__doc__
    assert doc.endswith("Attributes:\n    told (int, default 3):\n        What it is.")
    assert "untold" not in doc


def test_the_page_is_that_of_the_classes():
    written = PAGE.read_text(encoding="utf-8") == page()
    assert written, "python -m genmod.scaffold.contract_text > docs/contracts.md"
