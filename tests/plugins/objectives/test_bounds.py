"""Bounds on ``log p(x)``: tight where the posterior is exact, ordered where it is not, and reported as they are."""

from itertools import pairwise

import pytest
import torch

from genmod import UsageError
from genmod.plugins.objectives.ciwae import CIWAE
from genmod.plugins.objectives.dreg import DReG
from genmod.plugins.objectives.elbo import ELBO
from genmod.plugins.objectives.iwae import IWAE
from genmod.plugins.objectives.miwae import MIWAE
from genmod.plugins.objectives.piwae import PIWAE
from genmod.plugins.objectives.stl import StickingTheLanding
from genmod.plugins.objectives.vr import VR
from genmod.testing.reference import exact_log_density

OBJECTIVES = [
    (IWAE(samples=5), "iwae"),
    (DReG(samples=5), "iwae"),
    (StickingTheLanding(), "elbo"),
    (VR(alpha=0.5, samples=5), "vr"),
    (VR(alpha=2.0, samples=5), "vr"),
    (MIWAE(estimates=3, samples=4), "miwae"),
    (PIWAE(estimates=3, samples=4), "iwae"),
    (CIWAE(beta=0.3, samples=5), "iwae"),
]
IDS = [repr(objective) for objective, _ in OBJECTIVES]


def seeded_terms(model, x, seed=1):
    torch.manual_seed(seed)
    return model.terms(x)


def mean_bound(model, x, name, repeats=6000):
    """Mean over examples and repetitions, and its standard error."""
    with torch.no_grad():
        values = model.terms(x.repeat(repeats, 1)).values[name].reshape(repeats, -1).mean(1)
    return values.mean(), values.std() / repeats**0.5


@torch.no_grad()
@pytest.mark.parametrize(("objective", "name"), OBJECTIVES, ids=IDS)
def test_every_draw_is_exact_where_the_posterior_is(objective, name, model_of, x):
    model = model_of(objective, exact=True)
    terms = model.terms(x)
    torch.testing.assert_close(terms.values[name], exact_log_density(model, x), rtol=0, atol=1e-6)
    torch.testing.assert_close(terms.total, -exact_log_density(model, x).mean(), rtol=0, atol=1e-6)


def test_bounds_are_ordered(model_of, x):
    """VR of order 2 < ELBO < VR of order ½ < IWAE < IWAE of more draws < log p(x), each by more than the noise."""
    steps = [
        (VR(alpha=2.0, samples=8), "vr"),
        (ELBO(), "elbo"),
        (VR(alpha=0.5, samples=8), "vr"),
        (IWAE(samples=8), "iwae"),
        (IWAE(samples=64), "iwae"),
    ]
    bounds = [mean_bound(model_of(objective), x, name) for objective, name in steps]
    exact = exact_log_density(model_of(ELBO()), x).mean().detach()
    for (low, low_error), (high, high_error) in pairwise([*bounds, (exact, torch.tensor(0.0))]):
        assert high - low > 3 * (low_error**2 + high_error**2).sqrt()


@torch.no_grad()
@pytest.mark.parametrize(("objective", "name"), OBJECTIVES, ids=IDS)
def test_bounds_are_below_the_truth(objective, name, model_of, x):
    model = model_of(objective)
    bound, error = mean_bound(model, x, name, 3000)
    assert bound <= exact_log_density(model, x).mean() + 4 * error


@torch.no_grad()
@pytest.mark.parametrize(("objective", "name"), OBJECTIVES, ids=IDS)
def test_reported_numbers_belong_together(objective, name, model_of, x):
    """The ELBO is that of the same draws: never above the tighter bound, and the negative sum of its parts."""
    values = seeded_terms(model_of(objective), x).values
    torch.testing.assert_close(values["elbo"], -(values["distortion"] + values["rate"]))
    if name == "iwae":
        assert (values["elbo"] < values["iwae"]).all()


