"""The list of slow tests names tests that there are."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
LINES = [line for line in (TESTS / "slow.txt").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]


def test_each_is_there_once_and_in_order():
    assert sorted(set(LINES)) == LINES
    for line in LINES:
        file, function = re.fullmatch(r"(tests/[\w/]+\.py)::(?:\w+::)?(\w+)(?:\[.*\])?", line).groups()
        assert f"def {function}(" in (TESTS.parent / file).read_text(encoding="utf-8"), line
