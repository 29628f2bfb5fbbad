"""Mixtures of normals for each value, against scipy, and where they begin."""

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm

from genmod import DataInfo
from genmod.plugins.decoders.gaussian_mixture import GaussianMixtureDecoder


def decoder(shape, components):
    data = DataInfo(shape, low=-math.inf, high=math.inf)
    return GaussianMixtureDecoder(data, components=components).double().eval()


@pytest.mark.parametrize(("shape", "components"), [((3,), 4), ((1, 2, 2), 2), ((2,), 1)])
def test_density_moments_and_draws_against_scipy(shape, components):
    part = decoder(shape, components)
    parameters, x = (
        torch.randn(5, 3, components, *shape, dtype=torch.float64),
        torch.randn(5, *shape).double() * 2,
    )
    p = part(parameters)
    logits, means, scales = (each.numpy() for each in parameters.unbind(1))
    weights = logits - logsumexp(logits, 1, keepdims=True)
    means = means + part.means.detach().numpy()
    scales = np.exp(p.base_dist.component_distribution.log_scale.detach().movedim(-1, 1).numpy())
    # Within their bounds, scales are those of the network and the trained ones together.
    np.testing.assert_allclose(
        np.log(scales), parameters[:, 2].numpy() + part.log_scales.detach().numpy(), atol=0.25
    )
    each = logsumexp(weights + norm.logpdf(x.numpy()[:, None], means, scales), axis=1)
    np.testing.assert_allclose(p.log_prob(x).detach().numpy(), each.reshape(5, -1).sum(1), rtol=1e-10)
    expected = (np.exp(weights) * means).sum(1)
    np.testing.assert_allclose(p.mean.detach().numpy(), expected, rtol=1e-10)
    second = (np.exp(weights) * (means**2 + scales**2)).sum(1)
    np.testing.assert_allclose(p.variance.detach().numpy(), second - expected**2, rtol=1e-8)
    draws = p.sample((4000,))
    error = (draws.mean(0) - p.mean) / (p.variance / 4000).sqrt()
    assert error.abs().max() < 5


def test_begins_at_quantiles_of_what_was_observed():
    part = decoder((2,), 2)
    x = torch.stack(
        [torch.cat([torch.linspace(-3, -1, 50), torch.linspace(1, 3, 50)]), torch.arange(100.0)], 1
    )
    gaps = x.clone()
    gaps[::7] = torch.nan
    for examples, slack in ((x, 1e-9), (gaps, 1.0)):
        part.prepare(examples.double())
        quantiles = np.quantile(x.numpy(), [0.25, 0.75], axis=0)
        np.testing.assert_allclose(
            part.means.detach().numpy(), quantiles, atol=1e-6 if examples is x else slack
        )
    assert part.log_scales.isfinite().all()


def test_a_column_without_any_value_keeps_its_start():
    part = decoder((1,), 3)
    before = part.means.clone()
    part.prepare(torch.full((9, 1), torch.nan).double())
    assert torch.equal(part.means, before)
    assert part.log_scales.isfinite().all()
