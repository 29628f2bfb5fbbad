"""The continuous Bernoulli: against sixty digits, where torch's own is wrong."""

import mpmath
import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch.distributions import kl_divergence

from genmod import DataInfo
from genmod.plugins.decoders.continuous_bernoulli import ContinuousBernoulli, ContinuousBernoulliDecoder

LOGITS = sorted(
    {s * v for s in (-1, 1) for v in (0, 1e-12, 1e-6, 1e-3, 0.1, 0.4, 0.499, 0.4999999, 0.5, 0.50001)}
    | {s * v for s in (-1, 1) for v in (0.6, 1.0, 2.5, 7.0, 15.9, 20.0, 40.0, 80.0, 100.0, 120.0)}
)
BARS = {torch.float32: (6e-6, 3e-7, 1e-6), torch.float64: (2e-14, 3e-13, 6e-12)}


def log_constant(logit):
    return mpmath.log(
        mpmath.quad(lambda t: mpmath.exp(logit * t), [0, 1]) if logit == 0 else mpmath.expm1(logit) / logit
    )


def moments(logit):
    """Mean and variance of the density ``exp(l x)``."""
    if logit == 0:
        return mpmath.mpf(1) / 2, mpmath.mpf(1) / 12
    one = mpmath.mpf(1)
    mean = one / -mpmath.expm1(-logit) - 1 / logit
    return mean, 1 / logit**2 - mpmath.exp(-abs(logit)) / mpmath.expm1(-abs(logit)) ** 2


@pytest.mark.parametrize("dtype", BARS, ids=str)
def test_value_mean_and_variance_against_sixty_digits(dtype):
    value_bar, mean_bar, variance_bar = BARS[dtype]
    with mpmath.workdps(60):
        for given in LOGITS:
            logit = torch.tensor(given, dtype=dtype)
            exact, p = mpmath.mpf(logit.item()), ContinuousBernoulli(logit)
            mean, variance = moments(exact)
            assert abs(p.mean.item() - mean) <= mean_bar, given
            assert abs(p.variance.item() - variance) <= variance_bar, given
            for x in (0.0, 0.25, 0.5, 1.0):
                expected = exact * x - log_constant(exact)
                error = abs(p.log_prob(torch.tensor(x, dtype=dtype)).item() - expected)
                assert error <= value_bar * max(1, abs(expected)), (given, x)


def test_torch_itself_fails_the_same_bar():
    """The reason for a distribution of our own; when this fails, torch has been repaired."""
    theirs = torch.distributions.ContinuousBernoulli(logits=torch.tensor(20.0), validate_args=False)
    assert abs(theirs.log_prob(torch.tensor(1.0)).item() - float(20 - log_constant(mpmath.mpf(20)))) > 0.1


@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_of_the_constant_are_the_moments(order):
    """Right through zero and over the seam of the two forms."""
    logits = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    p = ContinuousBernoulli(logits)
    (first,) = torch.autograd.grad(p.log_prob(torch.zeros_like(logits)).sum(), logits, create_graph=True)
    torch.testing.assert_close(-first, p.mean, rtol=1e-10, atol=1e-12)
    if order == 2:
        (second,) = torch.autograd.grad(-first.sum(), logits)
        torch.testing.assert_close(second, p.variance, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("logit", [-30.0, -1.0, -1e-7, 0.0, 1e-4, 0.3, 4.0, 60.0])
def test_draws_follow_the_density(logit):
    p = ContinuousBernoulli(torch.tensor(logit, dtype=torch.float64))
    density = lambda x: p.log_prob(torch.as_tensor(x, dtype=torch.float64)).exp().item()  # noqa: E731
    assert integrate.quad(density, 0, 1, points=[0.01, 0.99])[0] == pytest.approx(1, abs=1e-9)
    draws = p.sample((20_000,)).numpy()
    cdf = np.clip(draws, 0, 1) if logit == 0 else np.expm1(logit * draws) / np.expm1(logit)
    assert stats.kstest(cdf, "uniform").pvalue > 1e-3


def test_gradient_of_draws_is_that_of_the_mean():
    logits = torch.tensor([-20.0, -0.3, 0.0, 1.0, 9.0], dtype=torch.float64, requires_grad=True)
    draws = ContinuousBernoulli(logits).rsample((200_000,))
    (through,) = torch.autograd.grad(draws.mean(0).sum(), logits)
    assert ((through - ContinuousBernoulli(logits).variance).abs() <= 5e-4).all()


def test_kl_against_draws_and_zero_where_equal():
    q, p = (ContinuousBernoulli(5 * torch.randn(20, dtype=torch.float64)) for _ in range(2))
    ratio = q.log_prob(z := q.sample((200_000,))) - p.log_prob(z)
    error = ratio.std(0) / len(z) ** 0.5
    assert ((ratio.mean(0) - kl_divergence(q, p)).abs() <= 4 * error + 1e-12).all()
    assert kl_divergence(p, p).abs().max() < 1e-14


@pytest.mark.parametrize("size", [200.0, 1e4, 1e30])
def test_finite_far_away(size):
    for sign in (-1, 1):
        logits = torch.tensor([sign * size], requires_grad=True)
        p = ContinuousBernoulli(logits)
        for x in (0.0, 0.5, 1.0):
            value = p.log_prob(torch.tensor([x]))
            (gradient,) = torch.autograd.grad(value.sum() + p.mean.sum(), logits)
            assert value.isfinite().all()
            assert gradient.isfinite().all()


def test_dequantized_levels_fill_the_unit_interval():
    info = DataInfo((1,), levels=4)
    decoder = ContinuousBernoulliDecoder(info, dequantize=True)
    y = decoder.observe(info.values(torch.randint(4, (100_000, 1))).double())
    assert stats.kstest(y[:, 0].numpy(), "uniform").pvalue > 1e-3
    assert decoder.cell == 0.25
