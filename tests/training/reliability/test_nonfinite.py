"""Infinities and NaN touch no weight, are traced to where they arise, and can be seen again."""

import json
import math

import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal

import genmod
from genmod.system.tensors import read_any_tensors
from genmod.training import late_check
from genmod.training.checkpoint import newest
from genmod.training.nonfinite import NonFiniteError, all_finite, first_non_finite

STEP = 7
"""The step that goes wrong, counted from 1; there are ten in an epoch."""
SMALL = {"encoder": {"name": "mlp", "hidden": [16]}, "decoder": "gaussian", "latent": 2}
NORMALISED = {
    "encoder": {"name": "conv", "channels": [4], "norm": "batch"},
    "decoder": "gaussian",
    "latent": 2,
}


def spoil(model, how):
    """Let one step of training go wrong."""
    terms, calls = model.terms, 0

    def spoiled(x):
        nonlocal calls
        # A model in evaluation mode validates; one that is traced repeats the step.
        calls += model.training
        return how(terms, x) if calls >= STEP and model.training else terms(x)

    model.terms = spoiled


def in_the_loss(terms, x):
    found = terms(x)
    return genmod.Terms(found.loss + math.nan, found.values)


def in_the_data(terms, x):
    x = x.float() / 16
    x[3, 0, 2, 2] = math.inf
    return terms(x)


def in_a_gradient(model):
    def how(terms, x):
        found = terms(x)
        weight = next(model.encoder.parameters())
        # The value is 0 and finite, its derivative is not.
        return genmod.Terms(found.loss + (weight * 0).abs().sqrt().sum() * 0, found.values)

    return how


def in_the_second_part(terms, x):
    spoil.parts = getattr(spoil, "parts", 0) + 1
    return in_the_loss(terms, x) if spoil.parts == 1 else terms(x)


def finite_on_disk(directory):
    files = list(directory.rglob("*.safetensors"))
    assert len(files) >= 5
    for path in files:
        for name, tensor in read_any_tensors(path).items():
            assert bool(tensor.isfinite().all()), (path, name)


CASES = {
    "loss": (lambda model: in_the_loss, "the loss"),
    "data": (lambda model: in_the_data, "the output of"),
    "gradient": (in_a_gradient, "the gradient of encoder."),
}


@pytest.fixture(params=["seen at once", "seen later"])
def seen(request, monkeypatch):
    """As on the CPU, and as on a device that runs behind the program, where steps that follow move nothing."""
    if request.param == "seen later":
        monkeypatch.setattr(late_check, "RUNS_BEHIND", {"cpu"})
    return request.param


@pytest.mark.parametrize("components", [SMALL, NORMALISED], ids=["plain", "batch norm"])
@pytest.mark.parametrize("case", CASES)
def test_no_weight_is_touched(tmp_path, case, components, seen):
    how, words = CASES[case]
    model = genmod.build(**components)
    spoil(model, how(model))
    with pytest.raises(NonFiniteError) as error:
        genmod.train(model, directory=tmp_path / "m", steps=30, checkpoint_every=3, ema=0.9, device="cpu")
    assert error.value.exit_code == 1
    assert f"step {STEP} gave a loss or a gradient that is not finite: " in error.value.message
    assert words in error.value.message
    assert "--replay" in error.value.hint
    finite_on_disk(tmp_path / "m")
    record = json.loads((tmp_path / "m" / "run.json").read_text())
    assert (record["status"], record["step"]) == ("failed", STEP - 1)
    # What was kept, and what is left, is the state that the step began with.
    kept, _ = newest(tmp_path / "m" / "non-finite")
    assert kept.step == STEP - 1
    reference = genmod.build(**components)
    genmod.train(reference, directory=tmp_path / "r", steps=STEP - 1, device="cpu", ema=0.9)
    last, _ = newest(tmp_path / "r" / "checkpoints")
    for group in ("model", "optimizer", "ema"):
        assert all(torch.equal(kept.tensors[group][n], t) for n, t in last.tensors[group].items()), group
    written = read_any_tensors(tmp_path / "m" / "last.safetensors")
    averaged = {**last.tensors["model"], **last.tensors["ema"]}
    assert all(torch.equal(written[name], tensor) for name, tensor in averaged.items())
    assert all(bool(t.isfinite().all()) for t in model.state_dict().values())


def test_a_part_of_a_batch_is_enough(tmp_path):
    model = genmod.build(**SMALL)
    spoil.parts = 0
    spoil(model, in_the_second_part)
    with pytest.raises(NonFiniteError):
        genmod.train(model, steps=30, accumulate=4, device="cpu")


