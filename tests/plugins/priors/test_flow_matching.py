"""Prior flow-matching: its bound and its density against closed forms and quadrature, and what moves what in training."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

import genmod
from genmod import UsageError, build
from genmod.errors import UndefinedError
from genmod.plugins.divergences.kl_mc import MonteCarloKL
from genmod.plugins.priors.flow_matching import FlowMatchingPrior, Matched
from genmod.plugins.samplers._velocity import log_density_bound, mismatch

SMALL = {"name": "mlp", "hidden": [16]}
QUICK = {"prior": {"name": "flow-matching", "hidden": [16], "solver_steps": 4}, "divergence": "kl-mc"}
NOISE = 0.01


class Exact(torch.nn.Module):
    """What must be added to the velocity of a standard normal for another normal, in closed form."""

    def __init__(self, truth):
        super().__init__()
        self.truth = truth

    def forward(self, y, t, context=None):
        a, t = (1 - (1 - NOISE) * t)[:, None], t[:, None]
        variance = a**2 + t**2
        z = y * variance.sqrt()
        covariance, eye = self.truth.covariance_matrix, torch.eye(2).double()
        within = a[..., None] ** 2 * eye + t[..., None] ** 2 * covariance
        solved = torch.linalg.solve(within, (z - t * self.truth.mean)[..., None])[..., 0]
        value, noise = self.truth.mean + t * (solved @ covariance), a * solved
        return value - (1 - NOISE) * noise - (t - (1 - NOISE) * a) / variance * z


@pytest.fixture(scope="module")
def truth():
    covariance = torch.tensor([[1.5, 0.6], [0.6, 0.5]]).double()
    return MultivariateNormal(torch.tensor([0.5, -1.0]).double(), covariance)


def test_where_the_velocity_is_exact_the_bound_is_the_density(truth):
    """Of every point by itself, and so is the change of variables."""
    torch.manual_seed(0)
    p, n = Matched(Exact(truth), torch.zeros(2).double(), 50), 100_000
    for point in torch.tensor([[0.0, 0.0], [1.0, -1.0], [3.0, 0.5]]).double():
        draws = p.log_prob_estimate(point.expand(n, 2))
        wanted = float(truth.log_prob(point))
        # The noise of 0.01 makes the density another one by so much.
        assert abs(float(draws.mean()) - wanted) < 4 * float(draws.std()) / math.sqrt(n) + 2e-3
        assert float(p.log_prob(point)) == pytest.approx(wanted, abs=2e-3)


def test_where_the_velocity_is_not_exact_the_bound_lies_below(truth):
    """On average over values: it is a cross-entropy, which is least at the truth."""
    torch.manual_seed(0)
    n, exact = 100_000, Exact(truth)
    y = truth.sample((n,))
    noise, u = torch.randn_like(y), torch.rand(n).double()
    entropy = float(truth.entropy())
    for factor in (0.0, 0.5, 1.5):

        def part(y, t, context=None, factor=factor):
            return factor * exact(y, t)

        found = -log_density_bound(part, y, noise, u)
        assert float(found.mean()) > entropy + 4 * float(found.std()) / math.sqrt(n)


def test_the_bound_is_the_integral_of_the_mismatch(truth):
    """As it is written in the literature, with a noise that this estimate does not have."""
    torch.manual_seed(0)

    def network(y, t, context=None):
        return torch.sin(2 * y) * t[:, None]

    n = 200_000
    y = torch.tensor([0.7, -1.2]).double().expand(n, 2)
    noise, t = torch.randn_like(y), torch.rand(n).double()
    weights = t / (1 - (1 - NOISE) * t)
    plain = -weights * mismatch(network, y, noise, t).sum(1) - (1 + math.log(2 * math.pi * NOISE**2))
    found = log_density_bound(network, y, torch.randn_like(y), torch.rand(n).double())
    error = math.hypot(float(plain.std()), float(found.std())) / math.sqrt(n)
    assert abs(float(plain.mean() - found.mean())) < 4 * error
    assert float(found.std()) < 0.5 * float(plain.std())


@pytest.mark.parametrize("context", [0, 3])
def test_the_density_has_the_mass_one_and_is_that_of_draws(context):
    torch.manual_seed(1)
    prior = FlowMatchingPrior((1,), context, hidden=[16], solver_steps=20).double()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        given = torch.eye(3).double()[:2] if context else None
        p = prior(given)
        side = torch.linspace(-15, 15, 1501).double()[:, None]
        points = side[:, None].expand(-1, 2, 1) if context else side
        density = p.log_prob(points).exp()
        step = float(side[1, 0] - side[0, 0])
        mass = density.sum(0) * step
        torch.testing.assert_close(mass, torch.ones_like(mass), rtol=0, atol=1e-4)
        z = p.sample((4000,)).squeeze(-1)
        assert z.shape == (4000, *p.batch_shape)
        mean = (density * points.squeeze(-1)).sum(0) * step
        square = (density * points.squeeze(-1).square()).sum(0) * step
        error = (square - mean**2).sqrt() / math.sqrt(4000)
        assert ((z.mean(0) - mean).abs() < 4 * error).all()
        if context:
            assert not torch.equal(density[:, 0], density[:, 1])
            torch.testing.assert_close(p.log_prob(points)[:, 1], prior(given[1]).log_prob(side))
            assert p.expand((5, 2)).sample().shape == (5, 2, 1)


def test_the_estimate_is_taken_in_training_alone():
    p = FlowMatchingPrior((2,), hidden=[8])()
    for parameter in p.network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    q, divergence = genmod.diagonal_normal(torch.ones(3, 2), torch.zeros(3, 2), 1), MonteCarloKL()
    z = q.sample((2,))
    exact = (q.log_prob(z) - p.log_prob(z)).mean(0)
    assert not torch.equal(divergence.train()(q, p, z), divergence(q, p, z)), "no estimate"
    torch.testing.assert_close(divergence.eval()(q, p, z), exact)


def test_each_loss_moves_its_own_side():
    """The velocity follows its own loss, the encoder the bound; ten times the weight of one leaves the other alone."""
    found = []
    for beta in (1.0, 10.0):
        model = build(encoder=SMALL, latent=2, **QUICK, settings={"objective.beta": beta})
        genmod.train(model, steps=3, batch_size=32, device="cpu")
        found.append({name: value.clone() for name, value in model.state_dict().items()})
    groups = model.groups()
    assert {id(p) for p in groups["prior"]} == {id(p) for p in model.prior.parameters()}
    assert not {id(p) for p in groups["model"]} & {id(p) for p in groups["prior"]}
    moved = [name for name in found[0] if not torch.equal(found[0][name], found[1][name])]
    assert any(name.startswith("encoder") for name in moved)
    terms = model.train().terms(torch.rand(4, 1, 8, 8).round())
    terms.loss["prior"].backward(retain_graph=True)
    gradients = [p.grad for p in model.prior.parameters()]
    terms.loss["model"].backward()
    assert set(terms.values) == {"elbo", "distortion", "rate", "matching_loss"}
    assert any(g is not None and g.any() for g in gradients)


def test_a_conditional_prior_knows_the_condition():
    model = build(encoder=SMALL, latent=2, **QUICK, condition="label")
    with pytest.raises(UndefinedError, match="given the condition"):
        model.prior()
    result = genmod.train(model, steps=30, batch_size=64, device="cpu")
    assert result.status == "finished"
    assert model.sample(3, condition="7", seed=0).shape == (3, 1, 8, 8)
    conditioned = model.given(torch.eye(10)[:2])
    assert conditioned.log_weights(torch.zeros(2, 1, 8, 8), 3).shape == (3, 2)


def test_objectives_without_draws_are_refused():
    with pytest.raises(UsageError, match="hands out none"):
        build(encoder=SMALL, latent=2, prior="flow-matching", divergence="none", objective="iwae")
    with pytest.raises(UsageError, match="kl-mc"):
        build(encoder=SMALL, latent=2, prior="flow-matching", divergence="kl")


def test_the_density_does_not_change_with_more_steps_of_the_solver():
    """That of a model which was trained for a while, over its own latents."""
    model = build(encoder=SMALL, latent=4, prior="flow-matching", divergence="kl-mc")
    genmod.train(model, steps=60, batch_size=128, lr=3e-3, device="cpu")
    x = genmod.open_dataset(model.spec).split("test").in_memory().x[:20]
    with torch.no_grad():
        z = model.encode(model.observe(x)).sample()
        found = model.prior().log_prob(z)
        model.prior.solver_steps = 100
        torch.testing.assert_close(found, model.prior().log_prob(z), rtol=0, atol=1e-3)
