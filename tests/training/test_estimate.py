"""What each process would take, computed without weights, against what a run in one process takes."""

import pytest

import genmod
from genmod.errors import UsageError
from genmod.model.assembly import open_dataset
from genmod.training import precision
from genmod.training.estimate import estimate, too_large
from genmod.training.plan import plan
from genmod.training.settings import TrainSettings

DEEP = {"encoder": {"name": "resnet", "channels": [8], "blocks": 3, "hidden": 16}, "latent": 2}


@pytest.fixture(scope="module")
def model():
    return genmod.build(**DEEP)


def taken(model, processes=1, **settings):
    how = TrainSettings(device="cpu", **{"batch_size": 64, "steps": 2, **settings})
    return estimate(model.spec, model.data, open_dataset(model.spec), how, processes)


def test_one_process_takes_what_was_measured(model):
    found = taken(model, ema=0.9)
    tried = plan(genmod.build(**DEEP), None, TrainSettings(device="cpu", batch_size=64, steps=2, ema=0.9))
    for name in ("weights", "gradients", "optimizer", "averages", "data", "best weights"):
        assert found.memory[name] == tried.memory[name], name
    # What is kept for gradients, and what lives for a moment while they are computed.
    assert tried.memory["activations"] < found.memory["activations"] < 2 * tried.memory["activations"]
    assert found.with_checkpointing < found.memory["activations"] / 2
    assert (found.trained, found.parameters) == (tried.trained, tried.parameters)


def test_processes_share_what_is_sharded(model):
    one, four, whole = taken(model), taken(model, 4, strategy="fsdp"), taken(model, 4)
    for name in ("weights", "gradients", "optimizer"):
        assert one.memory[name] / 4 <= four.memory[name] < one.memory[name] / 2
        assert whole.memory[name] == one.memory[name]
    assert four.memory["gathered weights"] == one.memory["weights"]
    assert one.batch == 4 * four.batch
    assert 3.5 < one.memory["activations"] / four.memory["activations"] < 4.5


def test_a_part_of_a_batch_takes_what_a_smaller_batch_takes(model):
    parts, small = taken(model, accumulate=4), taken(model, batch_size=16)
    assert parts.memory["activations"] == small.memory["activations"]


def test_in_16_bits_less_is_gathered_and_no_copies_are_kept(monkeypatch):
    monkeypatch.setattr(precision, "has_bf16", lambda device: True)
    small = genmod.build(encoder={"name": "mlp", "hidden": [64, 64]}, latent=2)
    low, high = (taken(small, 2, strategy="fsdp", precision=each) for each in ("auto", "32"))
    assert [each.settings["precision"] for each in (low, high)] == ["bf16", "32"]
    for name in ("weights", "gradients", "optimizer"):
        assert low.memory[name] == high.memory[name]
    assert low.memory["gathered weights"] < 0.6 * high.memory["gathered weights"]
    assert low.memory["activations"] < high.memory["activations"]


def test_a_batch_that_cannot_be_shared_is_refused(model):
    with pytest.raises(UsageError, match="64 in 2 parts cannot be shared evenly among 3 processes"):
        taken(model, 3, accumulate=2)


def test_what_fits_is_tried(model, monkeypatch):
    settings = TrainSettings(device="cpu")
    assert not too_large(model.spec, model.data, settings)
    monkeypatch.setattr("genmod.training.estimate.physical_memory", lambda: 1000.0)
    assert too_large(model.spec, model.data, settings)
