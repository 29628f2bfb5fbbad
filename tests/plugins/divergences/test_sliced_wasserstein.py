"""The sliced Wasserstein distance: against sorting in one dimension, and against the closed form of normals."""

import numpy as np
import pytest
import torch
from torch.distributions import kl_divergence

from genmod import diagonal_normal
from genmod.plugins.divergences.sliced_wasserstein import SlicedWasserstein


def test_one_dimension_is_sorting(prior):
    """There is one direction and its opposite, so that nothing is random but the draws."""
    q, p = diagonal_normal(torch.randn(20, 1).double(), torch.zeros(20, 1).double(), 1), prior(latents=1)
    z = q.sample((1,))
    torch.manual_seed(3)
    y = p.rsample((1, 20))
    torch.manual_seed(3)
    value = SlicedWasserstein(projections=4)(q, p, z)
    expected = np.square(np.sort(z[0, :, 0].numpy()) - np.sort(y[0, :, 0].numpy())).mean()
    assert value.tolist() == pytest.approx([expected] * 20, rel=1e-12)


@torch.no_grad()
def test_a_shift_is_divided_among_the_dimensions(prior):
    """Of equal covariances ``E_θ[(θᵀΔ)²] = |Δ|²/D``, up to what large samples of one distribution differ by."""
    n, shift = 2000, 3.0
    loc = torch.zeros(n, 3, dtype=torch.float64)
    loc[:, 0] = shift
    q, p = diagonal_normal(loc, torch.zeros_like(loc), 1), prior()
    values = torch.stack([SlicedWasserstein(projections=200)(q, p, q.sample((1,)))[0] for _ in range(10)])
    error = values.std() / 10**0.5
    assert (values.mean() - shift**2 / 3).abs() < 4 * error + 0.04


@torch.no_grad()
def test_falls_as_the_codes_come_closer(prior):
    p = prior()
    means = []
    for shift in (2.0, 1.0, 0.0):
        q = diagonal_normal(torch.full((200, 3), shift).double(), torch.zeros(200, 3).double(), 1)
        means.append(SlicedWasserstein()(q, p, q.sample((2,))).mean().item())
    assert means[0] > 2 * means[1] > 4 * means[2] > 0


def test_batch_of_one_example_and_weights(posterior, prior):
    q, p = posterior(batch=1), prior()
    assert SlicedWasserstein()(q, p, q.rsample((3,))).isfinite().all()
    q = posterior()
    z = q.rsample((3,))

    def value(**options):
        torch.manual_seed(1)
        return SlicedWasserstein(**options)(q, p, z)

    assert value().unique().numel() == 1
    torch.testing.assert_close(value(kl=0.5, weight=3.0), 3 * value() + 0.5 * kl_divergence(q, p))
