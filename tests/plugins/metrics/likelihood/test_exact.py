"""Exact likelihoods: against densities by torch and scipy, and sums written out."""

import itertools
import math

import pytest
import torch
from torch.nn import functional

from genmod import Batch, DataInfo, TensorSplit, compose, evaluate
from genmod.model.assembly import assemble
from genmod.plugins.metrics.exact import states

REAL = {"low": -math.inf, "high": math.inf}


def model_of(info, latent, condition=(), **components):
    components = {"encoder": {"name": "mlp", "hidden": [4]}, **components}
    model = assemble(compose(components=components, latent=latent, condition=condition), info).double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in (*model.network.parameters(), *model.prior.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


def test_linear_gaussian_is_its_normal_density(models):
    model = models.linear()
    x = models.drawn(model, 700)
    result = evaluate(model, models.split_of(x), "exact")
    row = result["nll[exact]"]
    assert (row.examples + models.truth(model, x)).abs().max() < 1e-10
    assert "unit of measurement" in result.undefined["bits_per_dim[exact]"]
    single = evaluate(model.float(), models.split_of(x), "exact")["nll[exact]"]
    assert single.value == pytest.approx(row.value, rel=1e-6)
    assert model.dtype == torch.float32


def test_missing_values_and_conditions_against_scipy():
    """Each example has a mean, a covariance and a marginal of its own."""
    info = DataInfo((5,), classes=("a", "b", "c"), missing=True, **REAL)
    decoder = {"name": "gaussian", "scale": "per-dimension"}
    model = model_of(info, 2, ("label",), network="linear", decoder=decoder, prior="conditional")
    x, labels = torch.randn(60, 5, dtype=torch.float64), torch.arange(60) % 3
    x[torch.rand(60, 5) < 0.3] = torch.nan
    found = evaluate(model, TensorSplit(Batch(x, labels=labels)), "exact")["nll[exact]"].examples
    for i in range(60):
        context = functional.one_hot(labels[i : i + 1], 3).double()
        with torch.no_grad():
            prior = model.prior(context).base_dist
            both = [model.network(torch.cat([z[None], context], 1))[0] for z in torch.eye(3, 2).double()]
            scale = model.decode(torch.zeros(1, 2).double(), context).likelihood.base_dist.stddev[0]
        weight = torch.stack([both[0] - both[2], both[1] - both[2]], 1)
        covariance = weight @ prior.variance[0].diag() @ weight.T + scale.square().diag()
        mean, seen = both[2] + weight @ prior.mean[0], ~x[i].isnan()
        if seen.any():
            exact = torch.distributions.MultivariateNormal(mean[seen], covariance[seen][:, seen])
            assert found[i].item() == pytest.approx(-exact.log_prob(x[i][seen]).item(), abs=1e-9)
        else:
            assert found[i].item() == pytest.approx(0.0, abs=1e-12)


def test_each_example_has_its_own_conditions(monkeypatch):
    """Also in importance sampling, which takes a few examples at a time."""
    monkeypatch.setattr("genmod.model.importance._VALUES", 8000)
    info = DataInfo((3,), classes=("a", "b", "c"), **REAL)
    components = {"network": "linear", "decoder": {"name": "gaussian", "scale": 1.0}, "prior": "conditional"}
    model = model_of(info, 2, ("label",), **components)
    labels = torch.arange(10) ** 2 % 3
    split = TensorSplit(Batch(torch.randn(10, 3, dtype=torch.float64), labels=labels))
    result = evaluate(model, split, ["exact", "nll[3000]"])
    assert (result["nll[3000]"].examples - result["nll[exact]"].examples).abs().max() < 0.3


def test_levels_are_spread_for_bits():
    info = DataInfo((4,), low=0.0, high=1.0, levels=5)
    model = model_of(info, 2, network="linear", decoder={"name": "gaussian", "scale": 0.3})
    split = TensorSplit(Batch(torch.randint(5, (50, 4), dtype=torch.uint8)))
    result = evaluate(model, split, "exact")
    nll, bits = result["nll[exact]"], result["bits_per_dim[exact]"]
    assert bits.value != pytest.approx(nll.value / (4 * math.log(2)) + 2, abs=1e-6)
    assert bits.value == pytest.approx(nll.value / (4 * math.log(2)) + 2, abs=0.5)
    bound = evaluate(model, split, "nll[3000]")["bits_per_dim[3000]"]
    assert bound.value == pytest.approx(bits.value, abs=0.02)


def test_dequantised_data_are_exact_too():
    """Of the same noise as importance sampling sees."""
    info = DataInfo((3,), low=0.0, high=1.0, levels=5)
    decoder = {"name": "gaussian", "scale": 0.8, "dequantize": True}
    model = model_of(info, 2, network="linear", decoder=decoder)
    with torch.no_grad():
        model.network.layer.weight.mul_(0.3)
    split = TensorSplit(Batch(torch.randint(5, (100, 3), dtype=torch.uint8)))
    result = evaluate(model, split, ["exact", "nll[3000]"])
    exact, bound = result["nll[exact]"], result["nll[3000]"]
    assert exact.details["dequantisation"].startswith("uniform")
    assert (bound.examples - exact.examples).abs().max() < 0.5
    assert bound.value == pytest.approx(exact.value, abs=0.02)


@pytest.mark.parametrize(
    ("components", "reason"),
    [
        ({"network": {"name": "mlp", "hidden": [4]}}, "mean of its decoder is not linear"),
        (
            {"network": "linear", "decoder": {"name": "gaussian", "scale": "per-pixel"}},
            "scale of its decoder depends",
        ),
        ({"network": "linear", "decoder": "laplace"}, "decoder is no product of normal"),
        ({"network": "linear", "prior": "laplace", "posterior": "laplace"}, "prior is no product of normal"),
        ({"network": "linear", "prior": "mixture", "divergence": "kl-mc"}, "prior is no product of normal"),
    ],
)
def test_other_models_are_refused(components, reason):
    model = model_of(
        DataInfo((5,), **REAL), 2, **{"decoder": {"name": "gaussian", "scale": 0.5}, **components}
    )
    assert reason in evaluate(model, TensorSplit(Batch(torch.randn(3, 5))), "exact").undefined["exact"]


def brute(model, prior, every, x, context=None):
    """The sum, state by state and example by example."""
    found = []
    for i in range(len(x)):
        given = None if context is None else context[i : i + 1]
        joint = [(prior(z, i) + model.decode(z[None], given).log_prob(x[i : i + 1])[0]).item() for z in every]
        top = max(joint)
        found.append(top + math.log(sum(math.exp(value - top) for value in joint)))
    return torch.tensor(found, dtype=torch.float64)


def one_hots(places, classes):
    for choice in itertools.product(range(classes), repeat=places):
        yield functional.one_hot(torch.tensor(choice), classes).double()


@torch.no_grad()
@pytest.mark.parametrize("relaxed", [False, True])
@pytest.mark.parametrize("decoder", ["bernoulli", "categorical", "gaussian"])
def test_classes_are_summed_over(relaxed, decoder):
    posterior = {"name": "relaxed-categorical", "straight_through": not relaxed}
    prior = "relaxed-categorical" if relaxed else "categorical"
    info = DataInfo((5,), levels=2)
    model = model_of(info, (2, 3), posterior=posterior, prior=prior, decoder=decoder, divergence="kl-mc")
    x = torch.randint(2, (7, 5)).double()
    result = evaluate(model, TensorSplit(Batch(x)), "exact")
    row = result["nll[exact]"]
    exact = brute(model, lambda z, i: -2 * math.log(3), list(one_hots(2, 3)), x)
    assert (row.examples + exact).abs().max() < 1e-10
    assert (row.details["states"], row.details["relaxed"]) == (9, relaxed)
    assert ("exact latents" in row.definition) is relaxed
    assert "bits_per_dim[exact]" in [each.name for each in result.rows]


@torch.no_grad()
@pytest.mark.parametrize("relaxed", [False, True])
def test_bits_are_summed_over_with_their_probabilities(relaxed):
    name = "relaxed-bernoulli" if relaxed else "bernoulli"
    posterior = {"name": "relaxed-bernoulli", "straight_through": not relaxed}
    info = DataInfo((5,), levels=2, classes=("a", "b"))
    components = {
        "posterior": posterior,
        "prior": {"name": name, "probability": 0.2},
        "decoder": "bernoulli",
        "divergence": "kl-mc",
    }
    model = model_of(info, 4, ("label",), **components)
    x, labels = torch.randint(2, (9, 5)).double(), torch.arange(9) % 2
    found = evaluate(model, TensorSplit(Batch(x, labels=labels)), "exact")["nll[exact]"].examples
    every = [torch.tensor(bits).double() for bits in itertools.product((0.0, 1.0), repeat=4)]
    exact = brute(
        model,
        lambda z, i: (z * math.log(0.2) + (1 - z) * math.log(0.8)).sum(),
        every,
        x,
        functional.one_hot(labels, 2).double(),
    )
    assert (found + exact).abs().max() < 1e-10


@torch.no_grad()
def test_codes_one_after_the_other_are_summed_over_in_pieces(monkeypatch):
    posterior = {"name": "relaxed-categorical", "straight_through": True}
    info = DataInfo((5,), levels=2)
    model = model_of(
        info, (3, 3), posterior=posterior, prior="autoregressive", decoder="bernoulli", divergence="kl-mc"
    )
    x = torch.randint(2, (4, 5)).double()
    prior = model.prior()
    exact = brute(model, lambda z, i: prior.log_prob(z), list(one_hots(3, 3)), x)
    for memory in (2**26, 1):
        monkeypatch.setattr("genmod.plugins.metrics.exact._MEMORY", memory)
        found = evaluate(model, TensorSplit(Batch(x)), "exact")["nll[exact]"].examples
        assert (found + exact).abs().max() < 1e-10


def test_importance_sampling_of_discrete_latents_comes_near():
    posterior = {"name": "relaxed-bernoulli", "straight_through": True}
    info = DataInfo((5,), levels=2)
    model = model_of(info, 4, posterior=posterior, prior="bernoulli", decoder="bernoulli")
    split = TensorSplit(Batch(torch.randint(2, (20, 5)).double()))
    result = evaluate(model, split, ["exact", "nll[5000]"])
    gap = result["nll[5000]"].value - result["nll[exact]"].value
    assert abs(gap) < 4 * result["nll[5000]"].details["error_of_draws"] + 0.01


def test_too_many_states_are_refused():
    posterior = {"name": "relaxed-categorical", "straight_through": True}
    info = DataInfo((5,), levels=2)
    model = model_of(info, (6, 10), posterior=posterior, prior="categorical", decoder="bernoulli")
    reason = evaluate(model, TensorSplit(Batch(torch.zeros(3, 5))), "exact").undefined["exact"]
    assert "10^6 states" in reason
    assert (
        len(
            states(
                model_of(
                    info, (5, 10), posterior=posterior, prior="categorical", decoder="bernoulli"
                ).prior.support,
                (5, 10),
            )
        )
        == 10**5
    )
