"""Missing values: left out of the likelihood, marked for the encoder, and of no other effect."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, Independent, MultivariateNormal, Normal

from genmod import Batch, DataInfo, Dataset, TensorSplit, UndefinedError, UsageError, evaluate, train
from genmod.data.missing import marked, stand_in
from genmod.distributions import Marginal
from genmod.model.assembly import assemble, blueprint
from genmod.model.build import compose

NAN = math.nan
TABLE = DataInfo((4,), -math.inf, math.inf, missing=True)


def model_of(info=TABLE, *, decoder="gaussian", recipe="vae", **components):
    components = {"encoder": {"name": "mlp", "hidden": [16]}, "decoder": decoder, **components}
    return assemble(compose(recipe, components=components, latent=2), info)


def test_log_density_of_what_was_observed():
    likelihood = Independent(Normal(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 2.0, 3.0])), 1)
    x = torch.tensor([[0.5, NAN, 1.0], [NAN, NAN, NAN], [0.5, 2.0, 1.0]])
    found = Marginal(likelihood, 0.0).log_prob(x)
    first = likelihood.base_dist.log_prob(torch.tensor([0.5, 0.0, 1.0]))[[0, 2]].sum()
    torch.testing.assert_close(found, torch.stack([first, torch.tensor(0.0), likelihood.log_prob(x[2])]))


def test_gradients_stay_finite_where_the_density_of_the_stand_in_does_not_matter():
    logits = torch.zeros(2, 3, requires_grad=True)
    x = torch.tensor([[1.0, NAN, 0.0], [NAN, NAN, NAN]])
    Marginal(Independent(Bernoulli(logits=logits), 1), 0.0).log_prob(x).sum().backward()
    assert torch.equal(logits.grad, torch.tensor([[0.5, 0.0, -0.5], [0.0, 0.0, 0.0]]))


def test_values_that_depend_on_each_other_are_refused():
    with pytest.raises(UsageError, match="MultivariateNormal depend on each other"):
        Marginal(MultivariateNormal(torch.zeros(2), torch.eye(2)), 0.0)


@pytest.mark.parametrize(
    "info",
    [
        DataInfo((3,), levels=2),
        DataInfo((3,), levels=256),
        DataInfo((3,)),
        DataInfo((3,), -math.inf, math.inf),
        DataInfo((3,), 0.0, math.inf, counts=True),
        DataInfo((3,), -math.inf, -2.0),
        DataInfo((3,), 5.0, math.inf),
    ],
)
def test_the_stand_in_is_a_value_of_the_data(info):
    value = stand_in(info)
    assert info.low <= value <= info.high
    if info.levels:
        assert (value - info.low) / (info.high - info.low) * (info.levels - 1) == round(
            (value - info.low) / (info.high - info.low) * (info.levels - 1)
        )


def test_the_encoder_is_told_which_were_observed():
    x = torch.tensor([[[[1.0, NAN]]]])
    assert marked(x, 0.5).tolist() == [[[[1.0, 0.5]], [[1.0, 0.0]]]]
    model = model_of().eval()
    seen, missing = torch.zeros(1, 4), torch.tensor([[NAN, 0.0, 0.0, 0.0]])
    assert not torch.allclose(model.encode(seen).mean, model.encode(missing).mean)


@pytest.mark.parametrize(
    ("info", "decoder"),
    [
        (TABLE, "gaussian"),
        (TABLE, "laplace"),
        (TABLE, "student-t"),
        (DataInfo((1, 8, 8), levels=256, missing=True), {"name": "bernoulli", "binarize": "dynamic"}),
        (DataInfo((1, 8, 8), levels=2, missing=True), "bernoulli"),
        (DataInfo((1, 8, 8), levels=256, missing=True), "discretized-logistic"),
        (DataInfo((1, 8, 8), levels=256, missing=True), "categorical"),
        (DataInfo((1, 8, 8), levels=256, missing=True), "continuous-bernoulli"),
        (DataInfo((1, 8, 8), levels=256, missing=True), "beta"),
        (DataInfo((6,), 0.0, math.inf, counts=True, missing=True), "poisson"),
        (DataInfo((6,), 0.0, math.inf, counts=True, missing=True), "negative-binomial"),
    ],
)
@pytest.mark.parametrize("recipe", ["vae", "iwae"])
def test_finite_losses_and_gradients_with_every_likelihood(info, decoder, recipe):
    model = model_of(info, decoder=decoder, recipe=recipe)
    x = torch.rand(8, *info.shape).round()
    x[torch.rand(x.shape) < 0.5] = NAN
    x[0] = NAN
    observed = model.observe(x)
    assert torch.equal(observed.isnan(), x.isnan())
    loss = model.terms(x).total
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_an_example_of_which_nothing_is_known_costs_nothing_but_its_rate():
    model = model_of()
    values = model.terms(torch.full((5, 4), NAN)).values
    assert torch.equal(values["distortion"], torch.zeros(5))


def test_a_likelihood_over_whole_examples_is_refused_before_anything_is_allocated():
    info = DataInfo((3, 8, 8), levels=256, missing=True)
    with pytest.raises(UsageError, match="depend on each other"):
        blueprint(compose(components={"decoder": "ms-ssim", "encoder": "mlp"}), info)


class _Correlated(Dataset):
    """Rows of a factor model, ``x = w t + noise``, of which two in five values are missing."""

    info = TABLE
    weights, noise = torch.tensor([1.0, -2.0, 0.5, 1.5]), 0.5

    def split(self, name):
        g = torch.Generator().manual_seed(len(name))
        n = {"train": 4000, "validation": 500, "test": 2000}[name]
        x = torch.randn(n, 1, generator=g) * self.weights + self.noise * torch.randn(n, 4, generator=g)
        x[torch.rand(n, 4, generator=g) < 0.4] = NAN
        return TensorSplit(Batch(x))

    def log_likelihood(self, x):
        """Of the observed values of each example, exactly."""
        covariance = self.weights[:, None] * self.weights + self.noise**2 * torch.eye(4)
        found = torch.zeros(len(x))
        for i, row in enumerate(x):
            seen = (~row.isnan()).nonzero().flatten()
            if len(seen):
                found[i] = MultivariateNormal(torch.zeros(len(seen)), covariance[seen][:, seen]).log_prob(
                    row[seen]
                )
        return found


def test_the_bound_reaches_the_likelihood_of_the_observed_values(tmp_path):
    """The truth is a factor model, whose likelihood of any part of an example is known."""
    data = _Correlated(tmp_path)
    model = assemble(
        compose(
            components={
                "encoder": {"name": "mlp", "hidden": [64]},
                "network": {"name": "mlp", "hidden": []},
                "decoder": {"name": "gaussian", "scale": "learned"},
            },
            latent=1,
        ),
        TABLE,
    )
    train(model, data, steps=1500, batch_size=200, lr=0.01, schedule="cosine", device="cpu")
    test = data.split("test")
    found, exact = evaluate(model, test, "elbo[20]"), data.log_likelihood(test.batch.x).mean().item()
    assert exact - 0.08 < found["elbo"].value < exact + 0.02
    with pytest.raises(UndefinedError, match="continuous"):
        found["bits_per_dim"]


def test_bits_per_dimension_are_not_defined():
    model = model_of(DataInfo((1, 8, 8), levels=2, missing=True), decoder="bernoulli")
    x = torch.rand(4, 1, 8, 8).round()
    x[:, :, 0] = NAN
    with pytest.raises(UndefinedError, match="different numbers"):
        evaluate(model, TensorSplit(Batch(x)))["bits_per_dim"]
