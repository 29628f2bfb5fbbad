"""Laws for reading datasets: whenever, in whatever order and in whichever process, it gives the same."""

import hashlib
import json

import torch

from genmod.data.dataset import DataInfo, Dataset, Split
from genmod.testing.case import Case
from genmod.testing.check import CheckFailed, check_for, expect
from genmod.testing.checks.datasets import CHUNK, SPLITS, chunks, opened, same
from genmod.testing.checks.modules import random_state_untouched

__all__ = ["digests"]


def digests(split: Split) -> tuple[str, str]:
    """Digests of the examples of a split with their labels: in their order, and whatever their order is."""
    whole, each = hashlib.sha256(str(len(split)).encode()), 0
    for batch in chunks(split):
        for tensor in (batch.x, batch.labels, batch.factors):
            if tensor is not None:
                whole.update(tensor.contiguous().numpy().tobytes())
        for row in batch.x.contiguous():
            each += int.from_bytes(hashlib.blake2b(row.numpy().tobytes(), digest_size=12).digest())
    return whole.hexdigest(), f"{each % 2**96:x}"


@check_for(
    "dataset",
    remedy="shuffle with a generator of your own and a fixed seed, made anew for each split, or with none",
)
def check_fixed(case: Case) -> None:
    """The splits are the same for every random state, which they do not change, and in whatever order they are read."""
    found = []
    for seed, names in ((1, SPLITS), (2, SPLITS[::-1])):
        torch.manual_seed(seed)
        dataset = opened(case)
        with random_state_untouched("reading it"):
            found.append({name: digests(dataset.split(name))[0] for name in names})
    for name in SPLITS:
        expect(found[0][name] == found[1][name], f"{name} differs between two readings")
    for name in SPLITS:
        first, again = (next(chunks(dataset.split(name))).x for _ in range(2))
        expect(same(first, again), f"{name} differs where it is asked for again")


@check_for(
    "dataset",
    remedy="keep the order of the indices for all that an example has, and let an index beyond the end raise IndexError",
)
def check_indices(case: Case) -> None:
    """Examples are fetched by index with their labels, in any order and repeatedly, and none from beyond the end."""
    dataset = opened(case)
    split = dataset.split("train")
    places = [0, len(split) - 1, 0, len(split) // 2, len(split) // 3]
    batch = split.__getitems__(places)
    for i, place in enumerate(places):
        alone = split.__getitems__([place])
        for what in ("x", "labels", "factors"):
            here, there = getattr(batch, what), getattr(alone, what)
            right = here is None or there is None or same(here[i : i + 1], there)
            other = "another example" if what == "x" else f"other {what}"
            expect(right, f"index {place} gives {other} alone")
    nothing = tuple(split.__getitems__([]).x.shape)
    expect(nothing == (0, *dataset.info.shape), f"no indices give examples of shape {nothing}")
    try:
        split.__getitems__([len(split)])
    except IndexError:
        pass
    else:
        raise CheckFailed(f"index {len(split)} of {len(split)} examples is no IndexError")
    memory = split.in_memory()
    if memory is None:
        return
    expect(len(memory) == len(split), f"in memory there are {len(memory)} of {len(split)} examples")
    for what in ("x", "labels", "factors"):
        here, there = getattr(memory, what), getattr(batch, what)
        right = here is None or there is None or same(here[places], there)
        other = "examples" if what == "x" else what
        expect(right, f"in memory there are other {other} than by index")


@check_for(
    "dataset",
    remedy="draw from a generator with the seed (seed, step, index) for each example: on nothing else may it depend",
)
def check_varied(case: Case) -> None:
    """What training is given anew each time depends on seed, step and index alone, and is an example as declared."""
    dataset = opened(case)
    split = dataset.split("train")
    if not split.varies:
        return
    places = [0, len(split) - 1, len(split) // 2, 0]
    torch.manual_seed(1)
    with random_state_untouched("varying examples"):
        batch = split.varied(places, seed=3, step=7)
    shape = tuple(batch.x.shape)
    expect(shape == (len(places), *dataset.info.shape), f"varied examples have the shape {shape}")
    torch.manual_seed(2)
    for i, place in enumerate(places):
        alone = split.varied([place], seed=3, step=7).x
        right = same(alone, batch.x[i : i + 1])
        expect(right, f"index {place} at one seed and step is another example alone than within a batch")
    many = list(range(min(len(split), 64)))
    here = split.varied(many, seed=3, step=7).x
    for what, there in (
        ("step", split.varied(many, seed=3, step=8).x),
        ("seed", split.varied(many, seed=4, step=7).x),
    ):
        expect(
            not same(here, there),
            f"{len(many)} examples are the same at another {what}, and varies = True is declared",
        )


@check_for(
    "dataset",
    remedy="let places say where everything() has each example of a split, or let both be None",
)
def check_everything(case: Case) -> None:
    """All examples in the order of the file are those of the splits, where ``places`` says that they are."""
    dataset = opened(case)
    every = dataset.everything()
    for name in SPLITS:
        places = dataset.places(name)
        expect(
            (places is None) == (every is None),
            f"everything() is None, and places({name!r}) is not, or reversed",
        )
        if places is None or every is None:
            continue
        split = dataset.split(name)
        expect(len(places) == len(split), f"{name} has {len(split)} examples and {len(places)} places")
        some = torch.linspace(0, len(split) - 1, min(len(split), CHUNK)).long()
        here, there = split.__getitems__(some.tolist()), every.__getitems__(places[some].tolist())
        for one, other in ((here.x, there.x), (here.labels, there.labels), (here.factors, there.factors)):
            alike = one is None or other is None or same(one, other)
            expect(alike, f"{name} differs from what is at its places")
        if every.names is not None and split.names is not None:
            names = [every.names[place] for place in places[some].tolist()]
            expect(names == [split.names[i] for i in some.tolist()], f"{name} has other names there")


@check_for("dataset", remedy="describe the data by numbers and names alone")
def check_description(case: Case) -> None:
    """The data description survives JSON, and is the same each time."""
    dataset: Dataset = opened(case)
    again = DataInfo.from_json(json.loads(json.dumps(dataset.info.to_json(), allow_nan=False)))
    expect(again == dataset.info, f"{dataset.info} came back as {again}")
