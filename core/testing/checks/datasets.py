"""Laws for datasets: what examples and labels are, and that the splits have none in common."""

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from genmod.data.dataset import Batch, DataInfo, Dataset, Split, SplitName, default_root
from genmod.errors import DataError
from genmod.options.schema import options_of, validate
from genmod.testing.case import Case, NotApplicable
from genmod.testing.check import CheckFailed, check_for, expect

__all__ = ["CHUNK", "SPLITS", "chunks", "opened", "same"]

SPLITS: tuple[SplitName, ...] = get_args(SplitName)
CHUNK = 500
_MOST = 50_000
"""Examples of each split that are read, at most."""
_TWINS = 0.01
"""Share of the smaller split that may also be in another one: natural twins."""


def opened(case: Case) -> Dataset:
    """The dataset.

    Raises:
        CheckFailed: the file that was given is not there, or cannot be read.
        NotApplicable: its files are not there, and none was named.
    """
    values = validate(case.cls, case.options, case.kind)
    try:
        dataset: Dataset = case.cls(default_root(case.root), **values)
        dataset.info  # noqa: B018 - reading it may need the files
        dataset.split("train")
    except DataError as error:
        hint = f"; {error.hint.splitlines()[0]}" if error.hint else ""
        if any(isinstance(values[name], Path) for name in case.options if name in values):
            raise CheckFailed(f"what was given cannot be read: {error.message}{hint}") from error
        raise NotApplicable(f"its data are not there: {error.message.splitlines()[0]}{hint}") from None
    return dataset


