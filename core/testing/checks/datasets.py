"""Laws for datasets: fixed, disjoint splits of the declared data."""

import hashlib
import itertools
import json
from collections.abc import Iterator
from typing import Any, get_args

import torch
from torch import Tensor

from genmod.data.dataset import Batch, DataInfo, Dataset, Split, SplitName, default_root
from genmod.errors import DataError
from genmod.options.schema import validate
from genmod.testing.case import Case, NotApplicable
from genmod.testing.check import CheckFailed, check_for, expect
from genmod.testing.checks.modules import random_state_untouched

__all__: list[str] = []

_SPLITS: tuple[SplitName, ...] = get_args(SplitName)
_CHUNK = 500
_MOST = 50_000
"""Examples of each split that are read, at most."""


def _open(case: Case) -> Any:
    """The dataset.

    Raises:
        NotApplicable: its files are not there.
    """
    values = validate(case.cls, case.options, case.kind)
    try:
        dataset = case.cls(default_root(case.root), **values)
        dataset.info  # noqa: B018 - reading it may need the files
        dataset.split("train")
    except DataError as error:
        raise NotApplicable(f"its data are not there: {error.message.splitlines()[0]}") from None
    return dataset


def _same(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors are equal, NaN where the other has it too."""
    return first.shape == second.shape and bool(
        ((first == second) | (first != first) & (second != second)).all()
    )


def _chunks(split: Split) -> Iterator[Batch]:
    """All examples, or the first ones of very many."""
    length = min(len(split), _MOST)
    for start in range(0, length, _CHUNK):
        yield split.__getitems__(range(start, min(start + _CHUNK, length)))


def _keys(split: Split) -> set[bytes]:
    """A short digest of each example."""
    return {
        hashlib.blake2b(row.numpy().tobytes(), digest_size=12).digest()
        for batch in _chunks(split)
        for row in batch.x.contiguous()
    }


def _digest(split: Split) -> str:
    whole = hashlib.sha256(str(len(split)).encode())
    for batch in _chunks(split):
        for tensor in (batch.x, batch.labels, batch.factors):
            if tensor is not None:
                whole.update(tensor.contiguous().numpy().tobytes())
    return whole.hexdigest()


@check_for(
    "dataset",
    remedy="store uint8 with levels, int32 with more than 256, float32 without, and declare low, high and levels as they are",
)
def check_examples(case: Case) -> None:
    """Examples have the declared shape, type and range."""
    dataset = _open(case)
    info = dataset.info
    wanted = {torch.float32} if info.levels is None else {torch.uint8}
    if (info.levels or 0) > 256:
        wanted = {torch.int16, torch.int32}
    if info.counts:
        wanted |= {torch.uint8, torch.int16, torch.int32, torch.int64}
    for name in _SPLITS:
        for batch in _chunks(dataset.split(name)):
            shape = tuple(batch.x.shape[1:])
            expect(shape == info.shape, f"{name} has examples of shape {shape}, declared is {info.shape}")
            expect(
                batch.x.dtype in wanted,
                f"{name} is stored as {batch.x.dtype}; with levels={info.levels} it is {', '.join(map(str, wanted))}",
            )
            if info.levels is not None:
                expect(
                    int(batch.x.max()) < info.levels,
                    f"{name} has level {int(batch.x.max())} of {info.levels}",
                )
            values = info.values(batch.x)
            if info.missing:
                values = values[~values.isnan()]
            expect(values.isfinite().all(), f"{name} has values that are not finite")
            whole = not info.counts or bool((values == values.round()).all())
            expect(whole, f"{name} is declared to be counts and has values that are not whole")
            if not len(values):
                continue
            low, high = float(values.min()), float(values.max())
            expect(
                info.low <= low and high <= info.high,
                f"{name} has values from {low:g} to {high:g}, declared are {info.low:g} to {info.high:g}",
            )


@check_for(
    "dataset",
    remedy="give int64 labels below len(classes), (B,), and factors below their sizes, (B, factors)",
)
def check_labels(case: Case) -> None:
    """Labels and factors exist where they are declared, within their ranges."""
    dataset = _open(case)
    info = dataset.info
    for name in _SPLITS:
        for batch in _chunks(dataset.split(name)):
            _check_whole(
                name, "labels", batch.labels, (len(info.classes),) if info.classes else (), (len(batch),)
            )
            sizes = tuple(factor.size for factor in info.factors)
            _check_whole(name, "factors", batch.factors, sizes, (len(batch), len(sizes)))


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
    dataset = _open(case)
    keys = {}
    for name in _SPLITS:
        split = dataset.split(name)
        expect(len(split) > 0, f"{name} is empty")
        keys[name] = _keys(split)
    for a, b in itertools.combinations(_SPLITS, 2):
        common, smaller = len(keys[a] & keys[b]), min(len(keys[a]), len(keys[b]))
        expect(common <= smaller / 100, f"{a} and {b} have {common} of {smaller} examples in common")


@check_for(
    "dataset", remedy="shuffle with a generator of your own and a fixed seed, or with none; read no clock"
)
def check_fixed(case: Case) -> None:
    """The splits are the same for every random state, which they do not change."""
    digests = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        dataset = _open(case)
        with random_state_untouched("reading it"):
            digests.append([_digest(dataset.split(name)) for name in _SPLITS])
    for name, first, second in zip(_SPLITS, *digests, strict=True):
        expect(first == second, f"{name} differs between two readings")


@check_for(
    "dataset",
    remedy="keep the order of the indices, and let an index beyond the end raise IndexError",
)
def check_indices(case: Case) -> None:
    """Examples are fetched by index, in any order and repeatedly, and none from beyond the end."""
    dataset = _open(case)
    split = dataset.split("train")
    places = [0, len(split) - 1, 0, len(split) // 2]
    batch = split.__getitems__(places)
    for i, place in enumerate(places):
        expect(
            _same(batch.x[i : i + 1], split.__getitems__([place]).x),
            f"index {place} gives another example alone",
        )
    nothing = tuple(split.__getitems__([]).x.shape)
    expect(nothing == (0, *dataset.info.shape), f"no indices give examples of shape {nothing}")
    try:
        split.__getitems__([len(split)])
    except IndexError:
        pass
    else:
        raise CheckFailed(f"index {len(split)} of {len(split)} examples is no IndexError")
    memory = split.in_memory()
    if memory is not None:
        expect(len(memory) == len(split), f"in memory there are {len(memory)} of {len(split)} examples")
        expect(_same(memory.x[places], batch.x), "in memory there are other examples than by index")


@check_for(
    "dataset",
    remedy="let places say where everything() has each example of a split, or let both be None",
)
def check_everything(case: Case) -> None:
    """All examples in the order of the file are those of the splits, where ``places`` says that they are."""
    dataset = _open(case)
    every = dataset.everything()
    for name in _SPLITS:
        places = dataset.places(name)
        expect(
            (places is None) == (every is None),
            f"everything() is None, and places({name!r}) is not, or reversed",
        )
        if places is None:
            continue
        split = dataset.split(name)
        expect(len(places) == len(split), f"{name} has {len(split)} examples and {len(places)} places")
        some = torch.linspace(0, len(split) - 1, min(len(split), _CHUNK)).long()
        here, there = split.__getitems__(some.tolist()), every.__getitems__(places[some].tolist())
        for one, other in ((here.x, there.x), (here.labels, there.labels), (here.factors, there.factors)):
            same = one is None or other is None or _same(one, other)
            expect(same, f"{name} differs from what is at its places")
        if every.names is not None and split.names is not None:
            names = [every.names[place] for place in places[some].tolist()]
            expect(names == [split.names[i] for i in some.tolist()], f"{name} has other names there")


@check_for("dataset", remedy="describe the data by numbers and names alone")
def check_description(case: Case) -> None:
    """The data description survives JSON, and is the same each time."""
    dataset: Dataset = _open(case)
    again = DataInfo.from_json(json.loads(json.dumps(dataset.info.to_json(), allow_nan=False)))
    expect(again == dataset.info, f"{dataset.info} came back as {again}")
