"""Subnormal numbers in the state of optimizers: gone after a while, and weights keep their bits."""

import copy

import pytest
import torch
from torch import nn

import genmod
from genmod.training import step as stepping
from genmod.training.faded import drop_faded
from genmod.training.lr import make_optimizer
from genmod.training.trainer import Run

TINY = torch.finfo(torch.float32).tiny


def subnormal(optimizer):
    """How many subnormal numbers a state has."""
    return sum(
        int(((value != 0) & (value.abs() < TINY)).sum())
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    )


def trained(name, looking, steps=1_200):
    """A weight of 64 numbers, half of which have no gradient after the first ten steps; and its optimizer."""
    generator = torch.Generator().manual_seed(0)
    weight = nn.Parameter(torch.randn(64, generator=generator))
    optimizer = make_optimizer(name, [weight], 1e-3, {"momentum": 0.9} if name == "sgd" else {})
    for step in range(steps):
        weight.grad = torch.randn(64, generator=generator)
        # Seldom at one place, as at the edge of pictures.
        weight.grad[: 32 - (step % 1_100 == 1_099)] *= step < 10
        optimizer.step()
        if looking and step % 64 == 63:
            drop_faded([optimizer])
    return weight, optimizer


@pytest.mark.parametrize("name", ["adam", "adam-w", "sgd", "nadam", "rmsprop"])
def test_weights_keep_their_bits(name):
    weight, optimizer = trained(name, True)
    other, as_torch_does = trained(name, False)
    assert torch.equal(weight, other)
    assert subnormal(optimizer) == 0
    if name != "rmsprop":  # whose means fade after 64,000 steps
        assert subnormal(as_torch_does) >= 30


def test_what_may_matter_is_kept():
    weight, optimizer = trained("adam", False, steps=900)
    before = copy.deepcopy(optimizer.state[weight])
    kept = before["exp_avg"].abs() > TINY
    drop_faded([optimizer])
    assert torch.equal(optimizer.state[weight]["exp_avg"], before["exp_avg"] * kept)
    assert torch.equal(optimizer.state[weight]["exp_avg_sq"], before["exp_avg_sq"])
    assert torch.equal(optimizer.state[weight]["step"], before["step"])
    # Where nothing but the square of a gradient is divided by, a subnormal one counts.
    bare = make_optimizer("adam", [weight], 1e-3, {"eps": 1e-30})
    bare.load_state_dict({"state": {0: before}, "param_groups": bare.state_dict()["param_groups"]})
    drop_faded([bare])
    assert torch.equal(bare.state[weight]["exp_avg"], before["exp_avg"])
    optimizer.state[weight]["exp_avg"][:2] = torch.tensor([torch.nan, -torch.inf])
    drop_faded([optimizer])
    assert optimizer.state[weight]["exp_avg"][:2].isfinite().any().logical_not()


def test_each_run_looks(monkeypatch, tmp_path):
    """At the same steps whether it goes on from a checkpoint or not."""
    looked = []
    once = Run.once

    def counted(self):
        monkeypatch.setattr(stepping, "drop_faded", lambda optimizers: looked.append(self.state.step))
        return once(self)

    monkeypatch.setattr(Run, "once", counted)
    model = genmod.build(data="digits", latent=2, seed=1)
    genmod.train(model, directory=tmp_path / "m", steps=100, batch_size=8)
    genmod.train(genmod.load(tmp_path / "m"), directory=tmp_path / "m", steps=130, resume=True)
    assert looked == [63, 127]
