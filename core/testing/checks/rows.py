"""Comparing the rows that a tracker stores with those that it was given."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from genmod.testing.check import expect

__all__ = ["Row", "expect_rows"]

Row = Mapping[str, Any]

_CLOSE = 1e-6
"""Relative: stores may keep single precision."""


def expect_rows(stored: Sequence[Row], given: Sequence[Row], when: str) -> None:
    """Fail unless the stored rows are those that were given: the same values under the same names, in order.

    Values that are None may be left out, and rows of nothing else with them.

    Raises:
        CheckFailed: they are not; says which row and value.
    """
    found = [_there(row) for row in stored]
    wanted = [_there(row) for row in given]
    places = [(row.get("step"), row.get("split")) for row in found]
    for row in wanted:
        place = (row["step"], row["split"])
        count = places.count(place)
        expect(
            count,
            f"{when}: the row of step {place[0]}, {place[1]}, is not stored; {len(found)} of {len(wanted)} are",
        )
        expect(count == 1, f"{when}: the row of step {place[0]}, {place[1]}, is stored {count} times")
    more = [at for at in places if at not in {(row["step"], row["split"]) for row in wanted}]
    expect(not more, f"{when}: rows of {more[:3]} are stored, which are not of this run")
    order = [(row["step"], row["split"]) for row in wanted]
    expect(places == order, f"{when}: rows are stored in the order {places[:6]}…, not {order[:6]}…")
    for there, row in zip(found, wanted, strict=True):
        at = f"{when}: in the row of step {row['step']}, {row['split']},"
        for name in {**row, **there}:
            expect(name in there, f"{at} {name!r} is {row.get(name)!r} and is not stored")
            expect(name in row, f"{at} {name!r} is stored as {there.get(name)!r} and was not given")
            expect(
                _same(there[name], row[name]),
                f"{at} {name!r} is {row[name]!r} and is stored as {there[name]!r}",
            )


def _there(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _same(stored: Any, given: Any) -> bool:
    if isinstance(given, str) or isinstance(stored, str):
        return bool(stored == given)
    return isinstance(stored, int | float) and math.isclose(stored, given, rel_tol=_CLOSE)
