"""What metrics say of latents: against closed forms, quadrature and counting."""

import math
import re

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from genmod import Batch, DataInfo, Subject, TensorSplit, compose, evaluate
from genmod.model.assembly import assemble
from genmod.options.schema import Text
from genmod.plugins.metrics import _aggregate as aggregates
from genmod.plugins.metrics._aggregate import aggregate, pairwise_log_prob


def unbounded(log_scale):
    """What the head has to give for a log-scale."""
    return log_scale / math.sqrt(1 - (log_scale / 9) ** 2)


def linear_model(weights, scale=1.0, **components):
    """``q(z|x) = N(W x, scale²)`` of tables."""
    weights = torch.as_tensor(weights).float()
    latents, columns = weights.shape
    parts = {"encoder": "identity", "network": "linear", "decoder": {"name": "gaussian", "scale": 1.0}}
    info = DataInfo((columns,), low=-math.inf, high=math.inf)
    model = assemble(compose("vae", components={**parts, **components}, latent=latents), info)
    with torch.no_grad():
        head = model.posterior.head
        head.weight.zero_()
        head.bias.zero_()
        head.weight[:latents] = weights
        head.bias[latents : 2 * latents] = unbounded(math.log(scale))
    return model


def normals(n, columns=1, seed=1):
    return TensorSplit(Batch(torch.randn(n, columns, generator=torch.Generator().manual_seed(seed))))


def digits(n=40):
    generator = torch.Generator().manual_seed(2)
    x = torch.randint(17, (n, 1, 8, 8), dtype=torch.uint8, generator=generator)
    return TensorSplit(Batch(x, torch.arange(n) % 10))


def digits_model(recipe, *, latent=None, condition=None, seed=0, **components):
    info = DataInfo((1, 8, 8), levels=17, classes=tuple(map(str, range(10))))
    # Nothing random but the latents.
    parts = {
        "encoder": {"name": "mlp", "hidden": [8]},
        "decoder": {"name": "bernoulli", "binarize": "threshold"},
    }
    spec = compose(recipe, components={**parts, **components}, latent=latent, condition=condition)
    return assemble(spec, info, seed=seed)


# Active units


def test_active_units_are_the_variances_of_the_means():
    model, split = linear_model(np.diag([1.0, 0.05, 0.2])), normals(2000, 3)
    row = evaluate(model, split, "active-units")["active_units"]
    exact = split.batch.x.double().var(0) * torch.tensor([1.0, 0.05, 0.2]).double() ** 2
    assert row.details["variances"] == pytest.approx(exact.tolist(), rel=1e-5)
    assert (row.value, row.standard_error, row.n) == (2, 0, 2000)
    assert (row.details["of"], row.details["units"]) == (3, ["0", "2"])
    assert evaluate(model, split, "active-units[0.001]")["active_units"].value == 3


def test_error_of_active_units_is_their_spread_over_other_examples():
    model = linear_model(np.eye(8) * 0.1)
    rows = [evaluate(model, normals(150, 8, seed), "active-units")["active_units"] for seed in range(60)]
    spread = np.std([row.value for row in rows], ddof=1)
    assert 0.7 < np.mean([row.standard_error for row in rows]) / spread < 1.5


def test_units_without_a_formula_for_the_mean_are_not_active_by_chance():
    flow = {"name": "flow", "kind": "planar", "transforms": 1}
    model = linear_model([[0.5], [0.0]], posterior=flow, divergence="kl-mc")
    row = evaluate(model, normals(1000), "active-units")["active_units"]
    first, second = row.details["variances"]
    assert first == pytest.approx(0.25 * normals(1000).batch.x.var().item(), rel=0.05)
    assert abs(second) < 0.005
    assert row.value == 1


