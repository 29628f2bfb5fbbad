"""Contours of the prior: the density of projected draws."""

import pytest
import torch
from scipy.stats import gaussian_kde

from genmod.figures.contours import smoothed


@pytest.mark.parametrize("d", [1, 2, 3])
def test_smoothed_points_have_the_density_of_scipy(d):
    points = torch.randn(80, d, dtype=torch.float64) @ torch.randn(d, d, dtype=torch.float64) + 5
    at = points[:7] + 0.3 * torch.randn(7, d, dtype=torch.float64)
    expected = gaussian_kde(points.T.numpy())(at.T.numpy())
    torch.testing.assert_close(smoothed(points, at), torch.from_numpy(expected), rtol=1e-9, atol=0)


def test_points_on_a_line_have_none():
    line = torch.linspace(0, 1, 20, dtype=torch.float64)[:, None].expand(20, 2)
    assert smoothed(line, line).isnan().all()
