"""Runs of models whose prior or posterior moves latents along a field: resuming, several processes, evaluation."""

import math

import pytest
import torch

import genmod

from .several_processes import BATCH, trained

HOW = {"steps": 13, "batch_size": 24, "device": "cpu", "log_every": 1}
SMALL = {"encoder": {"name": "mlp", "hidden": [16]}, "latent": 2}
RECIPES = {
    "flow-matching-vae": {"prior.hidden": [16], "prior.solver_steps": 4},
    "rhvae": {"posterior.centroids": BATCH, "posterior.hidden": [8]},
}


def build(recipe):
    return genmod.build(recipe, **SMALL, settings=RECIPES[recipe])


@pytest.mark.parametrize("recipe", RECIPES)
def test_resumed_in_mid_epoch_bit_for_bit(recipe, tmp_path):
    """The centroids of a metric are encoded anew in the tenth step, which both runs have."""
    whole, first, again = (build(recipe) for _ in range(3))
    genmod.train(whole, directory=tmp_path / "whole", **HOW)

    class Stop(Exception):
        pass

    def stop(event):
        if event.kind == "train" and event.step == 8:
            raise Stop

    with pytest.raises(Stop):
        genmod.train(first, directory=tmp_path / "part", **HOW, checkpoint_every=3, on_event=stop)
    genmod.train(again, directory=tmp_path / "part", **HOW, checkpoint_every=3, resume=True)
    state, other = whole.state_dict(), again.state_dict()
    assert state.keys() == other.keys()
    assert all(torch.equal(state[name], other[name]) for name in state)


@pytest.mark.slow
def test_two_processes_train_the_weights_of_one(tmp_path):
    """With as many centroids, latents and units as a process has examples."""
    half = BATCH // 2
    chain = {"name": "rhvae", "centroids": half, "hidden": [half], "temperature": 4.0}
    prior = {"name": "flow-matching", "hidden": [half], "solver_steps": 2}
    models = {
        "rhvae": {"posterior": chain, "divergence": "kl-mc", "latent": half},
        "flow-matching": {"prior": prior, "divergence": "kl-mc", "latent": half},
    }
    weights = trained(tmp_path, models, [1, 2], steps=12)
    for name in models:
        one, two = (torch.tensor(weights[size][name]) for size in (1, 2))
        assert one.isfinite().all()
        torch.testing.assert_close(two, one, rtol=0, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("recipe", RECIPES)
def test_it_is_evaluated_and_sampled(recipe):
    model = build(recipe)
    genmod.train(model, **{**HOW, "steps": 5})
    found = genmod.evaluate(model, genmod.open_dataset(model.spec).split("test"), ["elbo", "nll[5]"])
    # More draws make the bound tighter, but for its error.
    bound, tighter = found["elbo"], next(row for row in found.rows if row.name.startswith("nll"))
    assert math.isfinite(bound.value)
    assert tighter.value < -bound.value + 4 * bound.standard_error
    assert model.sample(3, seed=0).shape == (3, 1, 8, 8)
