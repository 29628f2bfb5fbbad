"""Density and draws against scipy and torch, the trained scale against its formula, a model that learns."""

import doctest
import math
from importlib import import_module

import pytest
import torch
from genmod_gennorm.decoder import GeneralisedNormalDecoder
from genmod_gennorm.distribution import GeneralisedNormal
from scipy import integrate, stats
from torch.distributions import Laplace, Normal

import genmod
from genmod import DataInfo

TABLE = DataInfo((3,), low=-math.inf, high=math.inf)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("power", [1.0, 1.5, 4.0])
def test_density_is_that_of_scipy(scale, power):
    y, x = torch.randn(5, 3), torch.randn(5, 3)
    x = y + 2 * scale * x
    expected = stats.gennorm(power, scale=scale).logpdf(x.double() - y.double()).sum(1)
    found = GeneralisedNormalDecoder(TABLE, scale=scale, power=power)(y).log_prob(x)
    torch.testing.assert_close(found.double(), torch.from_numpy(expected), rtol=1e-5, atol=1e-5)


def test_special_cases_are_those_of_torch():
    x, loc, scale = torch.randn(100), torch.randn(100), torch.rand(100) + 0.1
    for power, other in ((1.0, Laplace(loc, scale)), (2.0, Normal(loc, scale / math.sqrt(2)))):
        ours = GeneralisedNormal(loc, scale.log(), power)
        torch.testing.assert_close(ours.log_prob(x), other.log_prob(x), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(ours.variance, other.variance)


@pytest.mark.parametrize("power", [1.0, 1.7, 4.0])
def test_draws_and_moments_are_those_of_scipy(power):
    noise, expected = (
        GeneralisedNormal(torch.tensor([0.5]), torch.tensor(0.3).log(), power),
        stats.gennorm(power, loc=0.5, scale=0.3),
    )
    draws = noise.sample((20_000,)).flatten().double().numpy()
    assert stats.kstest(draws, expected.cdf).pvalue > 1e-3
    assert noise.mean.item() == pytest.approx(expected.mean())
    assert noise.stddev.item() == pytest.approx(expected.std(), rel=1e-5)


@pytest.mark.parametrize("power", [1.0, 1.5, 4.0])
def test_density_integrates_to_one(power):
    p = GeneralisedNormal(torch.zeros(1, dtype=torch.float64), torch.tensor(0.4).double(), power)
    total, _ = integrate.quad(lambda x: p.log_prob(torch.tensor([x])).exp().item(), -40, 40, points=[0.0])
    assert total == pytest.approx(1, abs=1e-6)


def test_draws_have_the_gradient_of_location_and_scale():
    """``E[x]`` and ``E[(x - loc)²]``, whose gradients are known."""
    loc, log_scale = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    draws = GeneralisedNormal(loc, log_scale, 1.5).rsample((50_000,))
    (draws.mean() + (draws - loc.detach()).square().mean()).backward()
    assert loc.grad.item() == pytest.approx(1, abs=0.05)
    expected = 2 * stats.gennorm(1.5).var()
    assert log_scale.grad.item() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("power", [1.0, 1.5, 3.0])
def test_trained_scale_is_that_of_the_best_fit(power):
    """``scale^β = β E|x - y|^β`` maximises the likelihood."""
    x = torch.from_numpy(stats.gennorm.rvs(power, scale=0.7, size=(4000, 1), random_state=0)).float()
    decoder = GeneralisedNormalDecoder(DataInfo((1,), low=-math.inf, high=math.inf), power=power)
    optimizer = torch.optim.Adam(decoder.parameters(), lr=0.02)
    for _ in range(400):
        optimizer.zero_grad()
        (-decoder(torch.zeros_like(x)).log_prob(x).mean()).backward()
        optimizer.step()
    best = (power * x.abs().double().pow(power).mean()) ** (1 / power)
    assert decoder(x).base_dist.log_scale[0].exp().item() == pytest.approx(best.item(), rel=0.01)


def test_it_stays_finite_far_off():
    decoder = GeneralisedNormalDecoder(DataInfo((1, 2, 2)), power=4.0)
    with torch.no_grad():
        decoder.log_scale.fill_(-200.0)
    loss = -decoder(torch.full((1, 1, 2, 2), 1e4)).log_prob(torch.zeros(1, 1, 2, 2)).sum()
    loss.backward()
    assert math.isfinite(loss.item())
    assert 0 < abs(decoder.log_scale.grad.item()) < math.inf


def test_a_model_with_it_learns():
    model = genmod.build(decoder="generalised-normal", encoder="mlp", latent=2)
    result = genmod.train(model, steps=60, device="cpu")
    losses = [row["loss"] for row in result.rows if row["split"] == "validation"]
    assert losses[-1] < losses[0] - 1


@pytest.mark.parametrize("module", ["genmod_gennorm.distribution", "genmod_gennorm.decoder"])
def test_examples_of_the_docstrings(module):
    assert doctest.testmod(import_module(module)).failed == 0
