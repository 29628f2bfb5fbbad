"""Mistakes that are easily made in this kind of program, and often are: each has a test against it.

Every test says in its first line what the mistake is.
"""

import json
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import kl_divergence

from genmod import (
    Batch,
    DataInfo,
    Dataset,
    TensorSplit,
    Terms,
    TrainSettings,
    UsageError,
    build,
    compose,
    diagonal_normal,
    evaluate,
    train,
)
from genmod.model.assembly import assemble, blueprint
from genmod.options.schedule import Clock, Schedule
from genmod.plugins.decoders.bernoulli import BernoulliDecoder
from genmod.plugins.decoders.gaussian import GaussianDecoder
from genmod.plugins.divergences.kl import KL
from genmod.plugins.divergences.kl_mc import MonteCarloKL
from genmod.plugins.objectives.elbo import ELBO
from genmod.registry.lookup import Registry
from genmod.training.metrics import RunningMeans

INFO = DataInfo((6,), low=-1.0, high=1.0)


def model_of(objective="elbo", *, latent=3, scale=0.5, divergence="kl", info=INFO, **options):
    components = {
        "encoder": {"name": "mlp", "hidden": [8]},
        "decoder": {"name": "gaussian", "scale": scale},
        "divergence": divergence,
        "objective": {"name": objective, **options},
    }
    return assemble(compose(components=components, latent=latent), info).double()


def batch(n=5, info=INFO):
    return torch.rand(n, *info.shape, dtype=torch.float64) * 2 - 1


class _Fixed(Dataset):
    """Few examples of six values, the last of which makes validation batches of unequal size."""

    info = INFO

    def split(self, name):
        n = {"train": 64, "validation": 601, "test": 10}[name]
        return TensorSplit(
            Batch(torch.rand(n, 6, generator=torch.Generator().manual_seed(len(name))) * 2 - 1)
        )


@pytest.fixture
def data(tmp_path):
    return _Fixed(tmp_path)


def test_reconstruction_averaged_over_pixels_while_the_kl_is_summed_over_latents():
    """The weight of the KL then silently depends on the number of pixels: both are sums over their event."""
    model = model_of()
    x = batch()
    terms = model.terms(x)
    with torch.no_grad():
        q = model.encode(x)
        rate = kl_divergence(q.base_dist, model.prior().base_dist).sum(1)
    torch.testing.assert_close(terms.values["rate"].detach(), rate)
    for dims in (1, 10, 1000):
        decoder = GaussianDecoder(DataInfo((dims,), low=-1.0, high=1.0), scale=1.0)
        density = decoder(torch.zeros(1, dims)).log_prob(torch.zeros(1, dims))
        assert density.item() == pytest.approx(-0.5 * dims * math.log(2 * math.pi), rel=1e-6)


def test_validation_by_another_objective_than_training(data):
    """A weight of the KL that applies in training alone makes the two losses incomparable."""
    model = model_of(beta=7.0)
    x = batch()
    torch.manual_seed(1)
    in_training = model.train().terms(x).loss
    torch.manual_seed(1)
    in_evaluation = model.eval().terms(x).loss
    torch.testing.assert_close(in_training, in_evaluation)
    result = train(model.float(), data, steps=2, batch_size=64, device="cpu")
    row = next(row for row in result.rows if row["split"] == "validation")
    assert row["loss"] == pytest.approx(row["distortion"] + 7 * row["rate"], rel=1e-5)


def test_loss_functions_in_place_of_likelihoods():
    """A squared error is no density: ``log p`` is given for each example, in nats, constants included."""
    model = model_of(scale=0.3)
    x = batch()
    with torch.no_grad():
        likelihood = model.decode(torch.randn(5, 3, dtype=torch.float64))
        mean = likelihood.mean.numpy()
        density = likelihood.log_prob(x)
    assert density.shape == (5,)
    np.testing.assert_allclose(density, stats.norm(mean, 0.3).logpdf(x.numpy()).sum(1), rtol=1e-6)


def test_importance_weights_of_the_wrong_sign_or_from_the_analytic_kl():
    """``log w = log p(x|z) + log p(z) - log q(z|x)`` of each draw: the better draw weighs more."""
    model = model_of()
    x = batch(4)
    torch.manual_seed(3)
    weights = model.log_weights(x, 8)
    torch.manual_seed(3)
    q = model.encode(x)
    z = q.rsample((8,))
    by_hand = (
        stats.norm(model.decode(z).mean.detach().numpy(), 0.5).logpdf(x.numpy()).sum(-1)
        + stats.norm(0, 1).logpdf(z.detach().numpy()).sum(-1)
        - stats.norm(q.mean.detach().numpy(), q.stddev.detach().numpy()).logpdf(z.detach().numpy()).sum(-1)
    )
    np.testing.assert_allclose(weights.detach(), by_hand, rtol=1e-6)
    assert weights.std(0).min() > 0


