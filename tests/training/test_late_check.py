"""Checks that are looked at later: a run is the same, fails at the same step, and leaves the same behind."""

import math

import pytest
import torch

import genmod
from genmod.training import late_check
from genmod.training.checkpoint import newest
from genmod.training.late_check import LateCheck, Seen, may_look_late
from genmod.training.nonfinite import NonFiniteError

SMALL = {"encoder": {"name": "mlp", "hidden": [16]}, "latent": 2}
BAD = 7
"""The one step that goes wrong, counted from 1; those that follow would be well."""


@pytest.fixture
def later(monkeypatch):
    monkeypatch.setattr(late_check, "RUNS_BEHIND", {"cpu"})


def spoil(model, parts=1):
    terms, calls = model.terms, 0

    def spoiled(x):
        nonlocal calls
        calls += model.training
        found = terms(x)
        return genmod.Terms(found.loss * math.nan, found.values) if calls == BAD * parts else found

    model.terms = spoiled


def built(codes):
    return genmod.build("vq-vae", settings={"posterior.revive": 0.9}) if codes else genmod.build(**SMALL)


@pytest.mark.parametrize(
    ("codes", "settings"),
    [
        pytest.param(False, {"accumulate": 2, "clip": 1.0, "ema": 0.9}, id="parts and averages"),
        pytest.param(False, {"optimizer": "sgd"}, id="sgd"),
        pytest.param(True, {}, id="codes that are revived", marks=pytest.mark.slow),
    ],
)
def test_steps_after_a_bad_one_move_nothing(codes, settings, later, tmp_path):
    model, reference = built(codes), built(codes)
    spoil(model, settings.get("accumulate", 1))
    with pytest.raises(NonFiniteError) as error:
        genmod.train(model, directory=tmp_path / "m", steps=13, device="cpu", **settings)
    assert error.value.message.startswith(f"step {BAD} gave a loss")
    genmod.train(reference, directory=tmp_path / "r", steps=BAD - 1, device="cpu", **settings)
    kept, _ = newest(tmp_path / "m" / "non-finite")
    last, _ = newest(tmp_path / "r" / "checkpoints")
    assert kept.step == last.step == BAD - 1
    for group, tensors in last.tensors.items():
        if group != "best":
            assert all(torch.equal(kept.tensors[group][name], t) for name, t in tensors.items()), group
    # The reference has written its row at the end, so that its sums begin again.
    assert kept.state["run"]["means"]["count"] == (BAD - 1) * 128
    assert all(math.isfinite(value) for value in kept.state["run"]["means"]["sums"].values())


@pytest.mark.parametrize("settings", [{}, {"skip": 4.7}, {"accumulate": 2, "clip": 1.0}])
def test_the_same_run(settings, monkeypatch):
    """With as many steps left out where their gradient is large; averages, whose formula is another, are left out here."""
    results = []
    for devices in (set(), {"cpu"}):
        monkeypatch.setattr(late_check, "RUNS_BEHIND", devices)
        model = genmod.build(**SMALL)
        rows = genmod.train(model, steps=25, log_every=5, device="cpu", **settings).rows
        results.append((model.state_dict(), rows))
    (weights, rows), (others, other_rows) = results
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert rows == other_rows
    if "skip" in settings:
        assert 0 < rows[-2]["skipped"] < 25


def test_averages_stay_within_rounding(monkeypatch):
    found = []
    for devices in (set(), {"cpu"}):
        monkeypatch.setattr(late_check, "RUNS_BEHIND", devices)
        model = genmod.build(**SMALL)
        genmod.train(model, steps=15, ema=0.9, device="cpu")
        found.append(model.state_dict())
    for name, weight in found[0].items():
        torch.testing.assert_close(found[1][name], weight)


def test_steps_are_counted_to_the_first_bad_one():
    late = LateCheck(torch.device("cpu"), together=False)
    one = torch.ones(2)
    late.see([one[0]], [one])
    assert late.stays(torch.tensor(3.0), 2.0) == 1
    assert late.look() == Seen(stopped=False, steps=1, skipped=1)
    late.see([one[0]], [one])
    late.see([one[0] * math.inf], [one])
    late.see([one[0]], [one])
    assert late.stays(torch.tensor(3.0), 2.0) == 1
    assert late.look() == Seen(stopped=True, steps=1, skipped=0)


def test_what_cannot_be_told_to_stay_is_waited_for(later):
    cpu, weights = torch.device("cpu"), [torch.nn.Parameter(torch.ones(2))]
    fused = {"main": torch.optim.Adam(weights, fused=True)}
    assert may_look_late(cpu, fused)
    assert not may_look_late(cpu, {**fused, "other": torch.optim.RMSprop(weights)})
