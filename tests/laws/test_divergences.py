"""Laws of divergences, over every pair of a posterior and a prior that has densities."""

from contextlib import suppress

import pytest
import torch

from genmod import UndefinedError

BATCH, LATENT = 3, (2,)


@pytest.fixture
def pairs(registry):
    """``[(q (B,), p ())]`` in double precision, of every posterior and prior on the same support."""
    found = []
    for posterior in registry.components("posterior"):
        for prior in registry.components("prior"):
            q, p = posterior.load()((7,), LATENT).double(), prior.load()(LATENT).double()
            if q.has_density and p.has_density and type(q.support) is type(p.support):
                found.append((q(torch.randn(BATCH, 7, dtype=torch.float64)), p()))
    assert found
    return found


def mean_and_error(part, q, p, *, draws=200_000):
    """Expected value ``(B,)`` over the draws and its standard error; of a closed form the error is zero."""
    with torch.no_grad():
        if torch.equal(part(q, p, q.sample((1,))), part(q, p, q.sample((1,)))):
            return part(q, p, q.sample((1,))), torch.zeros(BATCH, dtype=torch.float64)
        values = torch.stack([part(q, p, q.sample((100,))) for _ in range(draws // 100)])
    return values.mean(0), values.std(0) / len(values) ** 0.5


def test_one_value_for_each_example(divergence, pairs):
    part = divergence.build()
    for q, p in pairs:
        for draws in (1, 4):
            value = part(q, p, q.rsample((draws,)))
            assert value.shape == (BATCH,)
            assert value.isfinite().all()


def test_not_negative_in_expectation(divergence, pairs):
    part = divergence.build()
    for q, p in pairs:
        mean, error = mean_and_error(part, q, p)
        assert (mean >= -4 * error).all()


def test_zero_in_expectation_where_both_are_equal(divergence, pairs):
    part = divergence.build()
    for _, p in pairs:
        mean, error = mean_and_error(part, p.expand((BATCH,)), p)
        assert (mean.abs() <= 4 * error + 1e-12).all()


def test_kl_is_the_kl(divergence, pairs):
    """What says it is a KL has the expectation of ``log q - log p``, here from its own draws."""
    part = divergence.build()
    if not part.is_kl:
        pytest.skip("it does not say so")
    for q, p in pairs:
        mean, error = mean_and_error(part, q, p)
        z = q.sample((400_000,))
        ratios = q.log_prob(z) - p.log_prob(z)
        expected, spread = ratios.mean(0), ratios.std(0) / len(z) ** 0.5
        assert ((mean - expected).abs() <= 4 * (error**2 + spread**2).sqrt()).all()


def test_more_draws_change_the_noise_alone(divergence, pairs):
    """Draws are averaged, not summed."""
    part = divergence.build()
    for q, p in pairs:
        few = torch.stack([part(q, p, q.sample((1,))) for _ in range(4000)])
        many = torch.stack([part(q, p, q.sample((50,))) for _ in range(400)])
        error = (few.var(0) / len(few) + many.var(0) / len(many)).sqrt()
        assert ((few.mean(0) - many.mean(0)).abs() <= 4.5 * error + 1e-12).all()


def test_value_does_not_depend_on_the_rest_of_the_batch(divergence, registry):
    part = divergence.build()
    for posterior in registry.components("posterior"):
        q_of = posterior.load()((7,), LATENT).double()
        for prior in registry.components("prior"):
            p_of = prior.load()(LATENT).double()
            if not (q_of.has_density and p_of.has_density):
                continue
            features = torch.randn(BATCH, 7, dtype=torch.float64)
            z = q_of(features).sample((5,))
            whole = part(q_of(features), p_of(), z)
            alone = part(q_of(features[:1]), p_of(), z[:, :1])
            torch.testing.assert_close(whole[:1], alone)


def test_parts_by_dimension_add_up(divergence, pairs):
    part = divergence.build()
    for q, p in pairs:
        z = q.sample((7,))
        with suppress(UndefinedError):
            parts = part.by_dimension(q, p, z)
            assert parts.shape == (BATCH, *LATENT)
            torch.testing.assert_close(parts.sum(1), part(q, p, z))


def test_gradient_reaches_the_posterior(divergence, registry):
    part = divergence.build()
    if not part.needs_prior:
        pytest.skip("it compares nothing")
    for posterior in registry.components("posterior"):
        q_of = posterior.load()((7,), LATENT)
        if not q_of.has_density:
            continue
        for prior in registry.components("prior"):
            p_of = prior.load()(LATENT)
            if p_of.has_density:
                q = q_of(torch.randn(BATCH, 7))
                part(q, p_of(), q.rsample((2,))).sum().backward()
                assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in q_of.parameters())


def test_no_prior_means_zero(divergence, pairs):
    part = divergence.build()
    if part.needs_prior:
        pytest.skip("it compares with the prior")
    for q, p in pairs:
        assert not part(q, p, q.sample((1,))).any()


def test_a_pair_without_a_closed_form_is_named(divergence):
    """An error that says which pair, and what to choose instead; or a value."""
    part = divergence.build()
    q = torch.distributions.Independent(torch.distributions.Laplace(torch.zeros(2, 1), torch.ones(2, 1)), 1)
    p = torch.distributions.Independent(torch.distributions.Cauchy(torch.zeros(1), torch.ones(1)), 1)
    if _refusal(part, q, p) is None:
        assert part(q, p, q.sample((2,))).shape == (2,)
    else:
        with pytest.raises(UndefinedError, match=r"Laplace.*Cauchy") as caught:
            part(q, p, q.sample((2,)))
        assert "--divergence" in caught.value.hint


def _refusal(part, q, p):
    try:
        part.check(q, p)
    except UndefinedError as error:
        return error
    return None
