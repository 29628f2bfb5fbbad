"""What evaluation says: the right numbers, with the right uncertainty, and why others are not there."""

import json
import math

import numpy as np
import pytest
import torch
from scipy import stats

from genmod import Batch, DataInfo, Split, TensorSplit, UndefinedError, compose, evaluate
from genmod.evaluation import Row
from genmod.model.assembly import assemble

INFO = DataInfo((5,), low=-1.0, high=1.0)


def model_of(info=INFO, *, zero=True, recipe="vae", **components):
    """A model whose posterior is the prior and whose decoder is N(0, ½²) unless given others."""
    components = {
        "encoder": {"name": "mlp", "hidden": [6]},
        "decoder": {"name": "gaussian", "scale": 0.5},
        **components,
    }
    model = assemble(compose(recipe, components=components, latent=2), info)
    if zero:
        with torch.no_grad():
            for parameter in (*model.posterior.parameters(), *model.network.parameters()):
                parameter.zero_()
    return model


def split_of(n=700, info=INFO):
    generator = torch.Generator().manual_seed(1)
    return TensorSplit(Batch(torch.rand((n, *info.shape), generator=generator) * 2 - 1))


def test_numbers_by_hand():
    """Of a model that ignores its latents: the rate is 0, the distortion a normal density."""
    split = split_of()
    result = evaluate(model_of(), split)
    distortion = -stats.norm(0, 0.5).logpdf(split.batch.x.double().numpy()).sum(1)
    assert result["rate"].value == pytest.approx(0, abs=1e-12)
    assert result["distortion"].value == pytest.approx(distortion.mean(), rel=1e-6)
    assert result["distortion"].standard_error == pytest.approx(
        distortion.std(ddof=1) / math.sqrt(700), rel=1e-5
    )
    assert result["elbo"].value == pytest.approx(-distortion.mean(), rel=1e-6)
    assert {row.n for row in result.rows} == {700}
    assert {row.unit for row in result.rows} == {"nats"}


def test_rate_is_exact_and_the_same_for_any_number_of_draws():
    model, split = model_of(zero=False), split_of(50)
    rates = [evaluate(model, split, f"elbo[{n}]")["rate"].value for n in (1, 3, 10)]
    assert rates == pytest.approx([rates[0]] * 3, rel=1e-9)
    with torch.no_grad():
        q = model.encode(split.batch.x)
        m, s = q.mean.double(), q.stddev.double()
        exact = (0.5 * (m**2 + s**2 - 1) - s.log()).sum(1)
    assert rates[0] == pytest.approx(exact.mean().item(), rel=1e-4)


def test_more_draws_are_less_noisy_and_not_biased():
    model, split = model_of(zero=False), split_of(40)
    with torch.no_grad():
        model.network.layers[0].weight.mul_(3)
    few = np.array([evaluate(model, split, "elbo[1]", seed=seed)["elbo"].value for seed in range(200)])
    many = np.array([evaluate(model, split, "elbo[20]", seed=seed)["elbo"].value for seed in range(50)])
    assert many.std() < 0.4 * few.std()
    assert abs(many.mean() - few.mean()) < 4.5 * math.sqrt(few.var() / 200 + many.var() / 50)


def test_standard_error_covers_the_mean_over_all_data():
    """Two standard errors around the estimate from 300 examples hold the value of 20,000 in about 95 %."""
    model, everything = model_of(), split_of(20_000)
    truth = evaluate(model, everything, "elbo[1]")["elbo"].value
    inside = 0
    for start in range(0, 20_000, 300)[:60]:
        row = evaluate(model, TensorSplit(everything.batch[start : start + 300]), "elbo[1]")["elbo"]
        inside += abs(row.value - truth) < 2 * row.standard_error
    assert 50 <= inside <= 60


