"""Posteriors that move along ``log p(x, z)``: what they are given, and what they are refused with."""

import pytest
import torch
from torch import nn

import genmod
from genmod import UsageError, build, diagonal_normal
from genmod.errors import UndefinedError
from genmod.interfaces.posterior import Posterior
from genmod.testing.reference import exact_log_density, reference_model

SMALL = {"name": "mlp", "hidden": [16]}
CHAIN = {"posterior": "hmc", "divergence": "kl-mc"}


class Asked(Posterior):
    """Keeps the joint density that it was given."""

    wants_joint = True

    def __init__(self, feature_shape, latent_shape):
        super().__init__(feature_shape, latent_shape)
        self.support = torch.distributions.constraints.independent(torch.distributions.constraints.real, 1)
        self.head = nn.Linear(feature_shape[0], latent_shape[0])

    def forward(self, features, joint=None):
        self.joint = joint
        loc = self.head(features)
        return diagonal_normal(loc, torch.zeros_like(loc), 1)


def test_the_joint_density_is_that_of_the_model():
    """Its integral over the latents, by a grid, is the exact density of the data."""
    torch.manual_seed(0)
    posterior = Asked((3,), (2,))
    model = reference_model(posterior=posterior)
    x = torch.randn(4, 3).double()
    model.encode(x)
    side = torch.linspace(-9, 9, 181, dtype=torch.float64)
    z = torch.cartesian_prod(side, side)[:, None].expand(-1, 4, 2)
    mass = posterior.joint(z).logsumexp(0) + 2 * (side[1] - side[0]).log()
    torch.testing.assert_close(mass, exact_log_density(model, x), rtol=0, atol=1e-6)


def test_it_has_the_conditions():
    model = build(encoder=SMALL, latent=2, condition="label")
    model.posterior = Asked(model.encoder.feature_shape, (2,))
    x, z = torch.rand(2, 1, 8, 8).round(), torch.randn(5, 2, 2)
    first, second = (
        torch.nn.functional.one_hot(torch.tensor(labels), 10).float() for labels in ([3, 4], [3, 9])
    )
    found = []
    for context in (first, second):
        model.encode(x, context)
        found.append(model.posterior.joint(z))
        wanted = model.decode(z, context).log_prob(x) + model.prior(context).log_prob(z)
        torch.testing.assert_close(found[-1], wanted)
    assert torch.equal(found[0][:, 0], found[1][:, 0])
    assert not torch.equal(found[0][:, 1], found[1][:, 1])


def test_it_has_the_conditions_that_a_model_was_given():
    model = build(encoder=SMALL, latent=2, condition="label", **CHAIN)
    with pytest.raises(UsageError, match="was given no conditions"):
        model.encode(torch.zeros(2, 1, 8, 8))
    conditioned = model.given(torch.eye(10)[:2])
    assert conditioned.log_weights(torch.zeros(2, 1, 8, 8), 3).shape == (3, 2)


@pytest.mark.parametrize("posterior", ["hmc", "semi-amortised"])
def test_a_prior_made_of_the_model_is_refused(posterior):
    with pytest.raises(UsageError, match="itself made of the model") as raised:
        build(encoder=SMALL, latent=2, posterior=posterior, prior="vamp", divergence="kl-mc")
    assert "--prior" in raised.value.hint


@pytest.mark.parametrize("posterior", ["hmc", "semi-amortised"])
def test_a_part_of_a_product_is_refused(posterior):
    parts = {"name": "product", "parts": [posterior, "relaxed-categorical:3"]}
    prior = {"name": "product", "parts": ["normal", "relaxed-categorical:3"]}
    with pytest.raises(UsageError, match="all latents together"):
        build(encoder=SMALL, latent=5, posterior=parts, prior=prior, divergence="kl-mc")


@pytest.mark.parametrize("posterior", ["hmc", "semi-amortised"])
def test_gradients_may_be_off(posterior):
    model = build(encoder=SMALL, latent=2, posterior=posterior, divergence="kl-mc").eval()
    x = torch.rand(3, 1, 8, 8).round()
    with torch.no_grad():
        q = model.encode(x)
        z = q.sample()
        assert not z.requires_grad
        assert q.log_prob(z).isfinite().all()
        plain = model.posterior(model.features(x))
    torch.manual_seed(0)
    moved = model.encode(x).sample()
    torch.manual_seed(0)
    assert not torch.equal(moved, plain.sample()), "nothing was moved"
    model.requires_grad_(False)
    assert model.log_weights(x, 2).isfinite().all()


@pytest.mark.parametrize(
    "parts",
    [
        {"divergence": "kl"},
        {"divergence": {"name": "kl-mc", "sticking_the_landing": True}},
        {"divergence": {"name": "kl-mc", "antithetic": True}},
        {"divergence": {"name": "reverse-kl", "samples": 3}},
        {"divergence": {"name": "jeffreys", "samples": 3}},
        {"divergence": "none", "objective": "dreg"},
        {"divergence": "none", "objective": "stl"},
    ],
    ids=str,
)
def test_what_needs_the_density_elsewhere_is_refused_when_it_is_built(parts):
    with pytest.raises(UndefinedError) as raised:
        build(encoder=SMALL, latent=2, posterior="hmc", **parts)
    assert raised.value.hint


@pytest.mark.parametrize("objective", ["elbo", "iwae", "miwae", "vr"])
def test_what_needs_draws_alone_is_allowed(objective):
    divergence = "kl-mc" if objective == "elbo" else "none"
    model = build(encoder=SMALL, latent=2, posterior="hmc", divergence=divergence, objective=objective)
    model.terms(torch.rand(3, 1, 8, 8)).loss.backward()
    gradients = {name: p.grad for name, p in model.posterior.named_parameters()}
    assert all(g is not None and g.isfinite().all() and g.any() for g in gradients.values())


@pytest.mark.parametrize("recipe", ["hvae", "savae"])
def test_recipes_learn_evaluate_and_are_kept(recipe, tmp_path):
    model = build(recipe, encoder=SMALL, latent=3)
    result = genmod.train(model, steps=40, batch_size=64, lr=3e-3, device="cpu")
    losses = [row["loss"] for row in result.rows if row["split"] == "validation"]
    assert losses[-1] < losses[0] - 1
    genmod.save(model, tmp_path / "m")
    again = genmod.load(tmp_path / "m")
    x = torch.rand(3, 1, 8, 8).round()
    found = []
    for each in (model.eval(), again.eval()):
        torch.manual_seed(0)
        found.append(each.log_weights(x, 4))
    assert torch.equal(*found)
    assert again.sample(2).shape == (2, 1, 8, 8)
