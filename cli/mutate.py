"""What ``genmod check --mutate`` prints."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genmod.cli import console

if TYPE_CHECKING:
    from genmod.testing.mutation.examine import Fault

__all__ = ["show_faults"]

_WIDEST = (
    "test examples are among those of training",
    "check_sampler_random_state",
    "test_mine.py::test_scipy",
    "assert 2.0 == 1.0 ± 1.0e-06 " * 3,
)
"""Cells by which the columns are set, before the rows are known."""


def show_faults(
    targets: Sequence[str],
    options: Mapping[str, Any],
    tests: Sequence[Path],
    root: Path | None,
    *,
    json: bool = False,
) -> bool:
    """Plant faults and print what noticed each, as soon as it is known; whether all were noticed.

    Args:
        targets: what to plant them in.
        options: of the components, by ``kind.option``.
        tests: files and folders of tests; those beside each component where there are none.
        root: folder with data files.
        json: print one document in place of a table, at the end.
    """
    from genmod.registry.lookup import current_registry
    from genmod.testing.mutation.examine import examine
    from genmod.testing.prepare import prepare

    cases, registry, _ = prepare(targets, current_registry(), options, root=root)
    show = console.print_rows(
        ["component", "fault", "the kit", "your tests", "why"], (max(c.label for c in cases), *_WIDEST)
    )

    def on_fault(fault: "Fault") -> None:
        if not json:
            show((fault.component, fault.fault, _kit(fault), fault.test or _none(fault), fault.why))

    found = examine(cases, registry, tests, on_fault=on_fault)
    missed = [fault for fault in found if not fault.noticed]
    if json:
        console.print_json({"ok": not missed, "faults": [fault.to_json() for fault in found]})
    else:
        console.print_text(_summary(found))
    if missed:
        what = "fault is" if len(missed) == 1 else "faults are"
        console.error(
            f"{len(missed)} {what} noticed by nothing: {', '.join(fault.fault for fault in missed[:4])}"
            + (", …" if len(missed) > 4 else ""),
            "write a test that fails by it; docs/kit.md says how",
        )
    return bool(found) and not missed


def _kit(fault: "Fault") -> str:
    if fault.kit:
        return fault.kit
    return _none(fault) if fault.meant else "cannot know"


def _none(fault: "Fault") -> str:
    return "no" if fault.changed else "-"


def _summary(found: "Sequence[Fault]") -> str:
    kit, tests = sum(bool(fault.kit) for fault in found), sum(bool(fault.test) for fault in found)
    same = sum(not fault.changed for fault in found)
    neither = sum(not fault.noticed for fault in found)
    return (
        f"{len(found)} faults planted: {kit} noticed by the kit, {tests} by your tests, {neither} by neither; "
        f"{same} change nothing here"
    )
