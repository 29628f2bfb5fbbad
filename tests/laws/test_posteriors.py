"""Laws of posteriors."""

import pytest
import torch

BATCH = 4


def test_shapes(posterior, latent_shapes):
    for part, features, _ in posterior.each([(7,), (3, 2, 2)], latent_shapes):
        q = part(torch.randn(BATCH, *features))
        assert (q.batch_shape, q.event_shape) == ((BATCH,), part.latent_shape)
        assert q.mean.shape == (BATCH, *part.latent_shape)
        for draws in ((), (1,), (3,), (2, 3)):
            z = q.rsample(draws)
            assert z.shape == (*draws, BATCH, *part.latent_shape)
            if part.has_density:
                assert q.log_prob(z).shape == (*draws, BATCH)


def test_draws_lie_in_the_declared_support(posterior, latent_shapes):
    for part, *_ in posterior.each([(7,)], latent_shapes):
        if part.support is not None:
            assert part.support.event_dim == len(part.latent_shape)
            assert part.support.check(part(torch.randn(BATCH, 7)).rsample((100,))).all()


def test_gradient_of_a_draw_reaches_every_parameter(posterior):
    part = posterior.usual()
    q = part(torch.randn(BATCH, 7))
    assert q.has_rsample
    z = q.rsample((2,))
    (z * torch.randn_like(z)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())


def test_gradient_of_a_draw_is_that_of_finite_differences(posterior):
    """Common random numbers: the derivative of ``E[f(z)]`` along a direction of the features."""
    part = posterior.usual().double()
    features = torch.randn(1, 7, dtype=torch.float64, requires_grad=True)
    direction, step = torch.randn(1, 7, dtype=torch.float64), 1e-5

    def mean(at):
        torch.manual_seed(5)
        return part(at).rsample((1000,)).square().sum(-1).mean()

    (gradient,) = torch.autograd.grad(mean(features), features)
    with torch.no_grad():
        difference = (mean(features + step * direction) - mean(features - step * direction)) / (2 * step)
    torch.testing.assert_close((gradient * direction).sum(), difference, rtol=1e-6, atol=1e-9)


def test_moments_are_those_of_the_draws(posterior):
    part = posterior.usual().double()
    with torch.no_grad():
        q = part(torch.randn(2, 7, dtype=torch.float64))
        z = q.sample((100_000,))
    error = z.std(0) / len(z) ** 0.5
    assert ((z.mean(0) - q.mean).abs() <= 4.5 * error + 1e-12).all()
    torch.testing.assert_close(z.var(0), q.variance, rtol=0.03, atol=1e-12)


def test_density_is_that_of_the_draws(posterior):
    """``E_q[r(z) / q(z)] = 1`` for any density ``r`` within the support: ``q`` is normalised where it draws."""
    part = posterior.build((7,), (1,)).double()
    if not part.has_density:
        pytest.skip("no density")
    with torch.no_grad():
        q = part(torch.randn(3, 7, dtype=torch.float64))
        z = q.sample((200_000,))
        narrow = torch.distributions.Normal(q.mean, 0.5 * q.stddev)
        ratio = (narrow.log_prob(z)[..., 0] - q.log_prob(z)).exp()
    error = ratio.std(0) / len(z) ** 0.5
    assert ((ratio.mean(0) - 1).abs() <= 4.5 * error).all()


@pytest.mark.parametrize("size", [30.0, 1e4, 1e30])
def test_features_of_any_size_give_finite_densities(posterior, size):
    part = posterior.usual()
    features = (size * torch.randn(64, 7)).requires_grad_()
    q = part(features)
    z = q.rsample((2,))
    assert z.isfinite().all()
    if part.has_density:
        assert q.log_prob(z).isfinite().all()
        if size < 1e15:
            q.log_prob(z).sum().backward()
            assert features.grad.isfinite().all()


def test_draws_come_from_the_seed(posterior):
    part = posterior.usual()
    q = part(torch.randn(BATCH, 7))
    draws = []
    for _ in range(2):
        torch.manual_seed(1)
        draws.append(q.rsample((3,)))
    assert torch.equal(*draws)
