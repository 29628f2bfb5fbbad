"""Draws on the CPU for work on other devices; a device without memory stands for these where there is no other."""

import pytest
import torch

from genmod.system.noise import _OnCpu, drawn_on_cpu

META = torch.device("meta")


@pytest.mark.parametrize(
    "draw",
    [
        lambda device: torch.randn(5, 3, device=device),
        lambda device: torch.rand((7,), device=device, dtype=torch.float64),
        lambda device: torch.empty(4, device=device).exponential_(),
        lambda device: torch.empty(4, 6, device=device).normal_(1.0, 2.0),
        lambda device: torch.randint(9, (8,), device=device),
    ],
)
def test_numbers_come_from_the_generator_of_the_cpu(draw):
    torch.manual_seed(3)
    plain = draw(torch.device("cpu"))
    after = torch.rand(1)
    torch.manual_seed(3)
    with _OnCpu():
        found = draw(META)
    assert (found.device, found.shape, found.dtype) == (META, plain.shape, plain.dtype)
    # As many were drawn, from the same place.
    assert torch.equal(torch.rand(1), after)


@pytest.mark.parametrize(
    "draw",
    [
        lambda x: torch.rand_like(x),
        lambda x: torch.bernoulli(x),
        lambda x: torch._standard_gamma(x),
        lambda x: torch.distributions.Beta(x, x).rsample((3,)),
        lambda x: torch.distributions.Categorical(x).sample((3,)),
        lambda x: x.clone().uniform_(),
        lambda x: x.clone().bernoulli_(0.5),
        lambda x: torch.normal(x, x),
    ],
)
def test_draws_are_the_same_with_and_without(draw):
    x = torch.linspace(0.1, 0.9, 6).reshape(2, 3)
    torch.manual_seed(3)
    plain = draw(x)
    torch.manual_seed(3)
    with _OnCpu():
        found = draw(x)
    assert torch.equal(found, plain)
    torch.manual_seed(3)
    with drawn_on_cpu(x.device):
        assert torch.equal(draw(x), plain)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("metric", ["nll[50]", {"name": "ais", "steps": 5, "chains": 3}])
def test_device_changes_nothing(models, metric):
    from genmod import evaluate

    model = models.linear()
    split = models.split_of(models.drawn(model, 30))
    here = evaluate(model, split, metric).rows[0]
    there = evaluate(model.cuda(), split, metric).rows[0]
    assert (here.examples - there.examples).abs().max() < 1e-9
