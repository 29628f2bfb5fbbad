"""Log-likelihoods of examples, row by row, against a model whose likelihood is known."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate

from genmod import Batch, DataInfo, TensorSplit, UndefinedError, build, compose
from genmod.model.assembly import assemble
from genmod.model.score import log_units, score_blocks, score_meaning

RNG = np.random.default_rng(5)


def scored(model, x, **how):
    blocks = list(score_blocks(model, TensorSplit(Batch(torch.as_tensor(x))), **how))
    return {name: torch.cat([block[name] for block in blocks]).numpy() for name in blocks[0]}


def examples(linear, n=40):
    return RNG.multivariate_normal(linear.mean, linear.covariance, n).astype(np.float32)


def test_many_draws_come_to_the_known_density(linear):
    known = linear()
    x = examples(known)
    found = scored(known.model, x, draws=4000)
    assert (found["effective_draws"] > 100).all()
    errors = found["log_likelihood"] - known.log_density(x)
    assert (np.abs(errors) < 5 / np.sqrt(found["effective_draws"])).all()
    assert abs(errors.mean()) < 0.01


def test_few_draws_stay_below_it_on_average(linear):
    known = linear()
    x = np.repeat(examples(known, 3), 400, axis=0)
    truth, means = known.log_density(x).reshape(3, 400)[:, 0], []
    for draws in (1, 5, 50):
        found = scored(known.model, x, draws=draws)["log_likelihood"].reshape(3, 400)
        means.append(found.mean(1))
        assert (means[-1] < truth + 4 * found.std(1) / 20).all()
    assert (np.diff(means, axis=0) > 0).all()


def test_of_missing_values_the_others_are_scored(linear):
    known = linear(missing=True)
    x = examples(known)
    x[RNG.random(x.shape) < 0.4] = np.nan
    found = scored(known.model, x, draws=4000)
    errors = found["log_likelihood"] - known.log_density(x)
    assert (np.abs(errors) < 5 / np.sqrt(found["effective_draws"])).all()


def test_per_unit_of_data_that_were_standardised(linear):
    shift, scale = (5.0, 0.0, -3.0, 1e9), (10.0, 0.01, 2.0, 1e6)
    plain, known = linear(missing=True), linear(shift=shift, scale=scale, missing=True)
    x = examples(known)
    x[::2, 1] = np.nan
    inner, own = (scored(each.model, x, draws=50, columns=True) for each in (plain, known))
    jacobian = np.where(np.isnan(x), np.nan, -np.log(np.array(scale)))
    np.testing.assert_allclose(
        own["log_likelihood"] - inner["log_likelihood"], np.nansum(jacobian, 1), atol=1e-9
    )
    np.testing.assert_allclose(own["by_column"] - inner["by_column"], jacobian, atol=1e-9)


def test_a_density_in_the_unit_of_the_user_integrates_to_one():
    """Over the first column, on a grid in that unit, of a model of one column."""
    info = DataInfo((1,), -math.inf, math.inf, shift=(170.0,), scale=(25.0,))
    parts = {"encoder": "identity", "network": "linear", "decoder": {"name": "gaussian", "scale": 0.5}}
    model = assemble(compose(components=parts, latent=1), info, seed=1)
    grid = np.linspace(170 - 25 * 6, 170 + 25 * 6, 601)
    x = ((grid - 170) / 25).astype(np.float32)[:, None]
    density = np.exp(scored(model, x, draws=2000)["log_likelihood"])
    assert integrate.trapezoid(density, grid) == pytest.approx(1, abs=0.02)


def test_by_column_it_is_the_expected_density_of_each_value(linear):
    """``E_q[log N(x_i; W_i z + b_i, σ²)]`` is the density at the mean of ``W_i z``, less what the variance of that takes."""
    known = linear()
    x = examples(known, 5)
    found = scored(known.model, x, draws=4000, columns=True)["by_column"]
    with torch.no_grad():
        q = known.model.encode(torch.from_numpy(x))
        weight, bias = known.model.network.layer.weight.double(), known.model.network.layer.bias.double()
        centre = q.mean.double() @ weight.T + bias
        spread = q.stddev.double().square() @ weight.square().T
    sigma = 0.6
    expected = -0.5 * (((x - centre.numpy()) ** 2 + spread.numpy()) / sigma**2) - math.log(
        sigma * math.sqrt(2 * math.pi)
    )
    np.testing.assert_allclose(found, expected, rtol=0.03, atol=0.03)


def test_it_is_seeded_and_leaves_mode_and_random_state_as_they_were(linear):
    known = linear()
    x, model = examples(known), known.model.train()
    model.posterior.eval()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = scored(model, x, draws=5)["log_likelihood"]
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    assert model.encoder.training
    assert not model.posterior.training
    torch.manual_seed(2)
    assert np.array_equal(scored(model, x, draws=5)["log_likelihood"], first)
    assert not np.allclose(scored(model, x, draws=5, seed=1)["log_likelihood"], first)


def test_what_has_no_density_has_no_score():
    x = torch.zeros(2, 1, 8, 8)
    with pytest.raises(UndefinedError, match="no log-likelihood"):
        scored(build("autoencoder", encoder="mlp"), x)
    parts = {"encoder": "mlp", "decoder": {"name": "discretized-logistic-mixture", "coupled": True}}
    mixture = assemble(compose(components=parts), DataInfo((3, 4, 4), levels=256))
    with pytest.raises(UndefinedError, match="depend on each other"):
        scored(mixture, torch.zeros(2, *mixture.data.shape, dtype=torch.uint8), draws=1, columns=True)


def test_what_a_score_is_called(linear):
    assert score_meaning(linear().model, 100) == (
        "log p(x) of each row, nats: a lower bound on the log-density, importance-weighted with 100 draws of q(z|x)"
    )
    assert "log-probability, the ELBO by one draw" in score_meaning(build(encoder="mlp"), 1)
    assert log_units(DataInfo((2,)), torch.zeros(1, 2)) is None
