"""What every dataset promises, whatever it reads."""

import json

import pytest
import torch

from genmod.data.dataset import DataInfo

SPLITS = ("train", "validation", "test")
NAMES = (
    "digits",
    "mnist",
    "fashion-mnist",
    "cifar10",
    "image-folder",
    "image-folder, sorted",
    "webdataset",
    "npz",
    "npz, standardized",
    "npz, split",
    "npz, levels",
    "npz, binary",
    "sprites",
)


@pytest.fixture(params=NAMES)
def make(request, build):
    return build[request.param]


def whole(split):
    return split.__getitems__(range(len(split)))


def test_every_dataset_is_here(build):
    assert set(NAMES) == set(build)


def test_splits_never_change(make, digest):
    again = make()
    assert [digest(make().split(name)) for name in SPLITS] == [digest(again.split(name)) for name in SPLITS]


def test_splits_are_disjoint_and_not_empty(make):
    dataset = make()
    seen = []
    for name in SPLITS:
        split = dataset.split(name)
        assert len(split) > 0
        seen.append({example.numpy().tobytes() for example in whole(split).x})
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


def test_examples_are_as_declared(make):
    dataset = make()
    info = dataset.info
    for name in SPLITS:
        split = dataset.split(name)
        batch = whole(split)
        assert batch.x.shape == (len(split), *info.shape)
        assert batch.x.dtype == (torch.float32 if info.levels is None else torch.uint8)
        assert info.levels is None or int(batch.x.max()) < info.levels
        values = info.values(batch.x)
        assert values.dtype == torch.float32
        assert bool(torch.isfinite(values).all())
        assert info.low <= float(values.min()) <= float(values.max()) <= info.high


def test_labels_and_factors_are_as_declared(make):
    dataset = make()
    info = dataset.info
    for name in SPLITS:
        batch = whole(dataset.split(name))
        assert (batch.labels is None) == (not info.classes)
        if batch.labels is not None:
            assert batch.labels.dtype == torch.int64
            assert 0 <= int(batch.labels.min()) <= int(batch.labels.max()) < len(info.classes)
        assert (batch.factors is None) == (not info.factors)
        if batch.factors is not None:
            assert batch.factors.dtype == torch.int64
            assert batch.factors.shape == (len(batch), len(info.factors))
            assert bool((batch.factors >= 0).all())
            assert bool((batch.factors < torch.tensor([factor.size for factor in info.factors])).all())


def test_batches_are_fetched_by_index(make):
    split = make().split("train")
    everything = whole(split)
    places = torch.randint(len(split), (11,)).tolist()
    batch = split.__getitems__([*places, places[0]])
    assert torch.equal(batch.x, everything.x[[*places, places[0]]])
    if batch.labels is not None:
        assert torch.equal(batch.labels, everything.labels[[*places, places[0]]])
    if batch.factors is not None:
        assert torch.equal(batch.factors, everything.factors[[*places, places[0]]])
    memory = split.in_memory()
    assert memory is not None
    assert torch.equal(memory.x, everything.x)


def test_no_examples_can_be_fetched(make):
    dataset = make()
    assert dataset.split("train").__getitems__([]).x.shape == (0, *dataset.info.shape)


def test_an_index_beyond_the_end_is_refused(make):
    split = make().split("test")
    with pytest.raises(IndexError):
        split.__getitems__([len(split)])


def test_description_survives_json(make):
    info = make().info
    assert DataInfo.from_json(json.loads(json.dumps(info.to_json(), allow_nan=False))) == info


def test_random_state_is_left_alone(make):
    before = torch.random.get_rng_state()
    whole(make().split("train"))
    assert torch.equal(torch.random.get_rng_state(), before)
