"""Distributions on the sphere: against mpmath, scipy and autograd; their gradients are unbiased."""

import math

import mpmath
import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import kl_divergence
from torch.nn.functional import normalize

from genmod import UsageError
from genmod.plugins.posteriors._sphere import around, log_area
from genmod.plugins.posteriors.power_spherical import PowerSpherical, PowerSphericalPosterior
from genmod.plugins.posteriors.vmf import VonMisesFisher, mean_length
from genmod.plugins.priors.uniform_sphere import UniformSphere

BOTH = pytest.mark.parametrize("kind", [PowerSpherical, VonMisesFisher])
SIZES = (3, 5, 10, 20, 64)


def pole(d, dtype=torch.float64):
    return torch.eye(d, dtype=dtype)[0]


def bessel(d, concentration):
    """``A_d`` and ``log ∫ exp(κ (w - 1))`` over heights, to forty digits."""
    with mpmath.workdps(40):
        order, k = mpmath.mpf(d) / 2 - 1, mpmath.mpf(concentration)
        low, high = mpmath.besseli(order, k), mpmath.besseli(order + 1, k)
        scale = mpmath.sqrt(mpmath.pi) * mpmath.gamma(mpmath.mpf(d - 1) / 2) * (2 / k) ** order
        return high / low, mpmath.log(scale * low) - k


@pytest.mark.parametrize("d", [2, 3, 5, 10, 20, 64, 1024])
@pytest.mark.parametrize("concentration", [1e-3, 0.1, 2.0, 50.0, 1e3, 1e4])
def test_vmf_against_forty_digits(d, concentration):
    """Length of the mean, log-density, variance and KL."""
    length, log_integral = bessel(d, concentration)
    k = torch.tensor(concentration, dtype=torch.float64)
    assert float(abs(mean_length(k, d).item() / length - 1)) < 1e-12
    p = VonMisesFisher(pole(d), k)
    assert p.log_prob(pole(d)).item() == pytest.approx(
        float(-log_integral) - log_area(d - 1), rel=1e-12, abs=1e-11
    )
    with mpmath.workdps(40):
        variance = 1 - length**2 - (d - 1) * length / concentration
        kl = concentration * (length - 1) - log_integral - log_area(d - 1) + log_area(d)
    assert p.variance[0].item() == pytest.approx(float(variance), rel=1e-6)
    assert kl_divergence(p, UniformSphere(torch.zeros(d, dtype=torch.float64))).item() == pytest.approx(
        float(kl), rel=1e-9, abs=1e-11
    )


def test_vmf_against_scipy():
    reference = stats.vonmises_fisher([0, 0, 1.0], 7.5)
    x = normalize(torch.randn(50, 3, dtype=torch.float64), dim=-1)
    p = VonMisesFisher(torch.tensor([0, 0, 1.0], dtype=torch.float64), torch.tensor(7.5, dtype=torch.float64))
    np.testing.assert_allclose(p.log_prob(x), reference.logpdf(x.numpy()), rtol=1e-10)
    assert p.entropy().item() == pytest.approx(reference.entropy(), rel=1e-10)


@BOTH
@pytest.mark.parametrize("d", SIZES)
@pytest.mark.parametrize("concentration", [0.5, pytest.param(2.0, marks=pytest.mark.slow), 40.0])
def test_mean_of_draws_and_its_gradient(kind, d, concentration):
    """``|E[w] - A|`` and ``dE[w]/dκ`` within four standard errors; the accepted proposal alone would be off."""
    n = 20_000
    shift = torch.zeros(n, dtype=torch.float64, requires_grad=True)
    k = torch.tensor(concentration, dtype=torch.float64)
    p = kind(pole(d).expand(n, d), k + shift)
    w = p.rsample()[:, 0]
    (slope,) = torch.autograd.grad(w.sum(), shift)
    one = k.clone().requires_grad_()
    exact = kind(pole(d), one).mean[0]
    (exact_slope,) = torch.autograd.grad(exact, one)
    assert abs(w.mean() - exact) <= 4 * w.std() / n**0.5
    assert abs(slope.mean() - exact_slope) <= 4 * slope.std() / n**0.5


@BOTH
def test_gradient_of_the_direction(kind):
    """``E[(aᵀ z)²]`` has the derivative that its exact second moment has."""
    n, d = 40_000, 4
    a, raw, tangent = (torch.randn(d, dtype=torch.float64) for _ in range(3))
    k = torch.tensor(3.0, dtype=torch.float64)

    def law(shift):
        loc = normalize(raw + shift * tangent, dim=-1)
        return kind(loc, k.expand(loc.shape[:-1]))

    shift = torch.zeros(n, 1, dtype=torch.float64, requires_grad=True)
    (each,) = torch.autograd.grad((law(shift).rsample() @ a).square().sum(), shift)
    one = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    p = law(one)
    along = kind(pole(d)[None], k[None]).variance[0, 0] + kind(pole(d)[None], k[None]).mean[0, 0] ** 2
    across = (1 - along) / (d - 1)
    moment = (along - across) * (p.loc @ a).square() + across * a.square().sum()
    (exact,) = torch.autograd.grad(moment.sum(), one)
    assert abs(each.mean() - exact) <= 4 * each.std() / n**0.5