def test_it_goes_on_from_before(tmp_path):
    model = genmod.build(**SMALL)
    spoil(model, in_the_loss)
    with pytest.raises(NonFiniteError):
        genmod.train(model, directory=tmp_path / "m", steps=30, checkpoint_every=3, device="cpu")
    result = genmod.train(
        genmod.load(tmp_path / "m", weights="last"),
        directory=tmp_path / "m",
        resume=True,
        steps=30,
        device="cpu",
    )
    assert result.status == "finished"
    finite_on_disk(tmp_path / "m")


class Picky(nn.Module):
    """Finite in value everywhere, but not in its derivative where the input is zero."""

    def forward(self, h):
        return h.abs().sqrt()


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (
            lambda m: m.network.layers[0].weight.data.fill_(math.nan),
            r"network.layers.0.weight, a weight of shape \(16, 2\)",
        ),
        (
            lambda m: m.encoder.layers.append(Power(1e30)),
            r"the output of encoder.layers.2: \d+ of 96 values are not finite",
        ),
        (
            lambda m: m.posterior.register_forward_hook(lambda part, x, q: spoiled(q)),
            r"the output of posterior \(loc of Normal\): 1 of 12 values are not finite",
        ),
        (
            lambda m: m.encoder.layers.insert(1, nn.Sequential(Zero(), Picky())),
            r"the gradient that reaches the output of encoder.layers.1.0: 96 of 96 values are not finite",
        ),
    ],
)
def test_where_it_first_arises(change, where):
    import re

    model = genmod.build(**SMALL)
    change(model)
    found = first_non_finite(model, torch.randint(0, 17, (6, 1, 8, 8), dtype=torch.uint8))
    assert re.fullmatch(where, found), found


def spoiled(q):
    loc = q.mean.clone()
    loc[3, 1] = math.nan
    return Independent(Normal(loc, q.stddev, validate_args=False), 1)


class Zero(nn.Module):
    def forward(self, h):
        return h * 0


class Power(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, h):
        return (h * self.factor) ** 3


def test_nothing_is_wrong():
    model = genmod.build(**SMALL)
    assert first_non_finite(model, torch.randint(0, 17, (6, 1, 8, 8), dtype=torch.uint8)) == ""
    assert all(p.grad is None for p in model.parameters())


def test_the_check_misses_none():
    for value in (math.nan, math.inf, -math.inf):
        for place in range(3):
            tensors = [torch.randn(4), torch.randn(3, 5), torch.randn(())]
            assert all_finite([torch.tensor(1.0)], tensors)
            tensors[place].view(-1)[-1] = value
            assert not all_finite([torch.tensor(1.0)], tensors)
        assert not all_finite([torch.tensor(1.0), torch.tensor(value)], [torch.zeros(2)])
    both = torch.tensor([math.inf, -math.inf])
    assert not all_finite([], [both])
    assert all_finite([], [torch.full((10,), 1e37)])


@pytest.fixture
def poisoned(tmp_path):
    """A table in which one training example has a value that overflows in a Gaussian likelihood."""
    import numpy as np

    x = np.random.default_rng(0).normal(size=(200, 6)).astype("float32")
    x[37] = 3e38
    np.savez(tmp_path / "table.npz", x_train=x, x_val=x[:20], x_test=x[:20])
    return tmp_path / "table.npz"


def test_replay(poisoned, tmp_path, capsys):
    from genmod.cli import main

    def run(*arguments):
        with pytest.raises(SystemExit) as exit:
            main(["-q", *map(str, arguments)])
        return exit.value.code, capsys.readouterr()

    place = tmp_path / "m"
    data = ["--data", "npz", "-s", f"dataset.path={poisoned}", "--encoder", "mlp", "--decoder", "gaussian"]
    code, _ = run("build", *data, "--latent", "2", "-o", place)
    assert code == 0
    options = ["--steps", "60", "--batch-size", "16", "--device", "cpu"]
    code, said = run("train", place, *options)
    assert code == 1
    step = json.loads((place / "run.json").read_text())["step"] + 1
    message = said.err.split("not finite: ")[1].split("\n")[0]
    assert "values are not finite" in message
    finite_on_disk(place)
    code, said = run("train", place, "--replay")
    assert code == 0
    assert said.out.strip() == f"step {step}: {message}"
    assert 37 in newest(place / "non-finite")[0].state["indices"]


def test_nothing_to_replay(tmp_path, capsys):
    from genmod.cli import main

    genmod.save(genmod.build(**SMALL), tmp_path / "m")
    with pytest.raises(SystemExit) as exit:
        main(["train", str(tmp_path / "m"), "--replay"])
    assert exit.value.code == 2
    assert "holds no step with a non-finite value" in capsys.readouterr().err
