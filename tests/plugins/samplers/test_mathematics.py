"""Samplers against closed forms and other people's programs."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import gaussian_kde
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity as SklearnKernelDensity

from genmod.errors import UsageError
from genmod.plugins.samplers._standard import Standard
from genmod.plugins.samplers.flow import FlowSampler
from genmod.plugins.samplers.gaussian import GaussianSampler
from genmod.plugins.samplers.gmm import GmmSampler
from genmod.plugins.samplers.kde import KdeSampler, KernelDensity
from genmod.plugins.samplers.vae import VaeSampler
from genmod.system.random import seed_for


def fitted(sampler, codes, **given):
    sampler = sampler.double()
    sampler.fit(codes, **given)
    return sampler.eval()


def test_gaussian_has_the_moments_of_the_codes(normal):
    _, codes = normal
    p = fitted(GaussianSampler((4,)), codes)()
    torch.testing.assert_close(p.mean, codes.mean(0))
    # As if a millionth of each variance were noise.
    torch.testing.assert_close(p.covariance_matrix, codes.T.cov(correction=0), rtol=2e-6, atol=2e-6)


def test_gaussian_recovers_a_normal(normal):
    truth, codes = normal
    p = fitted(GaussianSampler((4,)), codes)()
    # Twice the expected KL of a normal fitted to N draws is about its number of parameters over N.
    kl = torch.distributions.kl_divergence(truth, p)
    assert 0 <= float(kl) < 3 * 14 / (2 * len(codes))
    z = p.sample((20_000,))
    torch.testing.assert_close(z.mean(0), truth.mean, rtol=0.05, atol=0.1)


def test_gaussian_of_codes_on_a_plane():
    codes = torch.randn(50, 2).double() @ torch.randn(2, 5).double()
    p = fitted(GaussianSampler((5,)), codes)()
    assert p.log_prob(codes).isfinite().all()
    one = fitted(GaussianSampler((5,)), codes[:1])()
    torch.testing.assert_close(one.sample(), codes[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_gmm_is_that_of_scikit_learn(moons, covariance):
    codes, others = moons
    sampler = fitted(GmmSampler((2,), components=6, covariance=covariance), codes, seed=4)
    standard = Standard((2,)).double()
    standard.fit(codes)
    reference = GaussianMixture(
        6,
        covariance_type={"full": "full", "diagonal": "diag"}[covariance],
        max_iter=1000,
        random_state=seed_for(4, "gmm") % 2**32,
    ).fit(standard(codes).numpy())
    wanted = reference.score_samples(standard(others).numpy()) - float(standard.scale.log().sum())
    np.testing.assert_allclose(sampler().log_prob(others).numpy(), wanted, rtol=0, atol=1e-6)


def test_gmm_of_one_component_is_the_gaussian(normal):
    _, codes = normal
    one, other = fitted(GmmSampler((4,), components=1), codes)(), fitted(GaussianSampler((4,)), codes)()
    torch.testing.assert_close(one.log_prob(codes[:9]), other.log_prob(codes[:9]), rtol=0, atol=1e-4)


def test_gmm_draws_each_cluster_as_often_as_it_is():
    codes = torch.cat([torch.randn(300, 1) - 10, torch.randn(100, 1) + 10]).double()
    z = fitted(GmmSampler((1,), components=2), codes)().sample((20_000,))
    assert abs(float((z < 0).double().mean()) - 0.75) < 4 * math.sqrt(0.75 * 0.25 / 20_000)


def test_gmm_of_too_few_codes():
    with pytest.raises(UsageError, match="10 components, and there are 3 codes") as raised:
        GmmSampler((2,)).fit(torch.randn(3, 2))
    assert "sampler.components=1" in raised.value.hint


@pytest.mark.parametrize("bandwidth", ["scott", "silverman", 0.2])
def test_kde_is_that_of_scipy(moons, bandwidth):
    codes, others = moons
    p = fitted(KdeSampler((2,), bandwidth=bandwidth), codes)()
    factor = gaussian_kde(codes.T.numpy(), bw_method=bandwidth).factor
    # SciPy divides by N - 1.
    wanted = gaussian_kde(codes.T.numpy(), bw_method=factor * math.sqrt(1 - 1 / len(codes)))
    np.testing.assert_allclose(
        p.log_prob(others).numpy(), wanted.logpdf(others.T.numpy()), rtol=1e-4, atol=1e-4
    )


def test_kernel_density_is_that_of_scikit_learn(moons):
    codes, others = moons
    p = KernelDensity(codes, 0.1 * torch.eye(2).double())
    reference = SklearnKernelDensity(bandwidth=0.1).fit(codes.numpy())
    np.testing.assert_allclose(p.log_prob(others).numpy(), reference.score_samples(others.numpy()), atol=1e-9)
    torch.testing.assert_close(p.log_prob(others.reshape(5, 100, 2)).flatten(), p.log_prob(others))


def test_kde_moments(moons):
    p = fitted(KdeSampler((2,)), moons[0])()
    z = p.sample((50_000,))
    torch.testing.assert_close(z.mean(0), p.mean, rtol=0, atol=0.02)
    torch.testing.assert_close(z.var(0), p.variance, rtol=0.03, atol=0)


def test_kde_bandwidth_of_most_likely_others(moons):
    """Leaving out one by one finds what others, held back, say."""
    codes, others = moons
    chosen = fitted(KdeSampler((2,)), codes)().log_prob(others).mean()
    for bandwidth in ("scott", "silverman", 0.02, 1.0):
        other = fitted(KdeSampler((2,), bandwidth=bandwidth), codes)().log_prob(others).mean()
        assert chosen > other - 0.01, bandwidth


def test_kde_keeps_a_random_part():
    codes = torch.arange(1000.0)[:, None]
    sampler = KdeSampler((1,), points=100)
    sampler.fit(codes)
    assert sampler.points.shape == (100, 1)
    assert abs(float(sampler.points.mean()) - 500) < 4 * 290 / 10
    other = KdeSampler((1,), points=100)
    other.reserve(1000)
    other.load_state_dict(sampler.state_dict())


@pytest.mark.parametrize(
    "sampler",
    [
        GmmSampler((2,)),
        KdeSampler((2,)),
        pytest.param(
            FlowSampler((2,), steps=150, hidden=[32, 32], transforms=2, lr=1e-2), marks=pytest.mark.slow
        ),
        pytest.param(
            FlowSampler((2,), kind="maf", steps=200, transforms=3, hidden=[32, 32], lr=1e-2),
            marks=pytest.mark.slow,
        ),
        pytest.param(VaeSampler((2,), steps=1200, hidden=[128, 128]), marks=pytest.mark.slow),
    ],
    ids=["gmm", "kde", "nsf", "maf", "vae"],
)
def test_moons_are_more_likely_than_under_the_gaussian(moons, sampler):
    codes, others = moons
    plain = fitted(GaussianSampler((2,)), codes)().log_prob(others).mean()
    made = fitted(sampler, codes)
    with torch.no_grad():
        found = made().log_prob(others) if made.has_density else made.bound(others)
    assert float(found.mean()) > float(plain) + 0.15


@pytest.mark.slow
def test_bound_of_the_vae_is_below_a_closed_form(normal):
    """Of a normal the second stage can learn all; its bound stays below the density of the truth."""
    truth, codes = normal
    sampler = fitted(VaeSampler((4,), steps=500, hidden=[64, 64]), codes[:3000])
    bound, exact = sampler.bound(codes[3000:], 50).mean(), truth.log_prob(codes[3000:]).mean()
    assert exact - 0.5 < bound < exact + 0.02
    z = sampler().sample((5000,))
    torch.testing.assert_close(z.mean(0), truth.mean, rtol=0.05, atol=0.3)
    with pytest.raises(NotImplementedError):
        sampler().log_prob(z)


@pytest.mark.parametrize("cls", [GaussianSampler, GmmSampler, KdeSampler])
def test_latents_of_any_shape(cls):
    codes = torch.randn(200, 2, 3).double() * torch.tensor([1.0, 10.0, 100.0])
    flat, made = fitted(cls((6,)), codes.flatten(1))(), fitted(cls((2, 3)), codes)()
    assert made.event_shape == (2, 3)
    torch.testing.assert_close(made.log_prob(codes), flat.log_prob(codes.flatten(1)))


def test_zuko_leaves_validation_as_it_was(monkeypatch):
    # The compiler of torch 2.6 turns it off.
    monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", True)
    FlowSampler((2,), hidden=[4])
    assert torch.distributions.Distribution._validate_args is True
    with pytest.raises(ValueError, match="constraint"):
        torch.distributions.Normal(0.0, -1.0)
