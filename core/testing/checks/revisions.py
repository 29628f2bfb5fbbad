"""Laws for components whose options once were others."""

import copy
from collections.abc import Mapping
from typing import Any

from genmod.errors import GenmodError
from genmod.options.schema import same_options, validate
from genmod.testing.case import Case
from genmod.testing.check import CheckFailed, check_for, expect
from genmod.testing.checks.contract import CLASSES

__all__: list[str] = []


@check_for(
    *CLASSES,
    remedy="return today's options from a staticmethod migrate(options, revision), and declare old ones: "
    'check_cases = {"old_options": [(1, {"width": 8})]}',
    once=True,
    needs="class",
)
def check_migrate(case: Case) -> None:
    """Options of every earlier revision become options of today, by ``migrate``, which is run on them."""
    now = case.provided.component.revision if case.provided else None
    migrate = getattr(case.cls, "migrate", None)
    old = case.cases.old_options
    if now in (1, None) and not old:
        return
    expect(callable(migrate), f"it is at revision {now or 'after ' + str(old[-1][0])} and has no migrate")
    if migrate is same_options:
        return
    for revision in range(1, now or 1):
        there = any(given == revision for given, _ in old)
        expect(
            there, f"migrate was never run: no options of revision {revision} are given, and it is at {now}"
        )
    for revision, options in old:
        expect(
            revision < (now or revision + 1), f"old options are of revision {revision}, and it is at {now}"
        )
        _check(case, migrate, revision, options)


def _check(case: Case, migrate: Any, revision: int, options: Mapping[str, Any]) -> None:
    given = copy.deepcopy(dict(options))
    what = f"options of revision {revision}, {dict(options)},"
    try:
        found = migrate(given, revision)
    except Exception as error:
        raise CheckFailed(f"{what} are not converted: {type(error).__name__}: {error}") from error
    expect(isinstance(found, Mapping), f"{what} became a {type(found).__name__}, not options by name")
    try:
        # What a file has is given in full: what is missing of it would silently take today's default.
        values = validate(case.cls, dict(found), case.kind)
    except GenmodError as error:
        raise CheckFailed(f"{what} became {dict(found)}, which are refused: {error.message}") from error
    left = [name for name in values if name not in found and name in options]
    expect(not left, f"{what} became {dict(found)}, which lost {', '.join(left)}")
    again = migrate(copy.deepcopy(dict(options)), revision)
    expect(dict(again) == dict(found), f"{what} became {dict(found)}, and then {dict(again)}")