def test_importance_samples_along_the_wrong_axis():
    """Averaging over examples where draws were meant gives a plain ELBO unnoticed; draws come first, always."""
    model = model_of()
    weights = model.log_weights(batch(4), 7)
    assert weights.shape == (7, 4)
    one = model.log_weights(batch(4), 1)
    torch.testing.assert_close(one.logsumexp(0) - math.log(1), one[0])


def test_surrogate_reported_as_the_bound():
    """What is minimised may be weighted, bounded below or shifted; what is reported is the bound."""
    x = batch()
    reported = []
    for options in ({}, {"beta": 9.0}, {"free_bits": 2.0}, {"capacity": 25.0}):
        torch.manual_seed(2)
        reported.append(model_of(**options).terms(x).values["elbo"])
    for other in reported[1:]:
        torch.testing.assert_close(reported[0], other)


@pytest.mark.parametrize("samples", [1, 2, 100, 250])
def test_another_number_of_draws_than_was_asked_for(samples):
    """Rounding K to whole batches changes the estimator: exactly K draws are used."""
    assert model_of().log_weights(batch(3), samples).shape == (samples, 3)
    q = diagonal_normal(torch.zeros(2, 3), torch.zeros(2, 3), 1)
    drawn = []
    q.rsample = lambda shape=(): drawn.append(shape) or torch.randn(*shape, 2, 3)
    MonteCarloKL(samples=samples)(q, q, torch.zeros(1, 2, 3))
    assert sum(shape[0] for shape in drawn) == samples - 1


def test_a_part_of_the_loss_that_is_summed_over_the_batch():
    """It then grows with the batch size, and the balance of the parts with it: repeating the batch changes nothing."""
    for options in ({}, {"free_bits": 0.5}, {"free_bits": 0.5, "free_bits_by": "example"}, {"capacity": 5.0}):
        model = model_of(**options)
        with torch.no_grad():
            for parameter in model.network.parameters():
                parameter.zero_()
        x = batch(4)
        losses = [model.terms(x.repeat(n, 1)).loss.item() for n in (1, 8, 64)]
        assert losses == pytest.approx([losses[0]] * 3, rel=1e-12)


def test_draws_with_another_scale_than_the_density():
    """One parametrisation of the scale for sampling and another one in the loss: both come from one object."""
    model = model_of()
    with torch.no_grad():
        q = model.encode(batch(2))
        z = q.sample((200_000,))
    torch.testing.assert_close(z.std(0), q.stddev, rtol=0.02, atol=0)
    entropy = -q.log_prob(z)
    error = entropy.std(0) / len(z) ** 0.5
    assert ((entropy.mean(0) - q.entropy()).abs() < 4.5 * error).all()


def test_normalising_constant_left_out():
    """Without ``-½ log 2πσ²`` neither ELBO nor bits/dim can be compared with anybody's."""
    for scale in (0.1, 1.0, 3.0):
        decoder = GaussianDecoder(DataInfo((1,), low=-1.0, high=1.0), scale=scale)
        density = decoder(torch.zeros(1, 1)).log_prob(torch.zeros(1, 1))
        assert density.item() == pytest.approx(stats.norm(0, scale).logpdf(0), rel=1e-6)
    prior = model_of(latent=4).prior()
    assert prior.log_prob(torch.zeros(4)).item() == pytest.approx(-2 * math.log(2 * math.pi))


def test_half_or_the_whole_of_a_kl_missing():
    """A lost factor ½, or a term in the wrong bracket: 0.1627 nats for N(½, 1.2²) and N(0, 1)."""
    q = diagonal_normal(torch.tensor([0.5]), torch.tensor([1.2]).log(), 1)
    p = diagonal_normal(torch.zeros(1), torch.zeros(1), 1)
    expected = -math.log(1.2) + (1.44 + 0.25) / 2 - 0.5
    for part in (KL(), MonteCarloKL(samples=400_000)):
        assert part(q.expand((1,)), p, torch.zeros(1, 1, 1)).item() == pytest.approx(expected, abs=0.01)


def test_a_prior_other_than_the_one_given():
    """A KL to N(0, I) written into the loss ignores the prior of the model."""
    q = diagonal_normal(torch.full((2, 3), 1.5), torch.full((2, 3), -0.7), 1)
    p = diagonal_normal(torch.full((3,), 1.5), torch.full((3,), -0.7), 1)
    for part in (KL(), MonteCarloKL()):
        assert not part(q, p, q.sample((1,))).any()
    model = model_of()
    model.prior.zeros = torch.full((3,), 2.0, dtype=torch.float64)
    shifted = model.sample(5, seed=0)
    model.prior.zeros = torch.zeros(3, dtype=torch.float64)
    assert not torch.equal(model.sample(5, seed=0), shifted)