def same(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors are equal, NaN where the other has it too."""
    return first.shape == second.shape and bool(
        ((first == second) | (first != first) & (second != second)).all()
    )


def chunks(split: Split) -> Iterator[Batch]:
    """All examples, or the first ones of very many."""
    length = min(len(split), _MOST)
    for start in range(0, length, CHUNK):
        yield split.__getitems__(range(start, min(start + CHUNK, length)))


def _keys(split: Split) -> list[bytes]:
    """A short digest of each example."""
    return [
        hashlib.blake2b(row.numpy().tobytes(), digest_size=12).digest()
        for batch in chunks(split)
        for row in batch.x.contiguous()
    ]


@check_for(
    "dataset",
    remedy="store uint8 with levels, int32 with more than 256, float32 without, and declare low, high and levels as they are",
)
def check_examples(case: Case) -> None:
    """Examples have the declared shape, type and range; NaN where values may be missing, and nowhere else."""
    dataset = opened(case)
    info = dataset.info
    wanted = {torch.float32} if info.levels is None else {torch.uint8}
    if (info.levels or 0) > 256:
        wanted = {torch.int16, torch.int32}
    if info.counts:
        wanted |= {torch.uint8, torch.int16, torch.int32, torch.int64}
    if info.missing:  # whole numbers have no NaN
        wanted |= {torch.float32}
    options = [option.name for option in options_of(case.cls)]
    hint = "; where values may be missing: -s dataset.missing=true" if "missing" in options else ""
    for name in SPLITS:
        for batch in chunks(dataset.split(name)):
            shape = tuple(batch.x.shape[1:])
            expect(shape == info.shape, f"{name} has examples of shape {shape}, declared is {info.shape}")
            expect(
                batch.x.dtype in wanted,
                f"{name} is stored as {batch.x.dtype}; with levels={info.levels} it is {', '.join(map(str, wanted))}",
            )
            _check_values(name, info, batch.x, hint)


def _check_values(name: str, info: DataInfo, stored: Tensor, hint: str) -> None:
    if info.levels is not None and not stored.is_floating_point():
        least, most = int(stored.min()), int(stored.max())
        expect(
            least >= 0 and most < info.levels,
            f"{name} has levels from {least} to {most}; there are {info.levels}",
        )
    values = info.values(stored)
    lost = int(values.isnan().sum())
    expect(
        not lost or info.missing,
        f"{name} has {lost} values that are NaN, and missing=False is declared{hint}",
    )
    values = values[~values.isnan()] if lost else values
    if not values.numel():
        return
    expect(values.isfinite().all(), f"{name} has values that are not finite")
    whole = not info.counts or bool((values == values.round()).all())
    expect(whole, f"{name} is declared to be counts and has values that are not whole")
    low, high = float(values.min()), float(values.max())
    expect(
        info.low <= low and high <= info.high,
        f"{name} has values from {low:g} to {high:g}, declared are {info.low:g} to {info.high:g}",
    )
    if info.levels is not None and stored.is_floating_point():
        places = (values.double() - info.low) / (info.high - info.low) * (info.levels - 1)
        off = float((places - places.round()).abs().max())
        expect(off < 1e-3, f"{name} has values that are none of the {info.levels} levels")


@check_for(
    "dataset",
    remedy="give int64 labels below len(classes), (B,), and factors below their sizes, (B, factors), as many as examples",
)
def check_labels(case: Case) -> None:
    """Labels, factors and names exist where they are declared, one for each example, within their ranges."""
    dataset = opened(case)
    info = dataset.info
    sizes = tuple(factor.size for factor in info.factors)
    classes = (len(info.classes),) if info.classes else ()
    for name in SPLITS:
        split = dataset.split(name)
        memory = split.in_memory()
        for batch in itertools.chain([] if memory is None else [memory], chunks(split)):
            _check_whole(name, "labels", batch.labels, classes, (len(batch),))
            _check_whole(name, "factors", batch.factors, sizes, (len(batch), len(sizes)))
        if split.names is not None:
            count = len(split.names)
            expect(count == len(split), f"{name} has {len(split)} examples and {count} names")


def _check_whole(
    split: str, what: str, tensor: Tensor | None, sizes: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    declared = "declared" if sizes else "not declared"
    expect(
        (tensor is None) == (not sizes),
        f"{split}: {what} are {declared}, and {'missing' if sizes else 'there'}",
    )
    if tensor is not None:
        expect(tensor.dtype == torch.int64, f"{split}: {what} are {tensor.dtype}, not torch.int64")
        expect(tensor.shape == shape, f"{split}: {what} have shape {tuple(tensor.shape)}, not {shape}")
        inside = (tensor >= 0) & (tensor < torch.tensor(sizes))
        expect(inside.all(), f"{split}: {int((~inside).sum())} {what} are outside of their range {sizes}")


@check_for(
    "dataset", remedy="cut the data once, in a fixed order, into three parts that have no example in common"
)
def check_splits(case: Case) -> None:
    """The splits are not empty and have no examples in common; natural twins, up to 1 in 100, are allowed."""
    dataset = opened(case)
    info = dataset.info
    # Of few values, or of small splits of them, one example can well be there twice.
    least = 1.0 if info.counts or info.levels is not None or info.missing else 0.0
    keys: dict[SplitName, list[bytes]] = {}
    taken: set[int] = set()
    for name in SPLITS:
        split = dataset.split(name)
        expect(len(split) > 0, f"{name} is empty")
        keys[name] = _keys(split)
        places = dataset.places(name)
        if places is not None:
            again = taken.intersection(places.tolist())
            first = min(again, default=0)
            expect(not again, f"{name} has {len(again)} examples of other splits, the first at place {first}")
            twice = len(places) - len(set(places.tolist()))
            expect(not twice, f"{name} has {twice} examples twice, by their places")
            taken.update(places.tolist())
    for a, b in itertools.combinations(SPLITS, 2):
        common, smaller = len({*keys[a]} & {*keys[b]}), min(len({*keys[a]}), len({*keys[b]}))
        expect(
            common <= max(least, smaller * _TWINS),
            f"{a} and {b} have {common} of {smaller} examples in common",
        )
    for a, b in itertools.permutations(SPLITS, 2):
        _check_ends(a, keys[a], b, keys[b])


def _check_ends(a: str, first: list[Any], b: str, second: list[Any]) -> None:
    """Refuse a split that begins where another one ends: cut off by one."""
    alone = len({*first}) == len(first) and len({*second}) == len(second)
    where = next((i for i in range(1, min(len(first), len(second), 10) + 1) if first[-i:] == second[:i]), 0)
    expect(not (alone and where), f"the last {where} examples of {a} are the first of {b}")
