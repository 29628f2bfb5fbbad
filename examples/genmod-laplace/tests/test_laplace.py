"""The two components on their own, against scipy and quadrature, and inside a model."""

import doctest
import math
from importlib import import_module

import pytest
import torch
from genmod_laplace.decoder import AsymmetricLaplaceDecoder
from genmod_laplace.distribution import AsymmetricLaplace
from genmod_laplace.prior import AsymmetricLaplacePrior
from scipy import integrate, stats
from torch.distributions import kl_divergence

import genmod
from genmod import DataInfo, LogScaleNormal

TABLE = DataInfo((3,), low=-math.inf, high=math.inf)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def of_scipy(scale, quantile):
    """The same distribution in scipy's parameters."""
    odds = quantile / (1 - quantile)
    return stats.laplace_asymmetric(odds**0.5, scale=scale / (quantile * (1 - quantile)) ** 0.5)


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.9])
def test_decoder_density_is_that_of_scipy(scale, quantile):
    y, x = torch.randn(5, 3), 3 * torch.randn(5, 3)
    expected = of_scipy(scale, quantile).logpdf((x - y).double()).sum(1)
    found = AsymmetricLaplaceDecoder(TABLE, scale=scale, quantile=quantile)(y).log_prob(x)
    torch.testing.assert_close(found.double(), torch.from_numpy(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.7])
def test_draws_and_moments_are_those_of_scipy(quantile):
    noise, expected = (
        AsymmetricLaplace(torch.zeros(1), torch.tensor(0.3).log(), quantile),
        of_scipy(0.3, quantile),
    )
    draws = noise.sample((20_000,)).flatten().numpy()
    assert stats.kstest(draws, expected.cdf).pvalue > 1e-3
    assert (draws < 0).mean() == pytest.approx(quantile, abs=0.02)
    assert noise.mean.item() == pytest.approx(expected.mean(), rel=1e-5, abs=1e-6)
    assert noise.stddev.item() == pytest.approx(expected.std(), rel=1e-5)


@pytest.mark.parametrize("quantile", [0.2, 0.5])
def test_network_and_scale_come_to_the_quantile_and_the_mean_loss(quantile):
    x = torch.from_numpy(stats.gamma.rvs(2.0, size=(4000, 1), random_state=0)).float()
    decoder = AsymmetricLaplaceDecoder(DataInfo((1,), low=-math.inf, high=math.inf), quantile=quantile)
    y = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([y, *decoder.parameters()], lr=0.02)
    for _ in range(600):
        optimizer.zero_grad()
        (-decoder(y.expand_as(x)).log_prob(x).mean()).backward()
        optimizer.step()
    assert y.item() == pytest.approx(x.quantile(quantile).item(), abs=0.03)
    loss = torch.maximum(quantile * (x - y), (quantile - 1) * (x - y)).mean().item()
    assert decoder(y).base_dist.log_scale.exp().item() == pytest.approx(loss, rel=0.02)


def test_decoder_stays_finite_far_off():
    decoder = AsymmetricLaplaceDecoder(DataInfo((1, 2, 2)))
    with torch.no_grad():
        decoder.log_scale.fill_(-200.0)
    loss = -decoder(torch.full((1, 1, 2, 2), 1e4)).log_prob(torch.zeros(1, 1, 2, 2)).sum()
    loss.backward()
    assert math.isfinite(loss.item())
    assert 0 < abs(decoder.log_scale.grad.item()) < math.inf


def test_prior_density_is_normalised_and_agrees_with_its_draws():
    prior = AsymmetricLaplacePrior((1,), quantile=0.2, scale=0.25)
    total, _ = integrate.quad(lambda z: prior().log_prob(torch.tensor([z])).exp().item(), -30, 60, points=[0])
    assert total == pytest.approx(1, abs=1e-5)
    draws = prior().sample((20_000,)).flatten().numpy()
    assert stats.kstest(draws, of_scipy(0.25, 0.2).cdf).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(4,), (2, 3)])
def test_prior_shapes(shape):
    p = AsymmetricLaplacePrior(shape)()
    assert (p.batch_shape, p.event_shape) == ((), shape)
    assert p.sample((7,)).shape == (7, *shape)


@pytest.mark.parametrize("loc", [0.0, -1.3, 6.0])
@pytest.mark.parametrize("scale", [1e-3, 0.4, 5.0])
@pytest.mark.parametrize(("quantile", "b"), [(0.5, 1.0), (0.2, 0.25), (0.9, 2.0)])
def test_kl_from_a_normal_is_the_integral(loc, scale, quantile, b):
    q = stats.norm(loc, scale)
    p = of_scipy(b, quantile)
    ends = loc - 12 * scale, loc + 12 * scale
    expected, _ = integrate.quad(
        lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), *ends, points=[0.0, loc], limit=200
    )
    found = kl_divergence(
        LogScaleNormal(torch.tensor([loc]), torch.tensor([scale]).log()),
        AsymmetricLaplacePrior((1,), quantile=quantile, scale=b)().base_dist,
    )
    assert found.item() == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_a_model_of_both_trains():
    model = genmod.build(
        encoder="mlp",
        prior="laplace",
        decoder="asymmetric-laplace",
        latent=2,
        settings={"encoder.hidden": [32]},
    )
    assert {part.provider for part in model.spec.components.values()} == {"genmod-torch", "genmod-laplace"}
    result = genmod.train(model, steps=200, device="cpu")
    losses = [row["loss"] for row in result.rows if row["split"] == "validation"]
    assert losses[-1] < losses[0] - 20
    assert model.decoder.log_scale.item() < math.log(1 / 8)  # where it started
    assert model.sample(3, seed=0).shape == (3, 1, 8, 8)


@pytest.mark.parametrize("module", ["decoder", "distribution", "prior"])
def test_examples_in_docstrings(module):
    result = doctest.testmod(import_module(f"genmod_laplace.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
