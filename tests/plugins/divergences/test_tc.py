"""The KL in three parts: against the aggregate posterior of 500 points, and the weights against all batches."""

import itertools

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch.distributions import MultivariateNormal

from genmod import UndefinedError, diagonal_normal
from genmod.plugins.divergences.tc import TotalCorrelation, log_sampling_weights

SAMPLING = ["exact", "weighted", "stratified"]


def exact_terms(q, z):
    """Mutual information, total correlation and dimension-wise KL of each draw ``(n, D)``, with q(z) over all examples."""
    mean, scale, z = q.mean.numpy(), q.stddev.numpy(), z.numpy()
    parts = stats.norm(mean[None], scale[None]).logpdf(z[:, None])
    own = np.einsum("iid->i", parts)
    joint = special.logsumexp(parts.sum(2), axis=1) - np.log(len(z))
    each = (special.logsumexp(parts, axis=1) - np.log(len(z))).sum(1)
    return own - joint, joint - each, each - stats.norm.logpdf(z).sum(1)


def test_against_the_exact_aggregate_posterior(posterior, prior):
    """The batch is the dataset of 500 points: no estimate is left."""
    q, p = posterior(batch=500), prior()
    z = q.sample((1,))
    part = TotalCorrelation()
    part.set_dataset_size(500)
    for found, expected in zip(part.terms(q, p, z), exact_terms(q, z[0]), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    part = TotalCorrelation(alpha=0.5, beta=4.0, gamma=2.0)
    part.set_dataset_size(500)
    information, correlation, dimensions = exact_terms(q, z[0])
    expected = 0.5 * information + 4 * correlation + 2 * dimensions
    np.testing.assert_allclose(part(q, p, z), expected, rtol=1e-9)


@pytest.mark.parametrize("sampling", SAMPLING)
@pytest.mark.parametrize("size", [0, 6, 5000])
def test_equal_weights_give_the_kl(sampling, size, posterior, prior):
    """The estimates of q(z) cancel, whatever they are."""
    q, p = posterior(batch=6), prior()
    z = q.sample((3,))
    part = TotalCorrelation(alpha=2.0, beta=2.0, gamma=2.0, sampling=sampling)
    part.set_dataset_size(size)
    torch.testing.assert_close(part(q, p, z), 2 * (q.log_prob(z) - p.log_prob(z)).mean(0))


@pytest.mark.parametrize("sampling", ["exact", "stratified"])
@pytest.mark.parametrize(("size", "batch"), [(4, 2), (5, 3), (5, 4), (5, 5), (6, 2)])
def test_weights_are_unbiased_over_all_batches(sampling, size, batch):
    """Over all ordered batches with a given first example, every example of the dataset counts 1/N on average."""
    weights = log_sampling_weights(batch, size, sampling, torch.zeros((), dtype=torch.float64)).exp()
    for row in range(batch):
        counts = np.zeros(size)
        others = list(itertools.permutations(range(1, size), batch - 1))
        for rest in others:
            members = [*rest[:row], 0, *rest[row:]]
            for place, member in enumerate(members):
                counts[member] += weights[row, place].item() / len(others)
        np.testing.assert_allclose(counts, 1 / size, rtol=1e-12)
    torch.testing.assert_close(weights.sum(1), torch.ones(batch, dtype=torch.float64))


def test_stratified_weights_by_hand():
    """N = 10, M = 3 others: the diagonal 1/N, one of the others (N-M)/(NM), the rest 1/M; no column stands out."""
    weights = log_sampling_weights(4, 10, "stratified", torch.zeros((), dtype=torch.float64)).exp()
    a, b, c = 1 / 10, 7 / 30, 1 / 3
    expected = [[a, b, c, c], [c, a, b, c], [c, c, a, b], [b, c, c, a]]
    np.testing.assert_allclose(weights, expected, rtol=1e-12)


def test_weighted_is_one_over_the_two_sizes():
    weights = log_sampling_weights(4, 10, "weighted", torch.zeros((), dtype=torch.float64))
    np.testing.assert_allclose(weights, -np.log(40) * np.ones((4, 4)), rtol=1e-12)


def test_weight_enters_the_joint_density_once(posterior, prior):
    """Not once for each dimension: of four equal examples the joint density is the example's own, and no more."""
    q, p = posterior(batch=1, latents=4).expand((4,)), prior(latents=4)
    z = q.sample((1,))
    for sampling, off in (("exact", 0.0), ("weighted", np.log(4))):
        part = TotalCorrelation(sampling=sampling)
        part.set_dataset_size(4)
        information, correlation, _ = part.terms(q, p, z)
        np.testing.assert_allclose(information, off, atol=1e-12)
        np.testing.assert_allclose(correlation, 3 * off, atol=1e-12)


@torch.no_grad()
def test_small_batches_are_near_the_truth_on_average(posterior, prior):
    """Batches of 50 of 500: the mean of the estimated terms is within a tenth of a nat of those of all 500."""
    q, p = posterior(batch=500, latents=2), prior(latents=2)
    z = q.sample((1,))
    part = TotalCorrelation()
    part.set_dataset_size(500)
    exact = torch.stack(part.terms(q, p, z)).mean(1)
    found = []
    for _ in range(200):
        chosen = torch.randperm(500)[:50]
        some = diagonal_normal(q.base_dist.loc[chosen], q.base_dist.log_scale[chosen], 1)
        found.append(torch.stack(part.terms(some, p, z[:, chosen])).mean(1))
    assert (torch.stack(found).mean(0) - exact).abs().max() < 0.1


@pytest.mark.parametrize("sampling", SAMPLING)
def test_gradient_is_that_of_differences(sampling, posterior, prior):
    p, noise = prior(), torch.randn(2, 4, 3, dtype=torch.float64)
    part = TotalCorrelation(sampling=sampling)
    part.set_dataset_size(20)
    base = posterior().base_dist

    def value(loc, log_scale):
        return part(diagonal_normal(loc, log_scale, 1), p, loc + noise * log_scale.exp())

    inputs = base.loc.clone().requires_grad_(), base.log_scale.clone().requires_grad_()
    assert torch.autograd.gradcheck(value, inputs)


def test_size_of_the_dataset_is_saved(posterior, prior):
    part, other = TotalCorrelation(), TotalCorrelation()
    part.set_dataset_size(1234)
    other.load_state_dict(part.state_dict())
    assert other.dataset_size.item() == 1234


@pytest.mark.parametrize("sampling", SAMPLING)
def test_batch_of_one_example(sampling, posterior, prior):
    part = TotalCorrelation(sampling=sampling)
    for size in (0, 100):
        part.set_dataset_size(size)
        q = posterior(batch=1)
        assert part(q, prior(), q.sample((2,))).isfinite().all()


def test_latents_that_are_not_independent_are_refused(posterior, prior):
    q = posterior()
    full = MultivariateNormal(q.mean, q.variance.diag_embed())
    for pair in ((full, prior()), (q, MultivariateNormal(torch.zeros(3), torch.eye(3)))):
        with pytest.raises(UndefinedError, match="MultivariateNormal") as caught:
            TotalCorrelation().check(*pair)
        assert "--divergence" in caught.value.hint