@pytest.mark.parametrize("cls", [IWAE, DReG])
def test_reported_is_the_bound_and_not_the_mean_of_the_weighted_logarithms(cls, model_of, x):
    """``log mean w``, by hand; ``Σ v log w`` with normalised weights v is a surrogate for the gradient alone."""
    model = model_of(cls(samples=6))
    terms = seeded_terms(model, x)
    torch.manual_seed(1)
    weights = model.log_weights(x, 6)
    bound = weights.exp().mean(0).log()
    torch.testing.assert_close(terms.values["iwae"], bound)
    torch.testing.assert_close(terms.loss, -bound.mean())
    surrogate = (weights.softmax(0) * weights).sum(0)
    assert (surrogate - bound).abs().min() > 0.01


def test_the_better_draw_weighs_more(model_of, x):
    """The gradient of the loss by ``log w`` is minus its share ``w / Σ w``: the worst draw counts least."""
    weights = torch.tensor([[-5.0], [-0.1], [-1.0]], dtype=torch.float64, requires_grad=True)
    for bound in (VR(alpha=0.0).bound, lambda w: w.logsumexp(0)):
        (share,) = torch.autograd.grad(bound(weights).sum(), weights)
        torch.testing.assert_close(share, weights.detach().softmax(0))
        assert share.argmax() == 1
        assert share.argmin() == 0


def test_one_estimate_is_iwae_and_one_draw_each_is_the_elbo(model_of, x):
    """The axes are not mixed up: M estimates are averaged, K draws are weighted, also where M and K differ."""
    iwae = seeded_terms(model_of(IWAE(samples=8)), x)
    miwae = seeded_terms(model_of(MIWAE(estimates=1, samples=8)), x)
    torch.testing.assert_close(miwae.values["miwae"], iwae.values["iwae"])
    torch.testing.assert_close(miwae.loss, iwae.loss)
    elbo = seeded_terms(model_of(MIWAE(estimates=8, samples=1)), x)
    torch.testing.assert_close(elbo.values["miwae"], elbo.values["elbo"])
    torch.testing.assert_close(elbo.values["elbo"], iwae.values["elbo"])
    assert (iwae.values["iwae"] - elbo.values["miwae"]).min() > 0.01
    model = model_of(MIWAE(estimates=3, samples=4))
    torch.manual_seed(2)
    value = model.terms(x).values["miwae"]
    torch.manual_seed(2)
    weights = model.log_weights(x, 12).reshape(3, 4, len(x))
    torch.testing.assert_close(value, weights.exp().mean(1).log().mean(0))


def test_piwae_has_both_bounds_of_the_same_draws(model_of, x):
    terms = seeded_terms(model_of(PIWAE(estimates=3, samples=4)), x)
    iwae = seeded_terms(model_of(IWAE(samples=12)), x)
    miwae = seeded_terms(model_of(MIWAE(estimates=3, samples=4)), x)
    torch.testing.assert_close(terms.loss["generative"], iwae.loss)
    torch.testing.assert_close(terms.loss["inference"], miwae.loss)
    torch.testing.assert_close(terms.total, iwae.loss)


@pytest.mark.parametrize("beta", [0.0, 0.05, 1.0])
def test_ciwae_mixes_the_two_bounds(beta, model_of, x):
    terms = seeded_terms(model_of(CIWAE(beta=beta, samples=5)), x)
    mixed = beta * terms.values["elbo"] + (1 - beta) * terms.values["iwae"]
    torch.testing.assert_close(terms.loss, -mixed.mean())


def test_renyi_bound_between_its_limits():
    weights = torch.randn(7, 3, dtype=torch.float64) * 3 - 500
    torch.testing.assert_close(VR(alpha=1.0).bound(weights), weights.mean(0))
    torch.testing.assert_close(VR(alpha=1 - 1e-6).bound(weights), weights.mean(0), rtol=1e-7, atol=0)
    torch.testing.assert_close(
        VR(alpha=0.0).bound(weights), weights.logsumexp(0) - torch.tensor(7.0).double().log()
    )
    for alpha in (0.3, 0.9, 2.5):
        power = (1 - alpha) * (weights + 500)
        torch.testing.assert_close(
            VR(alpha=alpha).bound(weights), power.exp().mean(0).log() / (1 - alpha) - 500
        )


def test_sticking_the_landing_with_several_draws_is_refused():
    with pytest.raises(UsageError, match="biased") as caught:
        StickingTheLanding(samples=2)
    assert "dreg" in caught.value.hint
