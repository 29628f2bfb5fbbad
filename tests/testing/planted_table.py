"""The table of planted faults in ``docs/kit.md``: kind, planted, caught, and right components that pass.

``python tests/testing/planted_table.py`` prints it, and with ``--write`` writes it into the page. It runs each fault, in
some minutes; with ``--trust-tests`` none, where ``test_planted_faults.py`` has just passed, which holds that each is caught.
"""

import importlib
import sys
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import correct
import planted

from genmod.registry.component import KINDS
from genmod.registry.lookup import Registry, use_registry
from genmod.testing import CHECKS
from genmod.testing.prepare import prepare
from genmod.testing.runner import run_one
from genmod.testing.selection import select

PAGE = Path(__file__).parents[2] / "docs" / "kit.md"
TITLE = "| kind | faults planted | caught by the check meant for them | right components that pass |"
REGISTRY = Registry(third_party=False)


def everything():
    """All planted faults and all right components, and the kinds of those that are texts or records."""
    for package in (planted, correct):
        for file in sorted(Path(package.__file__).parent.glob("[a-z]*.py")):
            importlib.import_module(f"{package.__name__}.{file.stem}")
    texts = importlib.import_module("test_planted_faults")
    records = [record.split('"')[1] for _, record, _ in texts.RECORDS]
    return (
        planted.FAULTS,
        correct.CORRECT,
        records + ["recipe"] * len(texts.RECIPES) + ["reproduction"] * len(texts.REPRODUCTIONS),
    )


def kind_of(target):
    """The kind of a component."""
    return select(target, REGISTRY)[0][0].kind


def caught(fault):
    """Whether the check that is meant for a fault catches it."""
    warnings.simplefilter("ignore")
    [case], registry, _ = prepare(fault.target, REGISTRY)
    with use_registry(registry):
        check = next(check for check in CHECKS if check.name == fault.check)
        return run_one(case, check).status == "failed"


def counts():
    """Faults and right components of each kind; those that are texts or records are caught by tests of their own."""
    faults, right, others = everything()
    planted_ones = Counter([*(kind_of(fault.target) for fault in faults), *others])
    return planted_ones, Counter(kind_of(each.target) for each in right)


def table():
    """The table, each fault run against its check."""
    faults, _, others = everything()
    planted_ones, right = counts()
    seen = Counter(others)
    # In one process, because what checks share takes longer to make than they do.
    for fault in faults:
        found = "--trust-tests" in sys.argv or caught(fault)
        seen[kind_of(fault.target)] += found
        if not found:
            sys.stderr.write(f"not caught: {fault.target.__name__} by {fault.check}\n")
    rows = [TITLE, "|---|---|---|---|"]
    for kind in KINDS:
        rows.append(f"| {kind} | {planted_ones[kind]} | {seen[kind]} | {right[kind] or ''} |")
    rows.append(f"| all | {planted_ones.total()} | {seen.total()} | {right.total()} |")
    return "\n".join(rows) + "\n"


def main():
    """Print the table, or write it."""
    made = table()
    if "--write" not in sys.argv:
        sys.stdout.write(made)
        return
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(text.partition(TITLE)[0] + made, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
