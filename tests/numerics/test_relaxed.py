"""Categorical latents: relaxed and exact."""

import math

import pytest
import torch
from scipy import stats
from torch.distributions import RelaxedOneHotCategorical, kl_divergence

from genmod import UsageError, build
from genmod.plugins.posteriors._simplex import OneHot, RelaxedOneHot
from genmod.plugins.posteriors.relaxed_categorical import RelaxedCategoricalPosterior

LOGITS = torch.tensor([0.5, -1.0, 1.5], dtype=torch.float64)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_density_against_torch(temperature):
    logits = torch.randn(20, 5, dtype=torch.float64)
    p = RelaxedOneHot(logits, temperature, 1)
    z = p.sample((30,))
    theirs = RelaxedOneHotCategorical(torch.tensor(temperature, dtype=torch.float64), logits=logits)
    torch.testing.assert_close(
        p.log_prob(z), theirs.log_prob(z / z.sum(-1, keepdim=True)), rtol=1e-8, atol=1e-8
    )


@pytest.mark.parametrize(
    "temperature", [0.7, pytest.param(1.0, marks=pytest.mark.slow), pytest.param(2.0, marks=pytest.mark.slow)]
)
def test_density_integrates_to_one(temperature):
    """Over the triangle, by the softmax of a grid of the plane."""
    side = torch.linspace(-60, 60, 1501, dtype=torch.float64)
    u = torch.stack([*torch.meshgrid(side, side, indexing="ij"), torch.zeros(1501, 1501).double()], -1)
    z = u.softmax(-1)
    # The volume of a cell shrinks by the product of all three.
    mass = RelaxedOneHot(LOGITS, temperature, 1).log_prob(z.clamp(min=1e-300)) + u.log_softmax(-1).sum(-1)
    assert (mass.exp().sum() * (side[1] - side[0]) ** 2).item() == pytest.approx(1, abs=1e-3)


def test_the_largest_is_each_class_as_often_as_it_should_be():
    for kind in (RelaxedOneHot, OneHot):
        z = kind(LOGITS, 0.4, 1).sample((50_000,))
        counts = torch.bincount(z.argmax(-1), minlength=3)
        assert stats.chisquare(counts.numpy(), 50_000 * LOGITS.softmax(-1).numpy()).pvalue > 0.01


def test_low_temperature_is_the_limit():
    z = RelaxedOneHot(LOGITS, 0.01, 1).sample((10_000,))
    assert (z.amax(-1) > 0.99).double().mean() > 0.97


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_density_of_draws_is_finite_when_classes_underflow(dtype):
    logits = (30 * torch.randn(2000, 10, dtype=dtype)).requires_grad_()
    p = RelaxedOneHot(logits, 0.1, 1)
    value = p.log_prob(p.rsample())
    value.sum().backward()
    assert value.isfinite().all()
    assert logits.grad.isfinite().all()


def test_exact_classes_have_the_gradient_of_the_relaxation():
    logits = LOGITS.clone().requires_grad_()
    weights = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    gradients = []
    for kind in (RelaxedOneHot, OneHot):
        torch.manual_seed(3)
        z = kind(logits, 0.5, 1).rsample((100,))
        gradients.append(torch.autograd.grad((z @ weights).sum(), logits)[0])
    torch.testing.assert_close(*gradients)
    assert set(z.detach().unique().tolist()) == {0.0, 1.0}


def test_kl_of_exact_classes_is_the_sum_over_classes():
    q, p = OneHot(torch.randn(6, 4, 3).double(), 1.0, 2), OneHot(torch.randn(4, 3).double(), 1.0, 2)
    probabilities = q.logits.exp()
    expected = (probabilities * (q.logits - p.logits)).sum((1, 2))
    torch.testing.assert_close(kl_divergence(q, p), expected)
    uniform = OneHot(torch.zeros(4, 3).double(), 1.0, 2)
    torch.testing.assert_close(kl_divergence(q, uniform), 4 * math.log(3) - q.entropy())


@pytest.mark.parametrize(
    ("prior", "straight_through", "divergence"),
    [("categorical", True, "kl"), ("relaxed-categorical", False, "kl-mc")],
)
def test_combinations_that_fit(prior, straight_through, divergence):
    posterior = {"name": "relaxed-categorical", "straight_through": straight_through}
    model = build("vae", posterior=posterior, prior=prior, divergence=divergence, latent=8)
    model.terms(torch.rand(4, 1, 8, 8)).total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model.sample(3).shape == (3, 1, 8, 8)


@pytest.mark.parametrize(
    ("prior", "straight_through", "divergence", "says"),
    [
        ("normal", False, "kl-mc", "--prior logistic-normal"),
        ("categorical", False, "kl-mc", "--prior logistic-normal"),
        ("relaxed-categorical", True, "kl-mc", "--prior categorical"),
        ("relaxed-categorical", False, "kl", "kl-mc"),
    ],
)
def test_combinations_that_do_not_fit_are_refused(prior, straight_through, divergence, says):
    posterior = {"name": "relaxed-categorical", "straight_through": straight_through}
    with pytest.raises(UsageError) as caught:
        build("vae", posterior=posterior, prior=prior, divergence=divergence, latent=8)
    assert says in caught.value.hint


def test_the_temperature_is_a_schedule():
    part = RelaxedCategoricalPosterior((7,), (5,), temperature="1->0.5 over 10 steps")
    assert part(torch.zeros(1, 7)).temperature == 0.5
