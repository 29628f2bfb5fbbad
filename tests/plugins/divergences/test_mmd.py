"""The maximum mean discrepancy: against a double loop, unbiased, and safe for a single example."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

from genmod import UndefinedError, diagonal_normal
from genmod.plugins.divergences.mmd import MMD


def by_loops(z, y, kernel, scales):
    """The U-statistic of two samples ``(n, D)``, pair by pair."""
    n, dims = z.shape

    def k(a, b):
        distance = ((a - b) ** 2).sum()
        widths = [2 * dims * scale for scale in scales]
        return sum(w / (w + distance) if kernel == "imq" else math.exp(-distance / w) for w in widths)

    inside = sum(k(s[i], s[j]) for s in (z, y) for i in range(n) for j in range(n) if i != j)
    across = sum(k(z[i], y[j]) for i in range(n) for j in range(n))
    return inside / (n * (n - 1)) - 2 * across / n**2


@pytest.mark.parametrize("kernel", ["imq", "rbf"])
@pytest.mark.parametrize("scales", [(1.0,), (0.1, 1.0, 5.0)], ids=str)
def test_against_a_double_loop(kernel, scales):
    z, y = torch.randn(2, 9, 3, dtype=torch.float64), 1 + 2 * torch.randn(2, 9, 3, dtype=torch.float64)
    found = MMD(kernel=kernel, scales=scales).discrepancy(z, y)
    expected = [by_loops(a.numpy(), b.numpy(), kernel, scales) for a, b in zip(z, y, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)


@torch.no_grad()
@pytest.mark.parametrize("kernel", ["imq", "rbf"])
@pytest.mark.parametrize("n", [2, 5, 40])
def test_zero_in_expectation_where_both_are_equal(kernel, n):
    """For every size of the batch; a V-statistic is off by about 2/n."""
    z, y = torch.randn(2, 20_000 // n, n, 3, dtype=torch.float64)
    values = MMD(kernel=kernel).discrepancy(z, y)
    assert values.mean().abs() <= 4 * values.std() / len(values) ** 0.5
    assert (values < 0).any()


@torch.no_grad()
def test_expectation_is_that_of_normals():
    """``E exp(-d²/c) = sqrt(c/(c + 2s²)) exp(-Δ²/(c + 2s²))``, where two draws differ by ``d ~ N(Δ, s²)``."""
    mean, scale, c = 1.2, 0.5, 2.0

    def expected(shift, variance):
        return math.sqrt(c / (c + 2 * variance)) * math.exp(-(shift**2) / (c + 2 * variance))

    exact = expected(0, 2 * scale**2) + expected(0, 2.0) - 2 * expected(mean, scale**2 + 1)
    z = mean + scale * torch.randn(4000, 5, 1, dtype=torch.float64)
    values = MMD(kernel="rbf", scales=(1.0,)).discrepancy(z, torch.randn(4000, 5, 1, dtype=torch.float64))
    assert (values.mean() - exact).abs() <= 4 * values.std() / len(values) ** 0.5
    assert exact > 20 * values.std() / len(values) ** 0.5


@pytest.mark.slow
def test_size_of_the_batch_leaves_the_expectation_as_it_is(prior):
    q = diagonal_normal(
        torch.ones(64, 3, dtype=torch.float64), torch.zeros(64, 3, dtype=torch.float64) - 1, 1
    )
    part, p = MMD(), prior()
    means = []
    with torch.no_grad():
        for n in (2, 8, 64):
            small = diagonal_normal(q.base_dist.loc[:n], q.base_dist.log_scale[:n], 1)
            values = torch.stack([part(small, p, small.sample((4,))).mean() for _ in range(400)])
            means.append((values.mean(), values.std() / 400**0.5))
    for (a, error_a), (b, error_b) in pairwise(means):
        assert (a - b).abs() <= 4 * (error_a**2 + error_b**2).sqrt()


def test_batch_of_one_example(posterior, prior):
    """It has no pairs: zero and finite, with a KL beside it or without."""
    q = posterior(batch=1)
    assert MMD()(q, prior(), q.rsample((3,))).tolist() == [0.0]
    value = MMD(kl=1.0)(q, prior(), q.rsample((3,)))
    torch.testing.assert_close(value, kl_divergence(q, prior()))


def test_weights(posterior, prior):
    q, p = posterior(), prior()
    z = q.rsample((3,))

    def value(**options):
        torch.manual_seed(1)
        return MMD(**options)(q, p, z)

    assert value().shape == (4,)
    assert value().unique().numel() == 1
    torch.testing.assert_close(value(kl=0.5, weight=3.0), 3 * value() + 0.5 * kl_divergence(q, p))
    assert not MMD().needs_densities
    assert MMD(kl=0.1).needs_densities


def test_learned_prior(posterior):
    """Draws that can be differentiated teach the prior; others are refused rather than ignored."""
    q = posterior()
    loc = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    p = diagonal_normal(loc, torch.zeros(3, dtype=torch.float64), 1)
    MMD()(q, p, q.rsample((1,))).mean().backward()
    assert loc.grad.abs().sum() > 0
    components = Independent(Normal(loc.expand(2, 3), torch.ones(2, 3, dtype=torch.float64)), 1)
    mixture = MixtureSameFamily(Categorical(torch.ones(2, dtype=torch.float64)), components)
    with pytest.raises(UndefinedError, match="learned") as caught:
        MMD().check(q, mixture)
    assert "--divergence" in caught.value.hint
