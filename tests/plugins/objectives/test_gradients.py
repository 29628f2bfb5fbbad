"""Gradient estimators: unbiased against the exact gradient or against each other, and as quiet as they promise."""

import pytest
import torch

from genmod.plugins.divergences.kl_mc import MonteCarloKL
from genmod.plugins.objectives._draws import log_mean_exp, weigh
from genmod.plugins.objectives.ciwae import CIWAE
from genmod.plugins.objectives.dreg import DReG
from genmod.plugins.objectives.elbo import ELBO
from genmod.plugins.objectives.iwae import IWAE
from genmod.plugins.objectives.miwae import MIWAE
from genmod.plugins.objectives.piwae import PIWAE
from genmod.plugins.objectives.stl import StickingTheLanding
from genmod.plugins.objectives.vr import VR

_SCALE = 0.5
"""Standard deviation of the reference model's likelihood."""


def parameters(model, part):
    """Of the inference networks or of the generative one."""
    return list(model.posterior.parameters() if part == "inference" else model.network.parameters())


def gradient(loss, model, part):
    gradients = torch.autograd.grad(loss, parameters(model, part), retain_graph=True)
    return torch.cat([g.flatten() for g in gradients])


def gradients(model, x, part, repeats, *, copies=20, loss=None):
    """Of the loss of many draws, ``(repeats, parameters)``, by the seed."""
    rows = []
    for seed in range(repeats):
        torch.manual_seed(seed)
        batch = x.repeat(copies, 1)
        rows.append(gradient(loss(model, batch) if loss else model.terms(batch).total, model, part))
    return torch.stack(rows)


def exact_negative_elbo(model, x):
    """``KL - E_q[log N(x; W z + b, σ²)]`` with the moments of q put in."""
    weight = model.network.layer.weight
    q = model.encode(x)
    spread = (weight.square() @ q.variance.T).sum(0) / (2 * _SCALE**2)
    log_density = model.decode(q.mean).log_prob(x) - spread
    return (model.divergence(q, model.prior(), None) - log_density).mean()


def within(rows, expected, sigmas=4.0):
    error = rows.std(0) / len(rows) ** 0.5
    return bool(((rows.mean(0) - expected).abs() <= sigmas * error + 1e-12).all())


ELBOS = [
    ELBO(),
    StickingTheLanding(),
    IWAE(samples=1),
    DReG(samples=1),
    MIWAE(estimates=3, samples=1),
    CIWAE(beta=1.0, samples=3),
    VR(alpha=1.0, samples=3),
]


@pytest.mark.parametrize("part", ["inference", pytest.param("generative", marks=pytest.mark.slow)])
@pytest.mark.parametrize("objective", ELBOS, ids=repr)
def test_gradients_of_the_elbo_are_unbiased(objective, part, model_of, x):
    model = model_of(objective)
    expected = gradient(exact_negative_elbo(model, x), model, part)
    assert within(gradients(model, x, part, 120), expected)


@pytest.mark.parametrize("samples", [2, pytest.param(8, marks=pytest.mark.slow)])
def test_doubly_reparametrised_gradient_is_unbiased(samples, model_of, x):
    """The mean difference from the gradient of ``iwae``, at the same draws, is within 4 standard errors of zero."""
    model = model_of(IWAE(samples=samples))
    plain = gradients(model, x, "inference", 250)
    model.objective = DReG(samples=samples)
    double = gradients(model, x, "inference", 250)
    assert within(double - plain, 0.0)
    assert plain.mean(0).abs().max() > 20 * (double - plain).std(0).max() / 250**0.5


def test_decoder_keeps_the_gradient_of_iwae_draw_by_draw(model_of, x):
    model = model_of(IWAE(samples=8))
    plain = gradients(model, x, "generative", 3)
    model.objective = DReG(samples=8)
    torch.testing.assert_close(gradients(model, x, "generative", 3), plain)


@pytest.mark.slow
def test_dropping_the_score_alone_is_biased_for_several_draws(model_of, x):
    """Why ``stl`` refuses them: the same test as above sees it, by far more than 4 standard errors."""

    def naive(model, batch):
        q = model.encode(batch)
        draws = weigh(model, batch, q, q.rsample((8,)), path_only=True)
        return -log_mean_exp(draws.log_weights, 0).mean()

    model = model_of(IWAE(samples=8))
    difference = gradients(model, x, "inference", 150, loss=naive) - gradients(model, x, "inference", 150)
    z = difference.mean(0).abs() / (difference.std(0) / 150**0.5)
    assert z.max() > 12


def signal_to_noise(model, x):
    """Of the inference networks, near the exact posterior but not at it."""
    with torch.no_grad():
        model.posterior.log_scale.bias += 0.3
        model.posterior.loc.bias += 0.15
    rows = gradients(model, x, "inference", 120, copies=1)
    return (rows.mean(0).abs() / rows.std(0)).mean().item()


@pytest.mark.slow
def test_signal_to_noise_grows_with_the_draws_for_dreg_and_falls_for_iwae(model_of, x):
    """About 0.56, 1.1, 3.1 for 1, 8, 64 draws, and 0.25, 0.07, 0.06."""
    dreg, iwae = (
        [signal_to_noise(model_of(cls(samples=k), exact=True), x) for k in (1, 8, 64)] for cls in (DReG, IWAE)
    )
    assert dreg[0] < 0.8 < dreg[1] < 2.0 < dreg[2]
    assert iwae[0] > 2 * iwae[1]
    assert iwae[0] > 2 * iwae[2]
    assert dreg[2] > 20 * iwae[2]


@pytest.mark.parametrize("objective", [StickingTheLanding(), DReG(samples=5)], ids=repr)
def test_no_noise_where_the_posterior_is_exact(objective, model_of, x):
    still = gradients(model_of(objective, exact=True), x, "inference", 3, copies=1)
    noisy = gradients(model_of(IWAE(samples=5), exact=True), x, "inference", 3, copies=1)
    assert still.abs().max() < 1e-6
    assert noisy.abs().max() > 1e-3


def test_estimated_kl_that_sticks_the_landing_is_the_objective_that_does(model_of, x):
    model = model_of(StickingTheLanding())
    expected = gradients(model, x, "inference", 2)
    model.objective, model.divergence = ELBO(), MonteCarloKL(sticking_the_landing=True)
    torch.testing.assert_close(gradients(model, x, "inference", 2), expected)


def test_each_group_of_piwae_follows_its_own_bound(model_of, x):
    """Encoder: the gradient of ``miwae``; decoder: that of ``iwae`` with all draws; neither gets the other's."""
    model = model_of(PIWAE(estimates=3, samples=4))
    groups = model.groups()
    assert {id(p) for p in groups["inference"]} == {id(p) for p in model.posterior.parameters()}
    assert {id(p) for p in groups["generative"]} == {id(p) for p in model.network.parameters()}
    torch.manual_seed(1)
    losses = model.terms(x).loss
    for name, objective in (("inference", MIWAE(estimates=3, samples=4)), ("generative", IWAE(samples=12))):
        other = model_of(objective)
        torch.manual_seed(1)
        expected = gradient(other.terms(x).loss, other, name)
        torch.testing.assert_close(gradient(losses[name], model, name), expected)


def test_validation_needs_no_gradients(model_of, x):
    for objective in (DReG(samples=3), StickingTheLanding()):
        with torch.no_grad():
            assert not model_of(objective).terms(x).total.requires_grad
