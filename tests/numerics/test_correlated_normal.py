"""Normal posteriors with correlations: against torch's, and their exact KL."""

import pytest
import torch
from torch.distributions import LowRankMultivariateNormal, MultivariateNormal, kl_divergence

from genmod import LogScaleNormal, diagonal_normal
from genmod.plugins.posteriors.normal_full import NormalFullPosterior
from genmod.plugins.posteriors.normal_lowrank import NormalLowRankPosterior

BOTH = pytest.mark.parametrize("kind", [NormalFullPosterior, NormalLowRankPosterior])


def reference(q):
    """The same distribution of torch."""
    scale, n = q.log_scale.flatten(1).exp(), q.log_scale[0].numel()
    if hasattr(q, "below"):
        rows = (q.below + torch.eye(n)) / (1 + q.square_norm).sqrt()[..., None]
        return MultivariateNormal(q.loc.flatten(1), scale_tril=scale[..., None] * rows)
    return LowRankMultivariateNormal(q.loc.flatten(1), scale[..., None] * q.factor, scale.square())


def posterior(kind, latent, spread=2.0):
    return kind((7,), latent).double()(spread * torch.randn(4, 7, dtype=torch.float64))


@BOTH
@pytest.mark.parametrize("latent", [(1,), (5,), (2, 3)])
def test_against_torch(kind, latent):
    q = posterior(kind, latent)
    z, theirs = q.sample((50,)), reference(q)
    torch.testing.assert_close(q.log_prob(z), theirs.log_prob(z.flatten(2)))
    torch.testing.assert_close(q.mean.flatten(1), theirs.mean)
    torch.testing.assert_close(q.variance.flatten(1), theirs.variance)
    torch.testing.assert_close(q.entropy(), theirs.entropy())


@BOTH
def test_covariance_of_the_draws(kind):
    q = posterior(kind, (3,))
    z = (q.sample((200_000,)) - q.mean) / q.stddev
    exact = reference(q).covariance_matrix / (q.stddev[:, :, None] * q.stddev[:, None])
    seen = torch.einsum("nbi,nbj->bij", z, z) / len(z)
    assert (seen - exact).abs().max() < 5 * (2 / len(z)) ** 0.5


@BOTH
@pytest.mark.parametrize("latent", [(1,), (5,), (2, 3)])
def test_kl_against_torch(kind, latent):
    q = posterior(kind, latent)
    loc, log_scale = torch.randn(2, *latent, dtype=torch.float64)
    p = diagonal_normal(loc, 0.5 * log_scale, len(latent))
    theirs = MultivariateNormal(p.mean.flatten(), covariance_matrix=p.variance.flatten().diag())
    dense = MultivariateNormal(q.loc.flatten(1), covariance_matrix=reference(q).covariance_matrix)
    torch.testing.assert_close(kl_divergence(q, p), kl_divergence(dense, theirs), rtol=1e-8, atol=1e-8)


@BOTH
def test_kl_near_zero_keeps_its_digits_in_single_precision(kind):
    part = kind((7,), (4,))
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.mul_(1e-2)
    features = torch.randn(50, 7)
    p = diagonal_normal(torch.zeros(4), torch.zeros(4), 1)
    single = kl_divergence(part(features), p).double()
    exact = kl_divergence(part.double()(features.double()), diagonal_normal(*torch.zeros(2, 4).double(), 1))
    assert exact.max() < 1e-2
    assert ((single - exact).abs() <= 1e-3 * exact + 1e-9).all()


@BOTH
def test_without_correlations_it_is_the_diagonal_normal(kind):
    q = posterior(kind, (4,), spread=0.0)
    same = type(q)(q.loc, q.log_scale, torch.zeros_like(q.below if hasattr(q, "below") else q.factor), 1)
    z = same.sample((9,))
    torch.testing.assert_close(same.log_prob(z), diagonal_normal(q.loc, q.log_scale, 1).log_prob(z))
    assert not same.total_correlation().any()


@BOTH
def test_the_parts_of_the_kl_are_never_negative(kind):
    q = posterior(kind, (6,), spread=30.0)
    assert (q.total_correlation() >= -1e-9).all()
    assert isinstance(q.marginals.base_dist, LogScaleNormal)
