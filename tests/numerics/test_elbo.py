"""The objective: β, capacity, free bits and their schedules, on rates that are known by hand."""

import math

import pytest
import torch

from genmod import DataInfo, UsageError, compose
from genmod.model.assembly import assemble
from genmod.options.schedule import Clock

RATES = torch.tensor([[0.2, 1.6], [0.6, 0.1]], dtype=torch.float64)
"""Nats by example and dimension; 2.1 and 0.4 in all for the two dimensions, 1.25 for each example on average."""


def model_of(*, divergence="kl", **options):
    """A model that encodes x as N(x, 1), so that the rate of a dimension is x²/2, and decodes nothing."""
    components = {
        "encoder": {"name": "mlp", "hidden": []},
        "network": {"name": "mlp", "hidden": []},
        "decoder": {"name": "gaussian", "scale": 1.0},
        "divergence": divergence,
        "objective": {"name": "elbo", **options},
    }
    info = DataInfo((2,), low=-math.inf, high=math.inf)
    model = assemble(compose(components=components, latent=2), info).double()
    with torch.no_grad():
        for parameter in (*model.posterior.parameters(), *model.network.parameters()):
            parameter.zero_()
        model.posterior.head.weight[:2] = torch.eye(2)
    return model


X = (2 * RATES).sqrt()
DISTORTION = (X.square().sum(1) / 2 + math.log(2 * math.pi)).mean().item()


def penalty_and_gradient(model):
    """What the loss adds to the distortion, and its gradient by example and dimension of the posterior mean."""
    x = X.clone().requires_grad_()
    encoder, model.encoder = model.encoder, torch.nn.Identity()
    terms = model.objective(_Observing(model, X), x)
    model.encoder = encoder
    (gradient,) = torch.autograd.grad(terms.loss, x)
    return terms.loss.item() - DISTORTION, gradient


class _Observing:
    """The model, with the observation that is scored held apart from the one that is encoded."""

    def __init__(self, model, observed):
        self.model, self.observed = model, observed

    def __getattr__(self, name):
        return getattr(self.model, name)

    def decoded(self, z):
        (likelihood, parameters), observed = self.model.decoded(z), self.observed

        class Fixed:
            def log_prob(self, x):
                return likelihood.log_prob(observed)

        return Fixed(), parameters


def test_the_elbo_is_distortion_and_rate():
    model = model_of()
    terms = model.terms(X)
    assert terms.loss.item() == pytest.approx(DISTORTION + 1.25, rel=1e-12)
    torch.testing.assert_close(terms.values["rate"], RATES.sum(1))
    torch.testing.assert_close(terms.values["elbo"], -(terms.values["distortion"] + RATES.sum(1)))


@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0, 4.0])
def test_beta_weights_the_rate_and_nothing_else(beta):
    penalty, gradient = penalty_and_gradient(model_of(beta=beta))
    assert penalty == pytest.approx(beta * 1.25, rel=1e-12)
    torch.testing.assert_close(gradient, beta * X / 2)


def test_beta_follows_its_schedule():
    model = model_of(beta="0.5->4 over 10 steps")
    for step, beta in ((0, 0.5), (5, 2.25), (10, 4.0), (99, 4.0)):
        model.objective.beta.advance(Clock(step, 10, 100))
        assert penalty_and_gradient(model)[0] == pytest.approx(beta * 1.25, rel=1e-12)
    model.objective.beta.advance(Clock(0, 10, 100))
    model.objective.beta.settle()
    assert penalty_and_gradient(model)[0] == pytest.approx(4 * 1.25, rel=1e-12)


@pytest.mark.parametrize(("capacity", "sign"), [(0.0, 1), (1.0, 1), (2.0, -1), (30.0, -1)])
def test_capacity_pulls_the_mean_rate_towards_it(capacity, sign):
    """``β |mean rate - C|``; the gradient turns where the rate is below."""
    penalty, gradient = penalty_and_gradient(model_of(capacity=capacity, beta=10.0))
    assert penalty == pytest.approx(10 * abs(1.25 - capacity), rel=1e-12)
    torch.testing.assert_close(gradient, sign * 10 * X / 2)


def test_capacity_follows_its_schedule():
    model = model_of(capacity="0->5 over 10 steps", beta=2.0)
    for step, capacity in ((0, 0.0), (2, 1.0), (10, 5.0)):
        model.objective.capacity.advance(Clock(step, 10, 100))
        assert penalty_and_gradient(model)[0] == pytest.approx(2 * abs(1.25 - capacity), rel=1e-12)


def test_free_bits_of_the_batch():
    """Σ_d max(λ, mean_b rate): max(½, 0.4) + max(½, 0.85)."""
    penalty, gradient = penalty_and_gradient(model_of(free_bits=0.5))
    assert penalty == pytest.approx(0.5 + 0.85, rel=1e-12)
    expected = X / 2
    expected[:, 0] = 0
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-15)


def test_free_bits_of_each_example():
    """mean_b Σ_d max(λ, rate): (½ + 1.6 + 0.6 + ½) / 2."""
    penalty, gradient = penalty_and_gradient(model_of(free_bits=0.5, free_bits_by="example"))
    assert penalty == pytest.approx((0.5 + 1.6 + 0.6 + 0.5) / 2, rel=1e-12)
    expected = torch.where(RATES > 0.5, X / 2, 0)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("by", ["batch", "example"])
def test_few_free_bits_are_the_elbo_and_many_are_a_constant(by):
    few, gradient = penalty_and_gradient(model_of(free_bits=1e-6, free_bits_by=by))
    assert few == pytest.approx(1.25, rel=1e-12)
    torch.testing.assert_close(gradient, X / 2)
    many, gradient = penalty_and_gradient(model_of(free_bits=10.0, free_bits_by=by))
    assert many == pytest.approx(20.0, rel=1e-12)
    assert not gradient.any()


def test_free_bits_are_weighted_by_beta():
    penalty, gradient = penalty_and_gradient(model_of(free_bits=0.5, beta=4.0))
    assert penalty == pytest.approx(4 * 1.35, rel=1e-12)
    torch.testing.assert_close(gradient[:, 1], 4 * X[:, 1] / 2)


@pytest.mark.parametrize("by", ["batch", "example"])
def test_reported_rate_knows_no_free_bits(by):
    terms = model_of(free_bits=0.5, free_bits_by=by, beta=4.0).terms(X)
    torch.testing.assert_close(terms.values["rate"], RATES.sum(1))


def test_free_bits_of_an_estimated_divergence():
    """Parts of the Monte-Carlo KL have the same expectation as those of the closed form."""
    model = model_of(free_bits=0.5, divergence={"name": "kl-mc", "samples": 20_000})
    assert penalty_and_gradient(model)[0] == pytest.approx(1.35, abs=0.05)


def test_capacity_and_free_bits_exclude_each_other():
    with pytest.raises(UsageError, match="capacity and free_bits"):
        model_of(free_bits=0.5, capacity=5.0)


def test_several_draws_are_averaged():
    model = model_of(samples=1000)
    with torch.no_grad():
        model.network.layers[0].weight.copy_(torch.eye(2))
        values = model.terms(X).values
    expected = 0.5 * (1 + math.log(2 * math.pi)) * 2
    assert values["distortion"].mean().item() == pytest.approx(expected, abs=0.15)
    torch.testing.assert_close(values["rate"], RATES.sum(1))
