"""The dependence of latents: against numpy, unbiased, and able to see what a covariance cannot."""

from itertools import combinations

import numpy as np
import pytest
import torch
from torch.distributions import kl_divergence

from genmod.plugins.divergences.hsic import HSIC


def by_matrices(a, b, bandwidth):
    """The unbiased estimate of one pair of latents ``(n,)``, as it is written in the paper."""
    n = len(a)
    k, m = (np.exp(-((v[:, None] - v[None]) ** 2) / (2 * bandwidth**2)) * (1 - np.eye(n)) for v in (a, b))
    one = np.ones(n)
    trace = np.trace(k @ m) + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    return (trace - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3))


@pytest.mark.parametrize("bandwidth", [0.5, 1.0])
@pytest.mark.parametrize("latents", [2, 4])
def test_against_numpy(bandwidth, latents):
    z = torch.randn(11, latents, dtype=torch.float64)
    z[:, 1] += z[:, 0]
    columns = z.numpy().T
    expected = sum(by_matrices(a, b, bandwidth) for a, b in combinations(columns, 2))
    assert HSIC(bandwidth=bandwidth).dependence(z).item() == pytest.approx(expected, rel=1e-9)


@torch.no_grad()
@pytest.mark.parametrize("n", [4, pytest.param(12, marks=pytest.mark.slow)])
def test_zero_in_expectation_of_independent_latents(n):
    part = HSIC()
    values = torch.stack([part.dependence(torch.randn(n, 3, dtype=torch.float64)) for _ in range(3000)])
    assert values.mean().abs() <= 4 * values.std() / 3000**0.5


@torch.no_grad()
def test_sees_dependence_without_covariance():
    a = torch.randn(300, dtype=torch.float64)
    dependent = torch.stack([a, a.square() - 1], 1)
    assert (
        HSIC().dependence(dependent) > 20 * HSIC().dependence(torch.randn(300, 2, dtype=torch.float64)).abs()
    )


def test_few_examples_one_latent_and_the_kl(posterior, prior):
    part = HSIC()
    for batch in (1, 3):
        q = posterior(batch=batch)
        torch.testing.assert_close(part(q, prior(), q.rsample((2,))), kl_divergence(q, prior()))
    single = posterior(batch=9, latents=1)
    value = HSIC(kl=0)(single, prior(latents=1), single.rsample((2,)))
    assert value.abs().max() < 1e-12
    q = posterior(batch=9)
    z = q.rsample((2,))
    dependence = torch.stack([part.dependence(each) for each in z]).mean()
    torch.testing.assert_close(HSIC(weight=7.0)(q, prior(), z), 7 * dependence + kl_divergence(q, prior()))