def test_units_of_classes_maps_and_products():
    assert [
        (u.label, u.start, u.size) for u in digits_model("categorical-vae", latent=(3, 4)).space.units
    ] == [
        ("0", 0, 4),
        ("1", 4, 4),
        ("2", 8, 4),
    ]
    assert [u.label for u in digits_model("vae", latent=(2, 3, 3)).space.units][8:11] == [
        "0,2,2",
        "1,0,0",
        "1,0,1",
    ]
    joint = digits_model("joint-vae")
    assert [(u.label, u.start, u.size) for u in joint.space.units][9:] == [
        ("0.9", 9, 1),
        ("1.0", 10, 10),
    ]


def test_categorical_units_add_up_the_variances_of_their_probabilities():
    model, split = digits_model("categorical-vae", latent=(3, 4)), digits()
    row = evaluate(model, split, "active-units")["active_units"]
    probabilities = Subject(model, split).codes().means.double()
    assert row.details["variances"] == pytest.approx(probabilities.var(0).sum(1).tolist(), rel=0.2)
    assert len(row.details["variances"]) == 3


# Rates


def test_rates_by_hand_and_their_sum():
    model, split = linear_model([[1.0, 0.0], [0.3, 0.0], [0.0, 0.0]], scale=0.5), normals(300, 2)
    result = evaluate(model, split, ["elbo", "rates"])
    loc = split.batch.x.double() @ torch.tensor([[1.0, 0.3, 0.0], [0.0, 0.0, 0.0]]).double()
    by_hand = 0.5 * (loc.square() + 0.25 - 1) - math.log(0.5)
    for d in range(3):
        row = result[f"rate[{d}]"]
        assert row.value == pytest.approx(by_hand[:, d].mean().item(), rel=1e-5)
        assert row.standard_error == pytest.approx(
            (by_hand[:, d].std() / 300**0.5).item(), rel=1e-3, abs=1e-7
        )
    assert result["rate[total]"].value == pytest.approx(result["rate"].value, rel=1e-6)
    assert sum(result["rate[total]"].details["rates"]) == pytest.approx(result["rate"].value, rel=1e-6)


@pytest.mark.parametrize(
    ("recipe", "options", "rows"),
    [
        ("vae", {"latent": (2, 3, 3)}, ["0", "1"]),
        ("vae", {"latent": 2, "posterior": "laplace", "divergence": "kl-mc"}, ["0", "1"]),
        ("categorical-vae", {"latent": (3, 4)}, ["0", "1", "2"]),
        ("cvae", {"latent": 2, "condition": "label"}, ["0", "1"]),
        ("joint-vae", {}, [*(f"0.{i}" for i in range(10)), "1.0"]),
    ],
)
def test_rates_add_up_to_the_total(recipe, options, rows):
    result = evaluate(digits_model(recipe, **options), digits(), ["elbo[10]", "rates[10]"])
    names = [row.name for row in result.rows if row.name.startswith("rate[")]
    parts = [name for name in names if name.startswith("rate[part ")]
    assert [name for name in names if name not in parts] == ["rate[total]", *(f"rate[{r}]" for r in rows)]
    if parts:
        assert sum(result[name].value for name in parts) == pytest.approx(
            result["rate[total]"].value, rel=1e-9
        )
    total = result["rate[total]"]
    assert sum(result[f"rate[{r}]"].value for r in rows) == pytest.approx(total.value, rel=1e-9)
    # The estimates have other draws.
    exact = options.get("divergence") != "kl-mc"
    assert total.value == pytest.approx(result["rate"].value, rel=1e-5 if exact else 0.3, abs=1e-6)


def test_parts_of_a_product_that_do_not_fall_apart_are_one_row():
    parts = {
        "posterior": {"name": "product", "parts": ["normal:2", "power-spherical:3"]},
        "prior": {"name": "product", "parts": ["normal:2", "uniform-sphere:3"]},
    }
    result = evaluate(digits_model("vae", latent=5, **parts), digits(), "rates")
    parts, rows = result.rows[1:3], result.rows[3:]
    assert [row.name for row in parts] == ["rate[part 0]", "rate[part 1]"]
    assert [row.name for row in rows] == ["rate[0.0]", "rate[0.1]", "rate[1.all]"]
    assert "PowerSpherical" in result.undefined["rate of each latent"]
    for each in (parts, rows):
        assert sum(row.value for row in each) == pytest.approx(result["rate[total]"].value)