def test_prior_whose_draws_are_not_those_of_its_density():
    """Sampling N(0, I) beside a learned density: the prior object owns both."""
    p = model_of(latent=1).prior()
    assert stats.kstest(p.sample((20_000,))[:, 0].numpy(), lambda z: stats.norm.cdf(z)).pvalue > 1e-3
    points = torch.linspace(-3, 3, 7, dtype=torch.float64)[:, None]
    np.testing.assert_allclose(p.log_prob(points), stats.norm.logpdf(points[:, 0]), rtol=1e-12)


def test_batch_of_one_example():
    """The last batch of an epoch may have a single example: no NaN, in any objective."""
    for options in (
        {},
        {"free_bits": 0.5},
        {"capacity": 5.0},
        {"objective": "reconstruction", "divergence": "none"},
    ):
        for scale in (0.5, "learned", "per-pixel", "optimal"):
            model = model_of(scale=scale, **options)
            loss = model.terms(batch(1)).loss
            loss.backward()
            assert loss.isfinite()
            assert all(p.grad.isfinite().all() for p in model.parameters())


def test_mean_of_the_means_of_unequal_batches(data):
    """The epoch's loss is the mean over examples, a short last batch counting for what it is."""
    means = RunningMeans()
    means.add(Terms(torch.tensor(1.0), {"rate": torch.ones(9)}), 9)
    means.add(Terms(torch.tensor(11.0), {"rate": 11 * torch.ones(1)}), 1)
    assert means.take() == {"loss": 2.0, "rate": 2.0}
    model = model_of().float()
    with torch.no_grad():
        for parameter in (*model.posterior.parameters(), *model.network.parameters()):
            parameter.zero_()
    x = data.split("validation").batch.x
    expected = -stats.norm(0, 0.5).logpdf(x.double().numpy()).sum(1).mean()
    assert evaluate(model, data.split("validation"))["distortion"].value == pytest.approx(expected, rel=1e-6)
    result = train(model, data, steps=1, lr=1e-12, batch_size=64, device="cpu")
    row = next(row for row in result.rows if row["split"] == "validation")
    assert row["distortion"] == pytest.approx(expected, rel=1e-6)


def test_first_or_last_batch_left_out_of_a_metric(data):
    """Every example of a split counts once."""
    result = evaluate(model_of().float(), data.split("validation"), "elbo[1]")
    assert {row.n for row in result.rows} == {601}


def test_best_model_by_a_weight_that_is_still_rising(data):
    """While β rises the loss rises with it, so that the first epoch would win: selection uses the final β."""
    model = model_of(beta="0->8 over 100%").float()
    result = train(model, data, epochs=20, batch_size=64, lr=1e-2, device="cpu")
    rows = [row for row in result.rows if row["split"] == "validation"]
    assert len(rows) == 20
    for row in rows:
        assert row["loss"] == pytest.approx(row["distortion"] + 8 * row["rate"], rel=1e-4)
    assert result.best_loss == min(row["loss"] for row in rows)


def test_grey_pixels_scored_as_if_they_were_binary():
    """A cross-entropy on values between 0 and 1 is no density: refused, or declared to be a pseudo-likelihood."""
    grey = DataInfo((4,), levels=256)
    with pytest.raises(UsageError, match="binarize"):
        BernoulliDecoder(grey)
    assert not BernoulliDecoder(grey, binarize="none").is_density
    components = {"encoder": "mlp", "decoder": {"name": "bernoulli", "binarize": "none"}}
    terms = assemble(compose(components=components), grey).terms(torch.rand(3, 4))
    assert "elbo" not in terms.values


def test_data_outside_the_range_of_the_likelihood():
    """Scaled to -1 … 1 for one model and scored by another: refused before anything is trained."""
    for decoder in ("bernoulli", {"name": "bernoulli", "binarize": "dynamic"}):
        spec = compose(components={"encoder": "mlp", "decoder": decoder})
        with pytest.raises(UsageError, match=r"-1 to 1|values such as"):
            blueprint(spec, DataInfo((4,), low=-1.0, high=1.0))


def test_terms_logged_with_the_wrong_sign():
    """A rate is positive, a distortion is ``-log p``, the ELBO is their negative sum and the loss its negative."""
    model = model_of()
    terms = model.terms(batch())
    assert (terms.values["rate"] > 0).all()
    total = terms.values["distortion"] + terms.values["rate"]
    torch.testing.assert_close(terms.values["elbo"], -total)
    torch.testing.assert_close(terms.loss, total.mean())
    row = evaluate(model, TensorSplit(Batch(batch(50))))
    assert row["elbo"].value == pytest.approx(-(row["distortion"].value + row["rate"].value))


