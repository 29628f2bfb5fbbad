"""Binary latents: relaxed and exact."""

import pytest
import torch
from scipy import integrate, stats
from torch.distributions import Bernoulli, RelaxedBernoulli, kl_divergence

from genmod import UsageError, build
from genmod.plugins.posteriors._bits import Bit, RelaxedBit
from genmod.plugins.posteriors.relaxed_bernoulli import RelaxedBernoulliPosterior
from genmod.plugins.priors.bernoulli import BernoulliPrior
from genmod.plugins.priors.relaxed_bernoulli import RelaxedBernoulliPrior

LOGITS = torch.tensor([0.5, -1.0, 1.5, 0.0], dtype=torch.float64)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_density_against_torch(temperature):
    z = torch.linspace(0.001, 0.999, 40, dtype=torch.float64)[:, None]
    theirs = RelaxedBernoulli(torch.tensor(temperature, dtype=torch.float64), logits=LOGITS)
    torch.testing.assert_close(RelaxedBit(LOGITS, temperature).log_prob(z), theirs.log_prob(z))


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.0])
@pytest.mark.parametrize("logit", [-2.0, 0.0, 2.0])
def test_density_integrates_to_one(temperature, logit):
    """Over the logits of z, where the density is smooth."""

    def density(y):
        y = torch.tensor(y, dtype=torch.float64)
        p = RelaxedBit(torch.tensor(logit, dtype=torch.float64), temperature)
        return (p.log_prob(y.sigmoid()) + (y.sigmoid() * (-y).sigmoid()).log()).exp().item()

    assert integrate.quad(density, -30, 30)[0] == pytest.approx(1, abs=1e-4)


def test_draws_have_the_density():
    """The logit of a draw, times the temperature, is logistic."""
    for logit in LOGITS:
        z = RelaxedBit(logit, 0.7).sample((20_000,))
        assert stats.kstest((0.7 * z.logit()).numpy(), stats.logistic(loc=logit.item()).cdf).pvalue > 1e-3


def test_both_are_one_as_often_as_they_should_be():
    for kind in (RelaxedBit, Bit):
        ones = (kind(LOGITS, 0.4).sample((50_000,)) > 0.5).double().sum(0)
        for count, probability in zip(ones.tolist(), LOGITS.sigmoid().tolist(), strict=True):
            assert stats.binomtest(int(count), 50_000, probability).pvalue > 1e-3


def test_low_temperature_is_the_limit():
    z = RelaxedBit(LOGITS, 0.01).sample((5_000,))
    assert (torch.minimum(z, 1 - z) < 0.01).double().mean() > 0.97


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_density_of_draws_is_finite_at_the_ends(dtype):
    logits = (50 * torch.randn(5000, dtype=dtype)).requires_grad_()
    p = RelaxedBit(logits, 0.1)
    value = p.log_prob(p.rsample())
    value.sum().backward()
    assert value.isfinite().all()
    assert logits.grad.isfinite().all()


def test_exact_ones_have_the_gradient_of_the_relaxation():
    logits, gradients = LOGITS.clone().requires_grad_(), []
    for kind in (RelaxedBit, Bit):
        torch.manual_seed(3)
        z = kind(logits, 0.5).rsample((100,))
        gradients.append(torch.autograd.grad(z.sum(), logits)[0])
    torch.testing.assert_close(*gradients)
    assert set(z.detach().unique().tolist()) == {0.0, 1.0}


def test_exact_ones_against_torch():
    q, p = torch.randn(2, 6, 4, dtype=torch.float64)
    ours, theirs = Bit(q, 1.0), Bernoulli(logits=q)
    z = theirs.sample()
    torch.testing.assert_close(ours.log_prob(z), theirs.log_prob(z))
    torch.testing.assert_close(ours.entropy(), theirs.entropy())
    torch.testing.assert_close(ours.variance, theirs.variance)
    expected = kl_divergence(theirs, Bernoulli(logits=p))
    torch.testing.assert_close(kl_divergence(ours, Bit(p, 1.0)), expected)


def test_kl_of_certain_ones_is_finite():
    """Where torch's loses all digits: a posterior that is sure, in single precision."""
    logits = torch.tensor([-200.0, -30.0, 30.0, 200.0], requires_grad=True)
    kl = kl_divergence(Bit(logits, 1.0), Bit(torch.zeros(4), 1.0))
    torch.testing.assert_close(kl, torch.full((4,), 0.6931472))
    kl.sum().backward()
    assert logits.grad.isfinite().all()


def test_probability_of_the_priors():
    z = torch.tensor([0.0, 1.0, 1.0])
    assert BernoulliPrior((3,), probability=0.1)().log_prob(z).exp().item() == pytest.approx(0.009)
    draws = RelaxedBernoulliPrior((3,), probability=0.1)().sample((20_000,))
    assert float((draws > 0.5).float().mean()) == pytest.approx(0.1, abs=0.006)


@pytest.mark.parametrize(
    ("prior", "straight_through", "divergence"),
    [("bernoulli", True, "kl"), ("bernoulli", True, "kl-mc"), ("relaxed-bernoulli", False, "kl-mc")],
)
def test_combinations_that_fit(prior, straight_through, divergence):
    posterior = {"name": "relaxed-bernoulli", "straight_through": straight_through}
    model = build("vae", posterior=posterior, prior=prior, divergence=divergence, latent=8)
    model.terms(torch.rand(4, 1, 8, 8)).total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model.sample(3).shape == (3, 1, 8, 8)


@pytest.mark.parametrize(
    ("prior", "straight_through", "divergence", "says"),
    [
        ("normal", False, "kl-mc", "--prior relaxed-bernoulli"),
        ("bernoulli", False, "kl-mc", "--prior relaxed-bernoulli"),
        ("relaxed-bernoulli", True, "kl-mc", "--prior bernoulli"),
        ("relaxed-bernoulli", False, "kl", "kl-mc"),
    ],
)
def test_combinations_that_do_not_fit_are_refused(prior, straight_through, divergence, says):
    posterior = {"name": "relaxed-bernoulli", "straight_through": straight_through}
    with pytest.raises(UsageError) as caught:
        build("vae", posterior=posterior, prior=prior, divergence=divergence, latent=8)
    assert says in caught.value.hint


def test_free_bits_of_each_latent():
    posterior = {"name": "relaxed-bernoulli", "straight_through": True}
    objective = {"name": "elbo", "free_bits": 0.1}
    model = build("vae", posterior=posterior, prior="bernoulli", objective=objective, latent=8)
    assert model.terms(torch.rand(4, 1, 8, 8)).total.isfinite()


def test_the_temperature_is_a_schedule():
    part = RelaxedBernoulliPosterior((7,), (5,), temperature="1->0.5 over 10 steps")
    assert part(torch.zeros(1, 7)).base_dist.temperature == 0.5