def test_same_seed_same_numbers_and_nothing_else_changes():
    model, split = model_of(zero=False), split_of(30)
    model.train()
    state = torch.get_rng_state()
    first = evaluate(model, split, seed=3)
    assert evaluate(model, split, seed=3) == first
    assert evaluate(model, split, seed=4) != first
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    assert (first["elbo"].details["samples"], first.seed) == (10, 3)


def test_evaluation_mode_is_used_and_given_back_after_an_error():
    model = model_of(encoder={"name": "mlp", "hidden": [6]})
    modes = []

    class Watching(TensorSplit):
        def __getitems__(self, indices):
            modes.append(model.training)
            if len(modes) > 1:
                raise RuntimeError("the disk is gone")
            return super().__getitems__(indices)

    model.train()
    with pytest.raises(RuntimeError, match="the disk"):
        evaluate(model, Watching(split_of().batch))
    assert modes == [False, False]
    assert model.training


def test_split_that_is_not_in_memory_gives_the_same():
    split = split_of(1100)

    class Streamed(Split):
        def __len__(self):
            return len(split)

        def __getitems__(self, indices):
            assert len(indices) <= 500
            return split.__getitems__(indices)

    assert evaluate(model_of(zero=False), Streamed()) == evaluate(model_of(zero=False), split)


def test_autoencoder_has_a_distortion_and_says_why_nothing_else():
    result = evaluate(model_of(recipe="autoencoder"), split_of(10))
    assert [row.name for row in result.rows] == ["distortion"]
    assert set(result.undefined) == {"elbo", "rate", "bits_per_dim"}
    assert all("delta" in reason for reason in result.undefined.values())
    with pytest.raises(UndefinedError, match="no elbo: its posterior 'delta'"):
        result["elbo"]


def test_pseudo_likelihood_has_no_bound():
    model = model_of(DataInfo((5,)), decoder={"name": "bernoulli", "binarize": "none"})
    result = evaluate(model, TensorSplit(Batch(torch.rand(10, 5))))
    assert "elbo" not in [row.name for row in result.rows]
    assert "bernoulli" in result.undefined["elbo"]


def test_what_is_measured_is_what_is_trained_on():
    """Binarised pixels, drawn anew for each evaluation seed: the code length is that of binary data."""
    info = DataInfo((5,), levels=256)
    model = model_of(info, decoder={"name": "bernoulli", "binarize": "dynamic"})
    split = TensorSplit(Batch(torch.randint(256, (60, 5), dtype=torch.uint8)))
    result = evaluate(model, split)
    assert result["bits_per_dim"].value == pytest.approx(1.0, abs=1e-6)
    assert result["bits_per_dim"].unit == "bits"
    assert result["distortion"].value == pytest.approx(5 * math.log(2), rel=1e-6)


def test_divergence_without_a_closed_form_is_estimated():
    """From the same draws: on average the closed form."""
    model, split = model_of(zero=False), split_of(300)
    exact = evaluate(model, split)["rate"].value

    class Plain(torch.distributions.Distribution):
        """A prior that nobody knows a closed form for."""

        def __init__(self, base):
            self.base = base
            super().__init__(base.batch_shape, base.event_shape, validate_args=False)

        def log_prob(self, z):
            return self.base.log_prob(z)

    prior = model.prior()
    model.prior.forward = lambda: Plain(prior)
    row = evaluate(model, split, "elbo[200]")["rate"]
    assert row.value == pytest.approx(exact, rel=0.05, abs=0.01)


def test_one_example_has_no_standard_error():
    row = evaluate(model_of(), split_of(1))["elbo"]
    assert row.n == 1
    assert math.isnan(row.standard_error)


def test_result_as_plain_data():
    result = evaluate(model_of(), split_of(10))
    plain = json.loads(json.dumps(result.to_json()))
    assert [row["name"] for row in plain["rows"]] == [row.name for row in result.rows]
    assert all(isinstance(row, Row) and row.definition for row in result.rows)
    with pytest.raises(KeyError):
        result["surprise"]