@BOTH
@pytest.mark.parametrize("d", [2, 3, 7])
def test_density_is_normalised_and_is_that_of_the_draws(kind, d):
    """Over the angle to the pole: the density integrates to one and gives the distribution of the draws."""
    for concentration in (0.2, 3.0, 60.0):
        p = kind(pole(d), torch.tensor(concentration, dtype=torch.float64))
        theta = torch.linspace(0, math.pi, 20_001, dtype=torch.float64)
        x = theta.cos()[:, None] * pole(d) + theta.sin()[:, None] * torch.eye(d, dtype=torch.float64)[1]
        density = (p.log_prob(x) + log_area(d - 1)).exp() * theta.sin() ** (d - 2)
        steps = torch.cumulative_trapezoid(density, theta)
        assert steps[-1].item() == pytest.approx(1, abs=1e-6)
        angles = p.sample((10_000,))[:, 0].clamp(-1, 1).arccos()
        uniform = np.interp(angles.numpy(), theta[1:].numpy(), steps.numpy())
        assert stats.kstest(uniform, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("kind", [PowerSpherical, pytest.param(VonMisesFisher, marks=pytest.mark.slow)])
def test_moments_and_entropy(kind):
    loc, k = normalize(torch.randn(6, 5, dtype=torch.float64), dim=-1), torch.logspace(-1, 2.5, 6).double()
    p = kind(loc, k)
    z = p.sample((100_000,))
    torch.testing.assert_close(z.norm(dim=-1), torch.ones(100_000, 6, dtype=torch.float64))
    assert ((z.mean(0) - p.mean).abs() <= 4.5 * z.std(0) / 1e5**0.5).all()
    torch.testing.assert_close(z.var(0), p.variance, rtol=0.03, atol=0)
    surprise = -p.log_prob(z)
    assert ((surprise.mean(0) - p.entropy()).abs() <= 4 * surprise.std(0) / 1e5**0.5).all()


@BOTH
def test_kl_is_never_negative_and_vanishes_with_the_concentration(kind):
    k = torch.logspace(-3, 3.9, 60)
    loc = normalize(torch.randn(60, 12), dim=-1)
    value = kl_divergence(kind(loc, k), UniformSphere(torch.zeros(12)))
    assert value.dtype == torch.float32
    assert (value >= 0).all()
    assert (value.diff() > 0).all()
    assert value[0] < 1e-6


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("d", [2, 3, 64, 512, 1024])
def test_nothing_is_lost_at_the_ends(kind, d, dtype):
    """Values and gradients are finite for concentrations from 1e-3 to 1e4."""
    raw = torch.randn(6, d, dtype=dtype, requires_grad=True)
    k = torch.logspace(-3, 4, 6, dtype=dtype).requires_grad_()
    p = kind(normalize(raw, dim=-1), k)
    z = p.rsample((20,))
    value = p.log_prob(z).sum() + p.entropy().sum() + p.mean.sum() + z.square().sum()
    value = value + kl_divergence(p, UniformSphere(torch.zeros(d, dtype=dtype))).sum()
    value.backward()
    assert value.isfinite()
    assert raw.grad.isfinite().all()
    assert k.grad.isfinite().all()


@BOTH
def test_single_precision_agrees_with_double(kind):
    loc, k = normalize(torch.randn(30, 16), dim=-1), torch.logspace(-2, 3, 30)
    z = kind(loc, k).sample()
    exact = kind(normalize(loc.double(), dim=-1), k.double())
    torch.testing.assert_close(
        kind(loc, k).log_prob(z).double(), exact.log_prob(z.double()), rtol=1e-4, atol=1e-3
    )


def test_points_around_a_direction():
    loc = normalize(torch.randn(5, 4, dtype=torch.float64), dim=-1)
    points = around(loc, torch.full((1000, 5), 0.6).double(), torch.full((1000, 5), 0.8).double())
    torch.testing.assert_close((points * loc).sum(-1), torch.full((1000, 5), 0.6, dtype=torch.float64))
    torch.testing.assert_close(points.norm(dim=-1), torch.ones(1000, 5, dtype=torch.float64))


@pytest.mark.parametrize("latent", [(1,), (2, 3)])
def test_latents_that_are_no_directions_are_refused(latent):
    with pytest.raises(UsageError, match="vectors of 2 or more") as caught:
        PowerSphericalPosterior((7,), latent)
    assert "--latent" in caught.value.hint
