"""The normal over maps against scipy's, for both ways in which its scale follows from the features."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn

from genmod.plugins.posteriors.normal_map import NormalMapPosterior

SCALES = {
    "bounded": lambda v: np.exp(v / np.sqrt(1 + (v / 9) ** 2)),
    "log-variance": lambda v: np.sqrt(np.exp(np.clip(v, -30, 20))),
}


@pytest.mark.parametrize("scale", SCALES)
@torch.no_grad()
def test_its_density_is_that_of_scipy(scale):
    """The features are means and what becomes scales, some of these beyond the bounds."""
    posterior = NormalMapPosterior((4, 3, 2), (2,), scale=scale).double()
    posterior.places.head.weight.data = torch.eye(4).double()[..., None, None]
    nn.init.zeros_(posterior.places.head.bias)
    features = torch.randn(5, 4, 3, 2, dtype=torch.float64) * torch.tensor([1, 1, 3, 40])[:, None, None]
    loc, v = features.numpy()[:, :2], features.numpy()[:, 2:]
    assert (np.abs(v) > 30).any()
    q = posterior(features)
    z = q.sample((3,))
    wanted = norm.logpdf(z.numpy(), loc, SCALES[scale](v)).sum((2, 3, 4))
    np.testing.assert_allclose(q.log_prob(z), wanted, rtol=1e-9)
    np.testing.assert_allclose(q.stddev, SCALES[scale](v), rtol=1e-12)
    np.testing.assert_allclose(q.mean, loc)
