"""Penalties on covariances: against numpy, and against what peers compute in their place."""

import numpy as np
import pytest
import torch
from torch.distributions import AffineTransform, MultivariateNormal, TransformedDistribution, kl_divergence

from genmod import UndefinedError, diagonal_normal
from genmod.plugins.divergences.dip_i import DipI, covariance_of_means
from genmod.plugins.divergences.dip_ii import DipII
from genmod.plugins.posteriors.delta import Delta


def penalty(covariance, off_diagonal, diagonal):
    others = covariance - np.diag(np.diag(covariance))
    return off_diagonal * (others**2).sum() + diagonal * ((np.diag(covariance) - 1) ** 2).sum()


def test_covariance_against_numpy(posterior):
    means = posterior(batch=50).mean
    np.testing.assert_allclose(
        covariance_of_means(means), np.cov(means.numpy().T, bias=True), rtol=1e-10, atol=1e-14
    )


@pytest.mark.parametrize(("off_diagonal", "diagonal"), [(10.0, 100.0), (0.0, 1.0), (2.5, 0.0)])
def test_penalties_against_numpy(off_diagonal, diagonal, posterior, prior):
    """The second one adds the mean variance of each latent to its place on the diagonal, and nowhere else."""
    q, p = posterior(batch=50), prior()
    of_means = np.cov(q.mean.numpy().T, bias=True)
    options = {"off_diagonal": off_diagonal, "diagonal": diagonal, "kl": 0.0}
    first, second = DipI(**options)(q, p, q.rsample((1,))), DipII(**options)(q, p, q.rsample((1,)))
    whole = of_means + np.diag(q.variance.mean(0).numpy())
    np.testing.assert_allclose(first, penalty(of_means, off_diagonal, diagonal), rtol=1e-10)
    np.testing.assert_allclose(second, penalty(whole, off_diagonal, diagonal), rtol=1e-10)
    if off_diagonal:
        everywhere = of_means + q.variance.mean().item()
        assert abs(second[0] - penalty(everywhere, off_diagonal, diagonal)) > 0.1


def test_covariance_of_the_latents_is_that_of_their_draws(posterior, prior):
    q, p = posterior(batch=20), prior()
    draws = q.sample((20_000,)).flatten(0, 1)
    expected = penalty(np.cov(draws.numpy().T), 1.0, 1.0)
    value = DipII(off_diagonal=1, diagonal=1, kl=0)(q, p, q.sample((1,)))
    assert value[0].item() == pytest.approx(expected, rel=0.03)


def test_full_covariances_and_points(posterior, prior):
    q, p = posterior(), prior()
    full = MultivariateNormal(q.mean, q.variance.diag_embed())
    z = q.rsample((1,))
    torch.testing.assert_close(DipII(kl=0)(full, p, z), DipII(kl=0)(q, p, z))
    points = Delta(q.mean, 1)
    torch.testing.assert_close(DipII(kl=0)(points, p, z), DipI(kl=0, diagonal=10)(q, p, z))


@pytest.mark.parametrize("cls", [DipI, DipII])
def test_size_of_the_batch_and_the_kl(cls, posterior, prior):
    q, p = posterior(batch=4), prior()
    z = q.rsample((1,))
    value = cls()(q, p, z)
    torch.testing.assert_close(value, cls(kl=0)(q, p, z) + kl_divergence(q, p))
    twice = diagonal_normal(q.mean.repeat(2, 1), q.stddev.log().repeat(2, 1), 1)
    again = cls()(twice, p, z.repeat(1, 2, 1))
    torch.testing.assert_close(again.mean(), value.mean())
    one = posterior(batch=1)
    assert cls()(one, p, one.rsample((1,))).isfinite().all()


def test_posterior_without_a_known_covariance_is_refused(posterior, prior):
    flow = TransformedDistribution(posterior(), [AffineTransform(1.0, 2.0)])
    for cls, what in ((DipI, "mean"), (DipII, "mean")):
        with pytest.raises(UndefinedError, match=f"{what} of TransformedDistribution") as caught:
            cls().check(flow, prior())
        assert "--divergence" in caught.value.hint
