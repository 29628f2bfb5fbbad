"""Numbers that no model can have stop a run and are marked in an evaluation, with whose they are; others pass."""

import json

import numpy as np
import pytest
import torch

import genmod
from genmod import Batch, TensorSplit, Terms, evaluate
from genmod.bundle.directory import ModelDirectory
from genmod.distributions import plain
from genmod.evaluation.impossible import ImpossibleError, impossible, impossible_rate, limits_of
from genmod.plugins.decoders._binary_values import BinaryValues
from genmod.plugins.posteriors._bits import RelaxedBit
from genmod.training.metrics import RunningMeans

RELAXED = {
    "encoder": {"name": "mlp", "hidden": [32]},
    "posterior": {"name": "relaxed-bernoulli", "temperature": 0.1},
    "prior": {"name": "relaxed-bernoulli", "temperature": 0.1},
    "divergence": "kl-mc",
    "decoder": "bernoulli",
    "latent": 8,
}


@pytest.fixture
def forgetful(monkeypatch):
    """Draws that are scored where they were rounded to, as they once were."""
    rsample = RelaxedBit.rsample
    monkeypatch.setattr(RelaxedBit, "rsample", lambda self, shape=(): plain(rsample(self, shape)))


def far_out():
    """A model with posteriors at the edge from the start."""
    model = genmod.build(**RELAXED)
    with torch.no_grad():
        model.posterior.head.weight.mul_(300)
    return model


def binary(n=40):
    return TensorSplit(Batch((torch.rand(n, 1, 8, 8) > 0.5).float()))


def test_a_negative_rate_stops_the_run(forgetful, tmp_path):
    with pytest.raises(ImpossibleError) as error:
        genmod.train(far_out(), directory=tmp_path / "m", epochs=3, device="cpu")
    assert (
        "the rate of posterior 'relaxed-bernoulli' or prior 'relaxed-bernoulli' is -" in error.value.message
    )
    assert "cannot be negative" in error.value.message
    assert "genmod check" in error.value.hint
    assert error.value.exit_code == 1
    directory = ModelDirectory(tmp_path / "m")
    assert json.loads((tmp_path / "m" / "run.json").read_text())["status"] == "failed"
    # No row has a number that cannot be.
    assert all(row["rate"] > 0 for row in directory.read_rows() if "rate" in row)
    assert genmod.load(tmp_path / "m") is not None


def test_it_stops_at_validation_before_weights_are_called_best(forgetful, monkeypatch, tmp_path):
    monkeypatch.setattr("genmod.training.trainer.limits_of", lambda model: {})
    with pytest.raises(ImpossibleError, match="rate of posterior"):
        genmod.train(far_out(), directory=tmp_path / "m", epochs=3, device="cpu")
    assert json.loads((tmp_path / "m" / "run.json").read_text())["best_step"] == 0


def test_without_the_fault_the_run_goes_on(tmp_path):
    result = genmod.train(far_out(), epochs=3, device="cpu")
    assert result.status == "finished"
    assert all(row["rate"] > 0 for row in result.rows)


def test_probabilities_above_one_stop_the_run(monkeypatch):
    log_prob = BinaryValues.log_prob
    monkeypatch.setattr(BinaryValues, "log_prob", lambda self, x: log_prob(self, x) + 100)
    with pytest.raises(ImpossibleError, match=r"distortion of decoder 'bernoulli' is -.* cannot be negative"):
        genmod.train(genmod.build(encoder="mlp", latent=2), epochs=3, device="cpu")


def test_an_evaluation_marks_it(forgetful):
    model = far_out()
    found = evaluate(model, binary(), ["elbo", "rates", "nll[10]", "collapse"])
    assert found["rate"].value < -100
    for name in ("rate", "elbo", "nll[10]", "rate[total]"):
        assert "posterior 'relaxed-bernoulli'" in found[name].details["impossible"], name
        assert any(text.startswith(f"{name} cannot be right") for text in found.warnings), name
    assert "impossible" not in found["distortion"].details
    row = found["collapsed_units"]
    assert row.details["diagnosis"] == "impossible rates"
    assert row.value < row.details["of"]
    assert "genmod check posterior/relaxed-bernoulli" in row.details["advice"][0]


def test_what_can_be_is_not_marked():
    for model in (
        far_out(),
        genmod.build(encoder="mlp", latent=2),
        genmod.build("autoencoder", encoder="mlp"),
    ):
        found = evaluate(model, binary(), ["elbo", "rates", "nll[10]"])
        assert not any("impossible" in row.details for row in found.rows)
        assert not any("cannot be right" in text for text in found.warnings)


def test_estimates_may_be_on_the_wrong_side():
    """Of two equal distributions estimates are negative half of the time; no run of 200,000 of them is called wrong."""
    rng = np.random.default_rng(0)
    for scale in (1e-4, 0.1, 1.0, 3.0):
        # log q - log p of a draw of q, where p is q moved by `scale` standard deviations.
        ratios = scale * rng.normal(size=(200, 1000)) + 0.5 * scale**2
        assert not any(impossible_rate(row) for row in ratios)
        assert all(impossible_rate(row - scale - 0.5 * scale**2 - 0.1) for row in ratios)
    assert not impossible_rate(np.array([-30.0]))
    assert impossible_rate(np.array([-50.0]))
    assert not impossible_rate(np.zeros(0))
    # What rounding may do to many.
    assert not impossible_rate(np.full(100_000, -0.005))


@pytest.mark.parametrize(
    ("components", "names"),
    [
        ({}, {"rate", "distortion", "elbo", "iwae", "miwae", "vr"}),
        ({"decoder": "gaussian"}, {"rate"}),
        ({"decoder": "ms-ssim", "encoder": "conv"}, {"rate"}),
        ({"divergence": "mmd"}, {"distortion", "elbo", "iwae", "miwae", "vr"}),
        ({"divergence": "none", "objective": "iwae", "decoder": "gaussian"}, {"rate"}),
    ],
)
def test_which_numbers_have_a_limit(components, names):
    components = {"encoder": {"name": "mlp", "hidden": [8]}, "latent": 2, **components}
    assert set(limits_of(genmod.build(**components))) == names
    assert limits_of(torch.nn.Linear(1, 1)) == {}


def test_processes_agree_about_it():
    limits = {"rate": (-1, "posterior 'x'")}
    means = [RunningMeans(limits) for _ in range(2)]
    for mean, rate in zip(means, (5.0, -5.0), strict=True):
        mean.add(Terms(torch.tensor(0.0), {"rate": torch.full((20,), rate)}), 20)
    together = RunningMeans.of([mean.state() for mean in means])
    with pytest.raises(ImpossibleError, match="-5"):
        together.possible()
    assert means[0].possible() is means[0]


def test_it_says_how_far():
    assert impossible({"elbo": (1, "decoder 'd'")}, "elbo", np.full(100, 3.0)) == (
        "the elbo of decoder 'd' is 3 ± 0 nats over 100 examples, and cannot be positive: these are probabilities"
    )
    assert impossible({}, "elbo", np.full(100, 3.0)) == ""
