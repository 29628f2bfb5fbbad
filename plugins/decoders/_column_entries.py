"""The likelihoods of columns, as they are written or by the kinds of the columns."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from genmod import Column, DataInfo, UsageError

__all__ = ["Entry", "entries_of", "infos_of", "suitable"]

_ENTRY = re.compile(r"(?P<name>[^:*\s]+)(?::(?P<levels>\d{1,6}))?(?P<star>\*(?P<count>\d{1,9})?)?")


@dataclass(frozen=True)
class Entry:
    """Neighbouring columns with one likelihood."""

    text: str
    name: str
    levels: int | None
    count: int
    options: tuple[tuple[str, Any], ...] = ()


def entries_of(text: str, size: int) -> list[Entry]:
    """The entries of the option, for a table of so many columns.

    Raises:
        UsageError: it cannot be read, or describes another number of columns.
    """
    found = []
    for part in text.split(","):
        match = _ENTRY.fullmatch(part.strip())
        if match is None or match["levels"] in ("0", "1") or match["count"] == "0":
            raise UsageError(
                f"{part.strip()!r} is no entry of decoder.columns",
                hint="write a likelihood, :LEVELS if it has any, *COUNT for several columns: gaussian*3,categorical:5",
            )
        # 0 stands for all the columns that the other entries leave over.
        count = int(match["count"] or 0) if match["star"] else 1
        levels = int(match["levels"]) if match["levels"] else None
        found.append(Entry(part.strip(), match["name"], levels, count))
    left, takers = size - sum(entry.count for entry in found), [e for e in found if e.count == 0]
    if len(takers) > 1 or (left < 1 if takers else left != 0):
        said = sum(entry.count for entry in found)
        raise UsageError(
            f"decoder.columns={text!r} describes {f'{said} and more' if takers else said} columns; the data have {size}",
            hint="let one entry end in * to take all columns that are left: gaussian*",
        )
    return [replace(entry, count=entry.count or left) for entry in found]


def suitable(data: DataInfo) -> tuple[list[Entry], list[int]]:
    """An entry for all columns of one kind, which have scales of their own, and the columns in the order of the entries."""
    alike: dict[Entry, list[int]] = {}
    for place, column in enumerate(data.modelled):
        alike.setdefault(_likelihood(column), []).append(place)
    entries = [replace(entry, count=len(places)) for entry, places in alike.items()]
    return entries, [place for places in alike.values() for place in places]


def _likelihood(column: Column) -> Entry:
    if column.coded and column.kind != "binary":
        return Entry(f"categorical:{len(column.values)}", "categorical", len(column.values), 1)
    if column.kind == "binary":
        return Entry("bernoulli", "bernoulli", None, 1)
    if column.kind == "count":
        return Entry("negative-binomial", "negative-binomial", None, 1)
    if column.modes > 1:
        return Entry(
            f"gaussian-mixture of {column.modes}",
            "gaussian-mixture",
            None,
            1,
            (("components", column.modes),),
        )
    return Entry("gaussian", "gaussian", None, 1, (("scale", "per-dimension"),))


def infos_of(entry: Entry, data: DataInfo) -> Iterator[DataInfo]:
    """Ranges that the columns of an entry may have; the first that the likelihood accepts is taken."""
    shape = (entry.count,)
    # Statistics and names are those of all columns.
    data = replace(data, shape=shape, shift=(), scale=(), columns=())
    if entry.levels is not None:
        if entry.levels == data.levels:
            yield data
        yield DataInfo(shape, low=0.0, high=entry.levels - 1.0, levels=entry.levels)
        return
    yield data
    yield DataInfo(shape)
    yield DataInfo(shape, levels=2)
    yield DataInfo(shape, high=float("inf"), counts=True)