@pytest.mark.parametrize(
    "options",
    [
        {"posterior": "normal-full"},
        {"posterior": "flow", "divergence": "kl-mc"},
        {"prior": {"name": "vamp", "components": 3}, "divergence": "kl-mc"},
        {"posterior": "vmf", "prior": "uniform-sphere"},
    ],
)
def test_rates_that_do_not_add_up_have_a_total_and_a_reason(options):
    result = evaluate(digits_model("vae", latent=3, **options), digits(), ["elbo[50]", "rates[50]"])
    assert [row.name for row in result.rows if row.name.startswith("rate[")] == ["rate[total]"]
    assert "independent of each other" in result.undefined["rate of each latent"]
    assert result["rate[total]"].value == pytest.approx(result["rate"].value, abs=0.15)


# Mutual information and the aggregate posterior


@pytest.mark.parametrize("divergence", ["kl", "kl-mc"])
def test_no_information_where_all_posteriors_are_alike(divergence):
    flow = (
        {}
        if divergence == "kl"
        else {"posterior": {"name": "flow", "kind": "householder"}, "divergence": divergence}
    )
    model, split = linear_model([[0.0], [0.0]], 0.7, **flow), normals(1200)
    result = evaluate(model, split, ["mutual-information", "aggregate-kl"])
    assert result["mutual_information"].value == pytest.approx(0, abs=2e-5)
    assert result["mutual_information"].details["upper"] == pytest.approx(0, abs=2e-5)
    rate = 2 * (0.5 * (0.49 - 1) - math.log(0.7))
    row = result["aggregate_kl"]
    assert abs(row.value - rate) < 4.5 * row.standard_error
    assert row.details["rate"] == pytest.approx(row.value, abs=2e-5)


def test_separate_posteriors_tell_all_examples_apart():
    split = TensorSplit(Batch(torch.arange(700.0)[:, None]))
    result = evaluate(linear_model([[100.0]], 0.01), split, "mutual-information")
    row = result["mutual_information"]
    assert row.value == pytest.approx(math.log(700), abs=1e-9)
    assert row.details["cap"] == pytest.approx(math.log(700))
    assert row.details["upper"] > 1e6
    assert "700 examples are too few" in result.warnings[0]


def test_mutual_information_of_two_normals_by_quadrature():
    """Half of the examples at each of two places: the information about which it is of, plus none about the rest."""
    split = TensorSplit(Batch(torch.tensor([-1.0, 1.0]).repeat(2000)[:, None]))
    row = evaluate(linear_model([[0.8]], 0.6), split, "mutual-information")["mutual_information"]

    def integrand(z):
        q, mixture = (
            stats.norm.pdf(z, 0.8, 0.6),
            0.5 * (stats.norm.pdf(z, 0.8, 0.6) + stats.norm.pdf(z, -0.8, 0.6)),
        )
        return q * np.log(q / mixture)

    exact = integrate.quad(integrand, -4, 6)[0]
    assert abs(row.value - exact) < 4 * row.standard_error
    assert row.standard_error < 0.01


def test_linear_gaussian_information_and_aggregate_are_bracketed():
    """``z ~ N(0, a² + s²)`` in each dimension: both have closed forms, for the data that the examples are of."""
    a, s, n = 0.9, 0.5, 3000
    result = evaluate(linear_model(np.eye(2) * a, s), normals(n, 2), ["mutual-information", "aggregate-kl"])
    information = 2 * 0.5 * math.log(1 + a**2 / s**2)
    divergence = 2 * (0.5 * (a**2 + s**2 - 1) - 0.5 * math.log(a**2 + s**2))
    row, marginal = result["mutual_information"], result["aggregate_kl"]
    assert row.value - 4 * row.standard_error < information < row.details["upper"] + 4 * row.standard_error
    assert row.details["upper"] - row.value < 0.03
    assert abs(row.value - information) < 4 * row.standard_error + 0.02
    error = 4 * marginal.standard_error
    assert marginal.details["lower"] - error < divergence < marginal.value + error
    assert marginal.details["rate"] == pytest.approx(marginal.value + row.value, abs=1e-9)
    assert result.warnings == ()


