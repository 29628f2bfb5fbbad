"""The estimated KL: antithetic draws, and the gradient that sticks the landing."""

import pytest
import torch
from torch.distributions import Gamma, Independent, Laplace, kl_divergence

from genmod import UndefinedError, diagonal_normal
from genmod.distributions.gradients import through_draws
from genmod.plugins.divergences.kl_mc import MonteCarloKL

OPTIONS = [
    pytest.param({}, marks=pytest.mark.slow),
    pytest.param({"antithetic": True}, marks=pytest.mark.slow),
    pytest.param({"sticking_the_landing": True}, marks=pytest.mark.slow),
    {"antithetic": True, "sticking_the_landing": True, "samples": 3},
]


def gradients(part, repeats, loc, log_scale, p):
    """Of the value of each of several estimates by mean and log-scale, ``(repeats, 2 B D)``, and the values."""
    rows, values = [], []
    for _ in range(repeats):
        a, b = loc.clone().requires_grad_(), log_scale.clone().requires_grad_()
        q = diagonal_normal(a, b, 1)
        value = part(q, p, q.rsample((2,)))
        rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(value.sum(), (a, b))]))
        values.append(value.detach())
    return torch.stack(rows), torch.stack(values)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_value_and_gradient_are_unbiased(options, posterior, prior):
    """Against the closed form, within 4 standard errors."""
    q, p = posterior(batch=2), prior()
    loc, log_scale = q.base_dist.loc.requires_grad_(), q.base_dist.log_scale.requires_grad_()
    exact = kl_divergence(diagonal_normal(loc, log_scale, 1), p)
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(exact.sum(), (loc, log_scale))])
    rows, values = gradients(MonteCarloKL(**options), 1500, loc.detach(), log_scale.detach(), p)
    for found, wanted in ((rows, expected), (values, exact.detach())):
        error = found.std(0) / len(found) ** 0.5
        assert ((found.mean(0) - wanted).abs() <= 4 * error + 1e-12).all()


def test_gradient_has_no_noise_where_both_are_equal():
    loc, log_scale = torch.randn(1, 3, dtype=torch.float64), torch.randn(1, 3, dtype=torch.float64)
    p = diagonal_normal(loc[0], log_scale[0], 1)
    still, _ = gradients(MonteCarloKL(sticking_the_landing=True), 5, loc, log_scale, p)
    noisy, _ = gradients(MonteCarloKL(), 5, loc, log_scale, p)
    assert still.abs().max() < 1e-12
    assert noisy.abs().max() > 0.1


def test_mirrored_draws_cancel_what_is_odd():
    """Of equal scales the estimate is linear in the noise, and its mirror image cancels all of it."""
    q = diagonal_normal(
        torch.full((2, 3), 1.5, dtype=torch.float64), torch.zeros(2, 3, dtype=torch.float64), 1
    )
    p = diagonal_normal(torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), 1)
    value = MonteCarloKL(antithetic=True)(q, p, q.rsample((1,)))
    torch.testing.assert_close(value, kl_divergence(q, p))
    assert not torch.allclose(MonteCarloKL()(q, p, q.rsample((1,))), kl_divergence(q, p), rtol=1e-3)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_parts_by_dimension_add_up(options, posterior, prior):
    q, p = posterior(), prior()
    z = q.rsample((3,))
    part = MonteCarloKL(**options)
    torch.testing.assert_close(part.by_dimension(q, p, z).sum(1), part(q, p, z))


def test_posterior_that_is_not_symmetric_has_no_mirror_images():
    q = Independent(Gamma(torch.full((2, 3), 2.0), torch.ones(2, 3)), 1)
    for call in (lambda part: part.check(q, q), lambda part: part(q, q, q.rsample((1,)))):
        with pytest.raises(UndefinedError, match="mirror images") as caught:
            call(MonteCarloKL(antithetic=True))
        assert caught.value.hint
    laplace = Independent(Laplace(torch.zeros(2, 3), torch.ones(2, 3)), 1)
    MonteCarloKL(antithetic=True).check(laplace, laplace)


def test_through_draws_keeps_the_value_and_drops_the_score(posterior):
    q = posterior()
    loc = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    q = diagonal_normal(loc, q.base_dist.log_scale, 1)
    z = q.rsample((5,))
    value = through_draws(q.log_prob, z)
    torch.testing.assert_close(value, q.log_prob(z))
    (path,) = torch.autograd.grad(value.sum(), loc, retain_graph=True)
    detached = diagonal_normal(loc.detach(), q.base_dist.log_scale, 1)
    (expected,) = torch.autograd.grad(detached.log_prob(z).sum(), loc)
    torch.testing.assert_close(path, expected)
    with torch.no_grad():
        torch.testing.assert_close(through_draws(q.log_prob, z), value)
