"""The two components on their own, against scipy and quadrature, and inside a model."""

import math

import pytest
import torch
from genmod_laplace.decoder import AsymmetricLaplace, AsymmetricLaplaceDecoder
from genmod_laplace.prior import LaplacePrior
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
    prior = LaplacePrior((1,), scale=0.7)
    total, _ = integrate.quad(lambda z: prior().log_prob(torch.tensor([z])).exp().item(), -30, 30, points=[0])
    assert total == pytest.approx(1, abs=1e-5)
    draws = prior().sample((20_000,)).flatten().numpy()
    assert stats.kstest(draws, stats.laplace(scale=0.7).cdf).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(4,), (2, 3)])
def test_prior_shapes(shape):
    p = LaplacePrior(shape)()
    assert (p.batch_shape, p.event_shape) == ((), shape)
    assert p.sample((7,)).shape == (7, *shape)


@pytest.mark.parametrize("loc", [0.0, -1.3, 6.0])
@pytest.mark.parametrize("scale", [1e-3, 0.4, 1.0, 5.0])
@pytest.mark.parametrize("b", [0.5, 2.0])
def test_kl_from_a_normal_is_the_integral(loc, scale, b):
    def integrand(z):
        return stats.norm.pdf(z, loc, scale) * (
            stats.norm.logpdf(z, loc, scale) - stats.laplace.logpdf(z, 0, b)
        )

    expected, _ = integrate.quad(integrand, loc - 12 * scale, loc + 12 * scale, points=[0.0, loc], limit=200)
    q = LogScaleNormal(torch.tensor([loc]), torch.tensor([scale]).log())
    p = LaplacePrior((1,), scale=b)().base_dist
    assert kl_divergence(q, p).item() == pytest.approx(expected, rel=1e-5, abs=1e-5)


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