def test_error_of_mutual_information_is_its_spread_over_other_examples():
    model = linear_model([[1.0]], 0.5)
    rows = [
        evaluate(model, normals(200, 1, seed), "mutual-information", seed=seed)["mutual_information"]
        for seed in range(60)
    ]
    spread = np.std([row.value for row in rows], ddof=1)
    assert 0.75 < np.mean([row.standard_error for row in rows]) / spread < 1.4


def test_information_of_classes_is_a_difference_of_entropies():
    model, split = digits_model("categorical-vae", latent=(1, 6)), digits(400)
    with torch.no_grad():
        model.posterior.head.weight.mul_(20)
    result = evaluate(model, split, ["mutual-information", "codebook"])
    row = result["mutual_information"]
    exact = result["codebook_perplexity"].details["information"][0]
    assert exact > 0.05
    assert abs(row.value - exact) < 4 * row.standard_error + 0.01


POSTERIORS = {
    "normal": {},
    "normal-full": {"posterior": "normal-full"},
    "normal-lowrank": {"posterior": "normal-lowrank"},
    "laplace": {"posterior": "laplace", "divergence": "kl-mc"},
    "planar": {"posterior": {"name": "flow", "kind": "planar"}, "divergence": "kl-mc"},
    "iaf": {"posterior": {"name": "flow", "kind": "iaf"}, "divergence": "kl-mc"},
    "nsf": {"posterior": {"name": "flow", "kind": "nsf"}, "divergence": "kl-mc"},
    "power-spherical": {"posterior": "power-spherical", "prior": "uniform-sphere"},
    "vmf": {"posterior": "vmf", "prior": "uniform-sphere"},
    "wrapped-normal": {"posterior": "wrapped-normal", "prior": "wrapped-normal", "divergence": "kl-mc"},
    "gamma": {"posterior": "gamma", "prior": "gamma"},
    "logistic-normal": {"posterior": "logistic-normal", "prior": "logistic-normal"},
    "relaxed": {"posterior": "relaxed-categorical", "prior": "relaxed-categorical", "divergence": "kl-mc"},
    "bits": {"posterior": {"name": "relaxed-bernoulli", "straight_through": True}, "prior": "bernoulli"},
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "nsf")) for name in POSTERIORS]
)
def test_every_pair_of_draw_and_posterior(name):
    """All at once as one by one, and the metrics of the aggregate hold together."""
    model, split = digits_model("vae", latent=3, **POSTERIORS[name]), digits(12)
    with torch.no_grad():
        x = split.batch.x.float() / 16
        q = model.encode(x)
        z = q.sample().clone()
        pairs = pairwise_log_prob(q, z)
        singles = torch.stack([model.encode(x[j : j + 1]).log_prob(z) for j in range(12)], 1)
    torch.testing.assert_close(pairs, singles.double(), rtol=1e-3, atol=1e-3)
    result = evaluate(model, split, ["mutual-information", "aggregate-kl", "active-units", "collapse"])
    information, marginal = result["mutual_information"], result["aggregate_kl"]
    error = 4 * information.standard_error + 1e-6
    assert -error < information.value < math.log(12) + 1e-6
    assert information.value < information.details["upper"] + error
    assert marginal.details["rate"] == pytest.approx(information.value + marginal.value, abs=1e-6)
    assert 0 <= result["active_units"].value <= result["active_units"].details["of"]