@pytest.mark.parametrize("logit", [90.0, 1e3, 1e4])
def test_exponentials_that_overflow(logit):
    """``log(1 + exp(l))`` and ``exp`` of a log-scale overflow in single precision unless they are written otherwise."""
    for sign in (-1, 1):
        parameters = torch.full((1, 4), sign * logit, requires_grad=True)
        BernoulliDecoder(DataInfo((4,), levels=2))(parameters).log_prob(torch.ones(1, 4)).sum().backward()
        assert parameters.grad.isfinite().all()
        pixels = torch.full((1, 2, 4), sign * logit, requires_grad=True)
        density = GaussianDecoder(INFO, scale="per-pixel")
        density.data = DataInfo((4,), low=-1.0, high=1.0)
        value = density(pixels).log_prob(torch.ones(1, 4))
        value.sum().backward()
        assert value.isfinite().all()
        assert pixels.grad.isfinite().all()


def test_schedule_that_counts_calls(data):
    """A counter in the loss is moved by validation too, and lost on a restart: only the trainer's step moves it."""
    beta = ELBO(beta="0->1 over 10 steps").beta
    model = model_of(beta="0->1 over 10 steps").float()
    model.objective.beta.advance(Clock(4, 10, 100))
    for _ in range(3):
        model.terms(batch().float())
        evaluate(model, data.split("test"))
    assert float(model.objective.beta) == pytest.approx(0.4)
    assert float(beta) == 1.0
    result = train(
        model_of(beta="0->1 over 10 steps").float(), data, steps=12, batch_size=16, log_every=1, device="cpu"
    )
    logged = [row["objective.beta"] for row in result.rows if row["split"] == "train"]
    assert logged == pytest.approx([min(1.0, step / 10) for step in range(12)])


def test_schedule_by_steps_within_an_epoch(data):
    """A schedule in epochs goes on from one epoch to the next rather than starting again in each."""
    model = model_of(beta="0->1 over 2 epochs").float()
    result = train(model, data, epochs=3, batch_size=16, log_every=1, device="cpu")
    logged = [row["objective.beta"] for row in result.rows if row["split"] == "train"]
    assert logged == pytest.approx([min(1.0, step / 8) for step in range(12)])


def test_warm_up_longer_than_the_training(data):
    """The final weight would never be reached: an error at the start, not a worse model at the end."""
    model = model_of(beta="0->1 over 400 epochs").float()
    with pytest.raises(UsageError, match=r"objective\.beta"):
        train(model, data, epochs=20, device="cpu")


@pytest.mark.slow
def test_numbers_from_another_configuration_than_the_one_written(tmp_path, data):
    """What a recipe says is what is trained, and what is recorded with the model."""
    registry = Registry(third_party=False)
    for name in registry.names("recipe"):
        try:
            model = build(name, encoder={"name": "mlp", "hidden": [8]})
        except UsageError:  # it needs maps
            model = build(name)
        beta = model.spec.components["objective"].options.get("beta")
        if beta is not None:
            assert repr(model.objective.beta) == repr(Schedule.parse(beta))
    model = build("beta-vae", encoder={"name": "mlp", "hidden": [8]})
    assert float(model.objective.beta) == 4.0
    model = model_of(beta=3.0).float()
    directory = tmp_path / "model"
    settings = TrainSettings(steps=3, batch_size=16, device="cpu", seed=5)
    train(model, data, directory=directory, settings=settings)
    recorded = json.loads((directory / "model.json").read_text())
    assert recorded["components"]["objective"]["options"]["beta"] == 3.0
    run = json.loads((directory / "run.json").read_text())
    assert run["settings"] == json.loads(json.dumps(settings.to_json()))


@pytest.mark.parametrize(("by", "expected"), [("batch", 1.70), ("example", 1.875)])
def test_two_definitions_of_free_bits_under_one_name(by, expected):
    """Counted for the mean of the batch or for each example: two optima, so two names, and known numbers."""
    rates = torch.tensor([[0.2, 0.3], [0.8, 2.0], [0.1, 1.5], [0.7, 1.0]], dtype=torch.float64)
    model = model_of(free_bits=0.5, free_bits_by=by, latent=2)
    model.encode = lambda x: diagonal_normal((2 * rates).sqrt(), torch.zeros_like(rates), 1)
    terms = model.terms(batch(4))
    penalty = (terms.loss - terms.values["distortion"].mean()).item()
    assert penalty == pytest.approx(expected, rel=1e-12)
