"""No step of training waits for a device that runs behind the program, whatever the recipe."""

import pytest
import torch

import genmod
from genmod.registry.lookup import Registry

from .behind import WaitsError, no_waits, run_of

SOME = ["vae", "iwae", "vq-vae", "factor-vae", "cvae"]
WAIT = {
    "s-vae": "a loop that ends when every proposal is accepted",
    "rhvae": "reads every hundredth step off a counter, to encode its centroids again",
}
"""Recipes whose steps wait, and why."""
EVERY = Registry(third_party=False).names("recipe")


def steps(run, count=3):
    for _ in range(count):
        run.once()


@pytest.mark.parametrize("recipe", SOME)
def test_no_step_waits(recipe, monkeypatch):
    # Everything that a step can do: clip, skip, averages.
    run = run_of(genmod.build(recipe), monkeypatch, clip=1.0, skip=10.0, ema=0.9)
    with no_waits():
        steps(run)
    assert run.state.step == 3


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [name for name in EVERY if name not in SOME])
def test_no_step_of_any_recipe_waits(recipe, monkeypatch):
    run = run_of(genmod.build(recipe), monkeypatch)
    if recipe in WAIT:
        with no_waits(), pytest.raises((WaitsError, RuntimeError)):
            steps(run)
    else:
        with no_waits():
            steps(run)


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: float(x.sum()),
        lambda x: x[x > 0],
        lambda x: x.cpu(),
        lambda x: x.new_tensor([1.0, 2.0]),
        lambda x: torch.tensor(3.0, device=x.device),
        lambda x: torch.ones(2).to(x.device),
        lambda x: bool((x > 0).all()),
        lambda x: (x > 0).nonzero(),
    ],
)
def test_what_waits_is_seen(wait, monkeypatch):
    model = genmod.build(encoder="mlp", latent=2)
    terms = model.terms

    def waiting(x):
        found = terms(x)
        wait(found.loss.detach()[None].expand(2))
        return found

    run = run_of(model, monkeypatch)
    run.stepper._compilation.terms = waiting
    with no_waits(), pytest.raises((WaitsError, RuntimeError, NotImplementedError)):
        steps(run)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("recipe", SOME)
def test_no_step_waits_on_a_gpu(recipe):
    from genmod.model.opening import data_for
    from genmod.training.signals import StopSignals
    from genmod.training.trainer import Run

    model = genmod.build(recipe)
    data = model.suited(data_for(model.spec, model.data, None, None))
    settings = genmod.TrainSettings(steps=10**6, batch_size=32, device="cuda", clip=1.0, skip=10.0, ema=0.9)
    run = Run(model, data, settings, None, None, lambda event: None, StopSignals(), {})
    model.train()
    steps(run)  # the first are allowed to: libraries begin
    torch.cuda.set_sync_debug_mode("error")
    try:
        steps(run)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    run.look()
    assert run.state.step == 6