def test_pieces_make_no_difference_and_a_subset_is_of_its_size(monkeypatch):
    model, split = linear_model([[0.5]], 0.7), normals(1100)
    whole = aggregate(Subject(model, split), "a")
    monkeypatch.setattr(aggregates, "_PAIRS", 37 * 500)
    pieces = aggregate(Subject(model, split), "a")
    torch.testing.assert_close(whole.all, pieces.all, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(whole.others, pieces.others, rtol=1e-12, atol=1e-12)
    few = evaluate(model, split, "mutual-information[100]")["mutual_information"]
    assert (few.n, few.details["cap"]) == (100, math.log(100))
    assert len(few.examples) == 100


def test_aggregate_of_a_conditional_prior_is_over_the_conditions_too():
    """A prior at two places and posteriors that equal it: the marginal KL is zero."""
    model, split = digits_model("cvae", latent=1, condition="label"), digits(600)
    with torch.no_grad():
        model.prior.layers[-1].weight.zero_()
        model.prior.layers[-1].weight[0] = torch.arange(10) * 0.5
        head = model.posterior.head
        for parameter in (*model.encoder.parameters(), *head.parameters()):
            parameter.zero_()
    result = evaluate(model, split, ["aggregate-kl", "mutual-information"])
    prior = stats.norm(loc=np.arange(10) * 0.5, scale=1)

    def integrand(z):
        mixture = prior.pdf(z).mean()
        return stats.norm.pdf(z) * np.log(stats.norm.pdf(z) / mixture)

    row = result["aggregate_kl"]
    assert abs(row.value - integrate.quad(integrand, -6, 6)[0]) < 4 * row.standard_error
    assert result["mutual_information"].value == pytest.approx(0, abs=1e-6)


# Codebook


def classes_model(logits):
    """Classes by a table: example k has the logits in row k."""
    logits = torch.as_tensor(logits).float()
    rows, classes = logits.shape
    info = DataInfo((rows,), low=-math.inf, high=math.inf)
    parts = {"encoder": "identity", "network": "linear", "decoder": "gaussian"}
    model = assemble(compose("categorical-vae", components=parts, latent=(1, classes)), info)
    with torch.no_grad():
        model.posterior.head.weight.copy_(logits.T)
        model.posterior.head.bias.zero_()
    return model


def test_perplexity_and_dead_codes_by_hand():
    sure = torch.full((3, 4), -1e4)
    sure[0, 0] = sure[1, 1] = sure[2, 1] = 1e4
    split = TensorSplit(Batch(torch.eye(3)[[0, 1, 2, 1]]))
    result = evaluate(classes_model(sure), split, "codebook")
    row = result["codebook_perplexity"]
    assert row.value == pytest.approx(math.exp(-0.25 * math.log(0.25) - 0.75 * math.log(0.75)))
    assert row.details["information"] == pytest.approx([math.log(row.value)])
    assert result["dead_codes"].value == 2
    assert result["dead_codes"].details == {"of": 4, "codes": [[2, 3]]}
    even = evaluate(classes_model(torch.zeros(3, 4)), split, "codebook")
    assert even["codebook_perplexity"].value == pytest.approx(4)
    assert even["codebook_perplexity"].details["information"] == pytest.approx([0], abs=1e-7)
    assert even["dead_codes"].value == 0


def test_dead_is_relative_to_even_use():
    sure = torch.full((2, 4), -1e4)
    sure[0, 0] = sure[1, 1] = 1e4
    split = TensorSplit(Batch(torch.eye(2)[[1, *[0] * 49]]))
    row = evaluate(classes_model(sure), split, "codebook[0.05]")["dead_codes"]
    assert row.details["codes"] == [[2, 3]]
    # The rare class is not among 36 % of the resampled examples.
    assert row.standard_error == pytest.approx(0.48, abs=0.08)


def test_error_of_perplexity_is_its_spread_over_other_examples():
    model = classes_model(torch.tensor([[3.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 2, -3]]))
    rows = []
    for seed in range(100):
        drawn = torch.randint(3, (150,), generator=torch.Generator().manual_seed(seed))
        rows.append(
            evaluate(model, TensorSplit(Batch(torch.eye(3)[drawn])), "codebook")["codebook_perplexity"]
        )
    spread = np.std([row.value for row in rows], ddof=1)
    assert 0.75 < np.mean([row.standard_error for row in rows]) / spread < 1.35


@pytest.mark.parametrize(
    ("recipe", "options", "classes"),
    [
        ("vae", POSTERIORS["bits"], [2, 2, 2]),
        ("vae", POSTERIORS["relaxed"], [3]),
        ("joint-vae", {"latent": None}, [10]),
    ],
)
def test_codebooks_of_other_discrete_latents(recipe, options, classes):
    result = evaluate(digits_model(recipe, **{"latent": 3, **options}), digits(), "codebook")
    assert result["codebook_perplexity"].details["classes"] == classes
    assert 1 <= result["codebook_perplexity"].value <= np.mean(classes) + 1e-6


# Collapse


def advised(model, advice):
    """Settings on the command line that an advice names."""
    found = re.findall(r"-s (?:'([^']+)'|([^\s),;]+))", advice)
    settings = dict((quoted or bare).split("=", 1) for quoted, bare in found)
    spec = model.spec
    for kind, name in re.findall(r"--(objective|divergence) ([\w-]+)", advice):
        spec = spec.with_component(kind, name)
    for path, value in settings.items():
        together = {"objective.free_bits_group": "all"} if "free_bits_group" in advice else {}
        assemble(spec.with_options({**together, path: Text(value)}), model.data)
    return settings


def test_collapsed_posterior_is_diagnosed():
    model = linear_model(np.zeros((4, 2)))
    result = evaluate(model, normals(100, 2), "collapse")
    row = result["collapsed_units"]
    assert (row.value, row.standard_error, row.details["of"]) == (4, 0, 4)
    assert row.details["diagnosis"] == "posterior collapse"
    (advice,) = result.warnings
    assert set(advised(model, advice)) == {"objective.beta", "objective.free_bits", "decoder.scale"}
    assert "0->1 over 50%" in advice


@pytest.mark.parametrize(
    ("recipe", "options", "wanted"),
    [
        ("joint-vae", {}, {"objective.capacity"}),
        ("s-vae", {}, {"objective.beta", "objective.free_bits", "objective.free_bits_group"}),
        ("categorical-vae", {}, {"objective.beta", "objective.free_bits"}),
        ("iwae", {}, {"objective.beta"}),
        (
            "vae",
            {"objective": {"name": "elbo", "beta": 20.0, "free_bits": 0.1}},
            {"objective.beta", "objective.free_bits"},
        ),
    ],
)
def test_advice_can_be_typed(recipe, options, wanted):
    model = digits_model(recipe, **options)
    with torch.no_grad():
        for parameter in (*model.posterior.parameters(), *model.prior.parameters()):
            parameter.zero_()
            parameter.sub_(3.0 if recipe == "s-vae" and parameter.dim() == 1 else 0.0)
    result = evaluate(model, digits(), {"name": "collapse", "rate": 0.1})
    assert result["collapsed_units"].details["diagnosis"] == "posterior collapse"
    (advice,) = result.warnings
    assert set(advised(model, advice)) == wanted
    assert ("--objective elbo" in advice) == (recipe == "iwae")


def test_healthy_latents_are_left_alone():
    a = math.sqrt(0.75)
    result = evaluate(linear_model(np.eye(3) * a, 0.5), normals(300, 3), "collapse")
    assert result["collapsed_units"].details["diagnosis"] == "healthy"
    assert result["collapsed_units"].value == 0
    assert result.warnings == ()


@pytest.mark.parametrize(
    ("weights", "scale", "shift", "diagnosis"),
    [
        (np.diag([1.0, 0, 0]) * math.sqrt(0.75), (0.5, 1.0, 1.0), 0.0, ["partial collapse"]),
        (np.eye(3) * 0.3, (0.95, 0.95, 0.95), 0.0, ["little information"]),
        (np.eye(3), (0.003, 0.003, 0.003), 0.0, ["collapse of the variance"]),
        (np.eye(3) * math.sqrt(0.75), (0.5, 0.5, 0.5), 1.5, ["codes far from the prior"]),
        (np.diag([1.0, 1.0, 0]) * math.sqrt(0.75), (0.5, 0.5, 0.7), 0.0, ["rate without information"]),
    ],
)
def test_other_diagnoses(weights, scale, shift, diagnosis):
    model = linear_model(weights)
    with torch.no_grad():
        model.posterior.head.bias[3:] = torch.tensor([unbounded(math.log(each)) for each in scale])
        model.posterior.head.bias[:3] = shift
    result = evaluate(model, normals(400, 3), "collapse")
    assert result["collapsed_units"].details["diagnosis"].split(", ") == diagnosis
    for advice in result.warnings:
        assert advised(model, advice)


def test_dead_codes_are_diagnosed():
    result = evaluate(
        classes_model(torch.tensor([[50.0, 0, 0], [0, 50, 0]])),
        TensorSplit(Batch(torch.eye(2).repeat(9, 1))),
        "collapse",
    )
    assert result["collapsed_units"].details["diagnosis"] == "dead codes"
    assert "1 classes of 1 of 1" in result.warnings[0]


# Models that have none of it


@pytest.mark.parametrize(
    "metric", ["active-units", "rates", "mutual-information", "aggregate-kl", "codebook", "collapse"]
)
def test_autoencoder_has_reasons_instead_of_numbers(metric):
    result = evaluate(digits_model("autoencoder", latent=3), digits(), metric)
    assert result.rows == ()
    assert len(result.undefined[metric]) > 10


def test_one_example_is_too_few():
    names = ["active-units", "mutual-information", "aggregate-kl", "collapse"]
    result = evaluate(linear_model([[1.0]]), normals(1), [*names, "rates"])
    assert set(result.undefined) == set(names)
    assert result["rate[0]"].value == result["rate[total]"].value
    assert (
        evaluate(digits_model("categorical-vae", latent=(2, 3)), digits(1), "codebook")["dead_codes"].n == 1
    )


def test_same_numbers_whatever_else_is_measured():
    model, split = digits_model("vae", latent=3), digits()
    names = ["active-units", "rates", "mutual-information", "aggregate-kl", "collapse"]
    together = evaluate(model, split, names, seed=3)
    for name in names:
        for row in evaluate(model, split, name, seed=3).rows:
            assert together[row.name] == row


@pytest.mark.parametrize("heads", [1, 2])
def test_codes_that_places_share_are_counted_together(heads):
    """By hand: the codes of all places of a codebook in one list."""
    model = digits_model(
        "vae", latent=(5, 4), prior="categorical", posterior={"name": "vq", "codes": 6, "heads": heads}
    )
    split = digits(40)
    found = evaluate(model, split, "codebook[0.5]")["codes_in_use"]
    with torch.no_grad():
        codes = model.encode(model.observe(split.batch.x)).codes.reshape(-1, heads)
    counts = [torch.bincount(codes[:, i], minlength=6).double() / len(codes) for i in range(heads)]
    assert found.value == sum(int((6 * share >= 0.5).sum()) for share in counts)
    assert found.details["of"] == 6 * heads
    assert found.details["perplexities"] == pytest.approx(
        [torch.special.entr(p).sum().exp().item() for p in counts]
    )


def test_codes_of_one_place_have_no_row_of_their_own():
    model = digits_model("vae", latent=(1, 4), prior="categorical", posterior={"name": "vq", "codes": 6})
    assert [row.name for row in evaluate(model, digits(8), "codebook").rows] == [
        "codebook_perplexity",
        "dead_codes",
    ]
