"""What a run would do, and what it would take."""

import pytest

import genmod
from genmod.errors import UsageError
from genmod.training.plan import plan
from genmod.training.settings import TrainSettings


def planned(**settings):
    model = genmod.build(encoder="mlp", latent=2, settings={"encoder.hidden": [8]})
    return plan(model, None, TrainSettings(device="cpu", **settings))


def test_steps_parameters_and_memory_are_those_of_the_run():
    found = planned(epochs=3, batch_size=100)
    assert found.examples == {"train": 1297, "validation": 250}
    assert (found.steps, found.epochs, found.batch_size) == (36, 3.0, 100)
    # 64 pixels → 8 → means and log-scales of 2; 2 → 8 → 64.
    sizes = {"encoder": 65 * 8, "posterior": 9 * 4, "network": 3 * 8 + 9 * 64}
    assert found.parameters == sizes
    assert (found.trained, found.fixed) == (sum(sizes.values()), 0)
    weights = 4 * sum(sizes.values())
    assert found.memory["gradients"] == weights
    assert found.memory["best weights"] == weights
    # Adam has two moments of each parameter, and a count of each tensor.
    assert found.memory["optimizer"] == 2 * weights + 4 * 8
    assert found.memory["averages"] == 0
    assert found.memory["data"] == 1297 * (64 + 8)
    run = found.seconds["step"] * 36 + found.seconds["validation"] * 3
    assert found.seconds["run"] == pytest.approx(run)
    assert 2 < found.tried <= 20
    assert found.to_json()["settings"]["epochs"] == 3


def test_activations_grow_with_the_part_of_a_batch_that_is_computed_at_once():
    few, many, parts = (
        planned(steps=2, **settings).memory["activations"]
        for settings in ({"batch_size": 128}, {"batch_size": 512}, {"batch_size": 512, "accumulate": 4})
    )
    # What each layer keeps at least: pixels, features and parameters, of 4 bytes each.
    assert few > 128 * (64 + 8 + 64) * 4
    assert 3.5 < many / few < 4.5
    assert parts == few


def test_what_stays_and_averages_are_counted():
    found = planned(steps=2, freeze=("encoder",), ema=0.9)
    assert found.fixed == found.parameters["encoder"]
    assert found.memory["gradients"] == found.memory["averages"] == 4 * found.trained


def test_learning_rates():
    rates = planned(steps=100, lr=1.0, schedule="cosine", warmup=10).learning_rate
    assert rates[0] == pytest.approx(0.1)
    assert rates[10] == 1.0
    assert 0 < rates[99] < 0.001
    assert planned(steps=2, schedule="plateau").learning_rate is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trackers": ("nowhere",)}, "no tracker 'nowhere'"),
        ({"optimizer": "none-such"}, "no optimizer"),
        ({"freeze": ("head",)}, "no such part"),
        ({"device": "cuda:99"}, "no device"),
    ],
)
def test_what_would_stop_the_run_at_its_beginning_is_refused(settings, message):
    model = genmod.build(encoder="mlp", latent=2)
    with pytest.raises(UsageError, match=message):
        plan(model, None, TrainSettings(**{"device": "cpu", "steps": 2, **settings}))
