"""Laws of priors."""

import numpy as np
import pytest
import torch
from scipy import stats

from genmod import UndefinedError


def test_shapes(prior, latent_shapes):
    for part, latent in prior.each(latent_shapes):
        if not part.has_density:
            with pytest.raises(UndefinedError) as caught:
                part()
            assert caught.value.hint
            continue
        p = part()
        assert (p.batch_shape, p.event_shape) == ((), latent)
        z = p.sample((3, 4))
        assert z.shape == (3, 4, *latent)
        assert p.log_prob(z).shape == (3, 4)
        assert part.support.event_dim == len(latent)
        assert part.support.check(z).all()


def test_density_is_normalised_and_is_that_of_the_draws(prior):
    """The probability integral transform of the draws, by the integrated density, is uniform."""
    part = prior.build((1,)).double()
    if not part.has_density:
        pytest.skip("no density")
    with torch.no_grad():
        p = part()
        draws = p.sample((20_000,))[:, 0].numpy()
        grid = torch.linspace(-40, 40, 400_001, dtype=torch.float64)
        density = p.log_prob(grid[:, None]).exp().numpy()
    grid = grid.numpy()
    cumulative = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(grid))])
    assert abs(cumulative[-1] - 1) < 1e-9
    assert stats.kstest(np.interp(draws, grid, cumulative), "uniform").pvalue > 1e-3


def test_density_is_normalised_in_two_dimensions(prior):
    part = prior.build((2,)).double()
    if not part.has_density:
        pytest.skip("no density")
    side = torch.linspace(-12, 12, 1201, dtype=torch.float64)
    points = torch.stack(torch.meshgrid(side, side, indexing="ij"), -1)
    with torch.no_grad():
        total = part().log_prob(points).exp().sum() * (side[1] - side[0]) ** 2
    assert abs(total - 1) < 1e-9


@pytest.mark.parametrize("size", [30.0, 1e4])
def test_far_points_have_finite_densities(prior, size):
    part = prior.usual()
    if not part.has_density:
        pytest.skip("no density")
    z = (size * torch.randn(64, 5)).requires_grad_()
    density = part().log_prob(z)
    assert density.isfinite().all()
    density.sum().backward()
    assert z.grad.isfinite().all()
