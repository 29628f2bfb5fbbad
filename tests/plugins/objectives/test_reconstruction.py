"""Autoencoders with penalties: on a linear model, whose derivatives are its weights."""

import pytest
import torch
from torch import nn

from genmod.plugins.objectives.reconstruction import Reconstruction, corrupt, squared_jacobian
from genmod.plugins.posteriors.delta import DeltaPosterior
from genmod.testing.reference import DATA, LATENT


@pytest.fixture
def autoencoder(model_of):
    """The reference model with a point for a posterior."""

    def build(**options):
        model = model_of(Reconstruction(**options))
        torch.manual_seed(7)
        model.posterior = DeltaPosterior(DATA.shape, LATENT).double()
        return model

    return build


def mean_value(model, x, name, repeats=20_000):
    """Mean over random directions, and its standard error, for each example."""
    values = model.terms(x.repeat(repeats, 1)).values[name].detach().reshape(repeats, len(x))
    return values.mean(0), values.std(0) / repeats**0.5


def test_plain_reconstruction_is_the_distortion(autoencoder, x):
    model = autoencoder()
    terms = model.terms(x)
    expected = -model.decode(model.encode(x).mean).log_prob(x)
    torch.testing.assert_close(terms.values["distortion"], expected)
    torch.testing.assert_close(terms.loss, expected.mean())
    assert list(terms.values) == ["distortion"]


def test_latent_and_weight_penalties(autoencoder, x):
    model = autoencoder(latent_penalty=0.3, weight_penalty=0.02)
    terms = model.terms(x)
    latent = 0.5 * model.encode(x).mean.square().sum(1)
    weights = sum(p.square().sum() for p in model.network.parameters())
    torch.testing.assert_close(terms.values["latent_penalty"], latent)
    torch.testing.assert_close(terms.values["weight_penalty"], weights.expand(2))
    torch.testing.assert_close(
        terms.loss, terms.values["distortion"].mean() + 0.3 * latent.mean() + 0.02 * weights
    )


def test_gradient_penalty_is_of_the_decoder_by_its_latents(autoencoder, x):
    """``‖W_decoder‖²`` for a linear one, and not the derivative of the whole autoencoder by the data."""
    model = autoencoder(gradient_penalty=0.5)
    found, error = mean_value(model, x, "gradient_penalty")
    decoder, encoder = model.network.layer.weight, model.posterior.head.weight
    assert ((found - decoder.square().sum()).abs() < 4 * error).all()
    assert ((found - (decoder @ encoder).square().sum()).abs() > 20 * error).all()


def test_contractive_penalty_is_of_the_code_by_the_data(autoencoder, x):
    model = autoencoder(contractive_penalty=0.5)
    found, error = mean_value(model, x, "contractive_penalty")
    assert ((found - model.posterior.head.weight.square().sum()).abs() < 4 * error).all()


@pytest.mark.parametrize(
    ("name", "part"), [("gradient_penalty", "network"), ("contractive_penalty", "posterior")]
)
def test_penalties_on_derivatives_can_be_differentiated(name, part, autoencoder, x):
    """The penalty of a linear map is ``|vᵀW|²``, so that weights shrink when it is followed."""
    model = autoencoder(**{name: 1.0})
    (penalty,) = [model.terms(x).values[name].mean()]
    weight = getattr(model, part).layer.weight if part == "network" else model.posterior.head.weight
    (gradient,) = torch.autograd.grad(penalty, weight)
    assert (gradient * weight).sum().item() == pytest.approx(2 * penalty.item())


@pytest.mark.parametrize("name", ["gradient_penalty", "contractive_penalty"])
def test_validation_has_the_penalties_too(name, autoencoder, x):
    model = autoencoder(**{name: 1.0}).eval()
    losses = []
    for mode in (torch.enable_grad(), torch.no_grad()):
        torch.manual_seed(3)
        with mode:
            losses.append(model.terms(x).loss.detach())
    torch.testing.assert_close(*losses)


def test_jacobian_of_a_network_against_autograd():
    network = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4)).double()
    x = torch.randn(1, 3, dtype=torch.float64)
    exact = torch.autograd.functional.jacobian(network, x).square().sum().item()
    many = x.repeat(20_000, 1).requires_grad_()
    values = squared_jacobian(network(many), many).detach()
    assert abs(values.mean().item() - exact) < 4 * values.std().item() / 20_000**0.5


def test_corruption():
    x = torch.ones(200_000, dtype=torch.float64)
    assert corrupt(x, noise=0.0, mask=0.0) is x
    masked = corrupt(x, noise=0.0, mask=0.25)
    assert set(masked.unique().tolist()) == {0.0, 1.0}
    assert (masked == 0).double().mean().item() == pytest.approx(0.25, abs=0.005)
    noisy = corrupt(x, noise=0.3, mask=0.0)
    assert (noisy - x).std().item() == pytest.approx(0.3, rel=0.01)
    assert abs((noisy - x).mean().item()) < 0.005


def test_corrupted_examples_are_scored_against_the_clean_ones(autoencoder, x):
    model = autoencoder(noise=0.5, mask=0.3)
    torch.manual_seed(1)
    found = model.terms(x).values["distortion"]
    torch.manual_seed(1)
    seen = corrupt(x, noise=0.5, mask=0.3)
    assert not torch.equal(seen, x)
    torch.testing.assert_close(found, -model.decode(model.encode(seen).mean).log_prob(x))


@pytest.mark.parametrize(
    "name", ["latent_penalty", "weight_penalty", "gradient_penalty", "contractive_penalty", "noise", "mask"]
)
def test_batch_of_one_example(name, autoencoder, x):
    model = autoencoder(**{name: 0.5})
    loss = model.terms(x[:1]).loss
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in model.network.parameters())
