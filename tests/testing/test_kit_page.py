"""The page of the kit: its table is that of the planted faults, and what it says to type can be typed."""

import re
import shlex
from dataclasses import fields

import planted_table
import pytest

from genmod.cli.app import load_command
from genmod.registry.component import KINDS
from genmod.testing import Cases

TEXT = planted_table.PAGE.read_text(encoding="utf-8")
ROWS = {
    row[0]: [int(cell or 0) for cell in row[1:]]
    for row in re.findall(
        r"^\| (\w+) \| (\d*) \| (\d*) \| (\d*) \|$", TEXT.partition(planted_table.TITLE)[2], re.M
    )
}


def test_the_table_counts_what_is_planted():
    faults, right = planted_table.counts()
    assert {kind: (row[0], row[2]) for kind, row in ROWS.items() if kind != "all"} == {
        kind: (faults[kind], right[kind]) for kind in KINDS
    }, "python tests/testing/planted_table.py --write, or with --trust-tests"
    assert ROWS["all"] == [sum(row[i] for kind, row in ROWS.items() if kind != "all") for i in range(3)]


def test_nearly_all_are_caught():
    planted, caught, _ = ROWS["all"]
    assert planted >= 120
    assert caught >= 0.98 * planted


@pytest.mark.parametrize("line", re.findall(r"^(genmod .*?)(?:  +#.*)?$", TEXT, re.M))
def test_what_is_typed_has_its_options(line):
    words = shlex.split(line)
    known = {name for parameter in load_command(words[1]).params for name in parameter.opts}
    assert {word for word in words[2:] if word.startswith("-")} <= known | {"--verbose"}


def test_every_field_of_the_cases_is_explained():
    explained = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", TEXT, re.M)))
    assert explained == [name for name in explained if name in {field.name for field in fields(Cases)}]
    assert set(explained) == {field.name for field in fields(Cases)}
