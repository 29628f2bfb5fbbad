"""The autoregressive prior over codes, against all of them."""

import itertools

import pytest
import torch

from genmod import DataInfo, UsageError
from genmod.model.assembly import assemble, blueprint
from genmod.model.build import compose
from genmod.plugins.priors.autoregressive import AutoregressivePrior


def all_codes(variables, classes):
    codes = torch.tensor(list(itertools.product(range(classes), repeat=variables)))
    return torch.nn.functional.one_hot(codes, classes).double()


def some_prior(*latent_shape, **options):
    prior = AutoregressivePrior(latent_shape, **options).double()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.normal_()
    return prior


@pytest.mark.parametrize("hidden", [(), (8,), (8, 5)])
def test_probabilities_of_all_codes_sum_to_one(hidden):
    prior = some_prior(4, 3, hidden=hidden)
    assert prior().log_prob(all_codes(4, 3)).exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_each_variable_depends_on_all_before_it_and_on_no_other():
    prior = some_prior(5, 3)
    z = all_codes(5, 3)[17].requires_grad_()
    logits = prior.layers(z)
    for i in range(5):
        (slope,) = torch.autograd.grad(logits[i].square().sum(), z, retain_graph=True)
        assert (slope.abs().sum(1) > 0).tolist() == [j < i for j in range(5)]


@pytest.mark.parametrize("shape", [(3, 3), (3, 1, 3)])
def test_draws_come_as_often_as_their_probability_says(shape):
    prior = some_prior(*shape)
    codes = all_codes(3, 3).reshape(-1, *shape)
    expected = prior().log_prob(codes).exp()
    n = 40_000
    draws = prior().sample((n,)).reshape(n, -1)
    found = (draws[:, None] == codes.reshape(1, len(codes), -1)).all(-1).double().mean(0)
    error = (expected * (1 - expected) / n).sqrt()
    assert ((found - expected).abs() < 4.5 * error + 1e-9).all()


def test_all_codes_are_alike_at_first():
    prior = AutoregressivePrior((4, 3))
    torch.testing.assert_close(prior().log_prob(all_codes(4, 3).float()).exp(), torch.full((81,), 1 / 81))


def test_it_learns_what_independent_classes_cannot():
    """Two variables that are always equal: log 3 nats, where independent ones need 2 log 3."""
    prior = AutoregressivePrior((2, 3), hidden=())
    z = torch.eye(3)[torch.randint(3, (256,))][:, None].expand(-1, 2, -1)
    optimizer = torch.optim.Adam(prior.parameters(), 0.1)
    for _ in range(200):
        optimizer.zero_grad()
        loss = -prior().log_prob(z).mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1.2


def test_in_a_model():
    parts = {
        "encoder": {"name": "mlp", "hidden": [16]},
        "posterior": {"name": "relaxed-categorical", "straight_through": True},
        "prior": "autoregressive",
        "divergence": "kl-mc",
    }
    info = DataInfo((1, 8, 8), levels=2)
    model = assemble(compose(components=parts, latent=(4, 3)), info)
    loss = model.terms(torch.rand(6, 1, 8, 8).round()).total
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model.sample(3, seed=0).shape == (3, 1, 8, 8)
    with pytest.raises(UsageError, match="2 or more variables"):
        AutoregressivePrior((3,))
    with pytest.raises(UsageError, match="draws latents in"):
        blueprint(compose(components={**parts, "posterior": "relaxed-categorical"}, latent=(4, 3)), info)
