"""Importance-weighted bounds: the truth where it is known, and nothing that depends on how it is computed."""

import math

import pytest
import torch

from genmod import Batch, DataInfo, TensorSplit, build, compose, evaluate
from genmod.model.assembly import assemble
from genmod.model.importance import LogMeanExp, importance_bounds
from genmod.plugins.decoders import bernoulli
from genmod.plugins.decoders.bernoulli import BinaryValues
from genmod.system.memory import bytes_per_row


def split_of(x):
    return TensorSplit(Batch(x, labels=torch.arange(len(x)) % 2))


def test_every_draw_of_the_exact_posterior_has_the_weight_of_the_truth(models):
    model = models.linear()
    models.make_exact(model)
    x = models.drawn(model)
    result = evaluate(model, split_of(x), "nll[1,2,70]")
    for samples in (1, 2, 70):
        row = result[f"nll[{samples}]"]
        assert (row.examples + models.truth(model, x)).abs().max() < 1e-10
        assert row.details["effective_samples"] == pytest.approx(samples, rel=1e-9)
        assert row.details["samples"] == samples
    assert result["nll[70]"].details["error_of_draws"] < 1e-6


def test_bound_falls_with_the_number_of_draws_and_stays_above_the_truth(models):
    """Of a posterior that is not the exact one; paired over examples and seeds, 3 standard errors."""
    model = models.linear()
    models.make_exact(model)
    with torch.no_grad():
        model.posterior.head.bias[:3] += 0.3
    x = models.drawn(model, 60)
    found = [evaluate(model, split_of(x), "nll[1,10,100,1000]", seed=seed) for seed in range(4)]
    values = [torch.cat([r[f"nll[{k}]"].examples for r in found]) for k in (1, 10, 100, 1000)]
    values.append(-models.truth(model, x).repeat(4))
    for more, fewer in zip(values[1:], values, strict=False):
        drop = fewer - more
        assert drop.mean() > -3 * drop.std() / len(drop) ** 0.5
    assert (values[0] - values[-1]).mean() > 0.3
    assert (values[-2] - values[-1]).mean().abs() < 0.05


def test_error_of_draws_is_that_over_seeds(models):
    model = models.linear()
    models.make_exact(model)
    with torch.no_grad():
        model.posterior.head.bias[:3] += 0.2
    x = models.drawn(model, 10)
    rows = [evaluate(model, split_of(x), "nll[300]", seed=seed)["nll[300]"] for seed in range(40)]
    seen = torch.tensor([row.value for row in rows]).std().item()
    said = sum(row.details["error_of_draws"] for row in rows) / len(rows)
    assert said == pytest.approx(seen, rel=0.4)


CASES = {
    "continuous": (
        (5,),
        {"low": -math.inf, "high": math.inf},
        {"decoder": {"name": "gaussian", "scale": 0.5}},
    ),
    "binary": ((1, 4, 4), {"levels": 256}, {"decoder": {"name": "bernoulli", "binarize": "dynamic"}}),
    "levels": ((1, 4, 4), {"levels": 9}, {"decoder": {"name": "gaussian", "scale": 0.5}}),
    "missing": ((5,), {"levels": 2, "missing": True}, {"decoder": "bernoulli"}),
    "flow": ((5,), {"levels": 2}, {"posterior": {"name": "flow", "kind": "iaf"}, "divergence": "kl-mc"}),
    "relaxed": (
        (5,),
        {"levels": 2},
        {"posterior": "relaxed-categorical", "prior": "relaxed-categorical", "divergence": "kl-mc"},
    ),
    "sphere": ((5,), {"levels": 2}, {"posterior": "power-spherical", "prior": "uniform-sphere"}),
    "vamp": ((5,), {"levels": 2}, {"prior": {"name": "vamp", "components": 4}, "divergence": "kl-mc"}),
    "conditional": ((5,), {"levels": 2, "classes": ("a", "b")}, {"prior": "conditional"}),
}


def case(name, n=30):
    shape, info, components = CASES[name]
    data = DataInfo(shape, **info)
    condition = ("label",) if name == "conditional" else ()
    spec = compose(
        components={"encoder": {"name": "mlp", "hidden": [7]}, "decoder": "bernoulli", **components},
        latent=3,
        condition=condition,
    )
    model = assemble(spec, data).double().eval()
    generator = torch.Generator().manual_seed(0)
    if data.levels is None:
        x = torch.randn(n, *shape, generator=generator)
    else:
        x = torch.randint(data.levels, (n, *shape), generator=generator, dtype=torch.uint8)
    if data.missing:
        x = torch.where(torch.rand(n, *shape, generator=generator) < 0.3, torch.nan, x.double())
    return model, split_of(x)


@pytest.mark.parametrize("name", CASES)
def test_any_model_and_any_memory_give_the_same_numbers(name, monkeypatch):
    """In double precision, to 1e-9: draws are made in blocks of fixed size, whatever is decoded at a time."""
    monkeypatch.setattr("genmod.model.importance._VALUES", 300)
    model, split = case(name)
    once = evaluate(model, split, "nll[1,40]")
    monkeypatch.setattr("genmod.plugins.metrics.nll.latents_that_fit", lambda *arguments: 7)
    again = evaluate(model, split, "nll[1,40]")
    assert [row.name for row in again.rows] == [row.name for row in once.rows]
    for row, other in zip(once.rows, again.rows, strict=True):
        assert row.examples.isfinite().all()
        assert (row.examples - other.examples).abs().max() < 1e-9
    assert evaluate(model, split, "nll[1,40]", seed=1)["nll[40]"] != once["nll[40]"]


def test_agrees_with_one_big_draw():
    model, split = case("continuous", 12)
    with torch.no_grad():
        weights = model.log_weights(model.observe(split.batch.x), 20_000)
        plain = weights.logsumexp(0) - math.log(len(weights))
    row = evaluate(model, split, "nll[20000]")["nll[20000]"]
    assert abs(row.value + plain.mean().item()) < 4 * 2**0.5 * row.details["error_of_draws"]
    assert row.details["effective_samples"] == pytest.approx(
        (2 * weights.logsumexp(0) - (2 * weights).logsumexp(0)).exp().mean().item(), rel=0.1
    )


def test_examples_are_made_binary_once():
    """With one decoder output of ½ everywhere each binary image has the same likelihood; with another, the mean over
    images made anew for each block would differ from that of any one image."""
    model, split = case("binary", 3)
    with torch.no_grad():
        for parameter in (*model.posterior.parameters(), *model.network.parameters()):
            parameter.zero_()
        model.network.layers[-1].bias.fill_(2.0)
    found = evaluate(model, split, "nll[3000]")["nll[3000]"].examples
    # log p = n₁ log σ(2) + n₀ log σ(-2): a whole number of ones, and the same at each of the 3,000 draws.
    ones = (-found + 16 * math.log1p(math.exp(2))) / 2
    assert (ones - ones.round()).abs().max() < 1e-9


def test_what_is_said_of_levels():
    model, split = case("levels")
    result = evaluate(model, split, "nll[50]")
    nll, bits = result["nll[50]"], result["bits_per_dim[50]"]
    assert "bare levels" in nll.details["dequantisation"]
    assert "uniform" in bits.details["dequantisation"]
    assert nll.details["bits_per_dim"] == bits.value
    # Not a unit conversion of the density at the bare levels.
    assert bits.value != pytest.approx(nll.value / (16 * math.log(2)) + 3, abs=1e-6)
    model, split = case("binary")
    result = evaluate(model, split, "nll[50]")
    assert result["bits_per_dim[50]"].value == pytest.approx(result["nll[50]"].value / (16 * math.log(2)))
    assert result["nll[50]"].details["dequantisation"] == "none: probabilities"


def test_uniform_model_of_levels_has_the_bits_of_its_levels():
    """A decoder that spreads 8 levels evenly: 3 bits for each value, whatever the data."""
    data = DataInfo((4,), low=0.0, high=1.0, levels=8)
    spec = compose(components={"encoder": {"name": "mlp", "hidden": [3]}, "decoder": "categorical"}, latent=2)
    model = assemble(spec, data).double()
    with torch.no_grad():
        for parameter in (*model.posterior.parameters(), *model.network.parameters()):
            parameter.zero_()
    split = split_of(torch.randint(8, (9, 4), dtype=torch.uint8))
    assert evaluate(model, split, "nll[5]")["bits_per_dim[5]"].value == pytest.approx(3.0)


@pytest.mark.parametrize("metric", ["nll", "ais", "bdmc", "exact"])
def test_models_without_a_likelihood_are_refused(metric):
    split = split_of(torch.rand(3, 5))
    info, hidden = DataInfo((5,)), {"name": "mlp", "hidden": [3]}
    soft = compose(
        components={"encoder": hidden, "decoder": {"name": "bernoulli", "binarize": "none"}}, latent=2
    )
    assert "bernoulli" in evaluate(assemble(soft, info), split, metric).undefined[metric]
    plain = compose("autoencoder", components={"encoder": hidden}, latent=2)
    assert "delta" in evaluate(assemble(plain, info), split, metric).undefined[metric]


def test_bound_that_rests_on_few_draws_is_said_to(models):
    model = models.linear(size=30.0)
    split = models.split_of(models.drawn(model, 5))
    (warning,) = evaluate(model, split, "nll[1,100]").warnings
    assert warning.startswith("nll[100] rests on 1.")
    models.make_exact(model)
    assert evaluate(model, split, "nll[1,100]").warnings == ()


@pytest.mark.parametrize("name", ["binary", "conditional"])
@pytest.mark.parametrize(
    "metric", [{"name": "iwae", "samples": [4]}, {"name": "ais", "steps": 2, "chains": 2}]
)
def test_few_examples_only_where_so_asked(name, metric):
    model, split = case(name)
    row = evaluate(model, split, {**metric, "examples": 11}).rows[0]
    assert (row.n, len(row.examples)) == (11, 11)


def test_running_mean_is_that_of_all_weights():
    """Also with weights of nothing, and ones that no exponential holds."""
    weights = 300 * torch.randn(1000, 4, dtype=torch.float64)
    weights[::2, 1] = -math.inf
    running = LogMeanExp(4)
    for block in weights.split([1, 9, 490, 500]):
        running.add(block)
    exact = weights.logsumexp(0) - math.log(1000)
    assert (running.value - exact).abs().max() < 1e-9
    assert (
        running.effective - (2 * weights.logsumexp(0) - (2 * weights).logsumexp(0)).exp()
    ).abs().max() < 1e-9
    nothing = LogMeanExp(1)
    nothing.add(torch.full((3, 1), -math.inf))
    assert nothing.value.item() == -math.inf
    assert nothing.effective.item() == 0


def test_single_precision_weights_are_summed_in_double():
    weights = torch.full((100_000, 1), -90.0) + torch.linspace(0, 1, 100_000)[:, None]
    running = LogMeanExp(1)
    for block in weights.split(10):
        running.add(block)
    exact = weights.double().logsumexp(0) - math.log(100_000)
    assert (running.value - exact).abs().item() < 1e-9


def test_memory_of_a_row_is_that_of_its_largest_tensor():
    model = build(encoder={"name": "mlp", "hidden": [32]}, latent=4)
    x = torch.zeros(1, 1, 8, 8)
    found = bytes_per_row(lambda rows: model.decode(torch.zeros(rows, 1, 4)).log_prob(x))
    # 64 pixels in single precision, four tensors at a time; the weights are left out.
    assert found == 4 * 64 * 4


def test_memory_of_a_row_is_not_misled_by_what_is_computed_once():
    weights, kept = torch.zeros(1000, 10), []

    def compute(rows):
        if not kept:
            kept.append(weights.exp())
        return torch.zeros(rows, 10) @ kept[0].T

    assert bytes_per_row(compute) == 4 * 1000 * 4


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "bar"), [(torch.float32, 3e-6), (torch.float64, 1e-14)])
@pytest.mark.parametrize("size", [1.0, 20.0, 1e4])
def test_binary_values_against_double_precision(dtype, bar, size):
    """Also where nearly all is right and nothing may cancel, with sizes of data that have no divisors."""
    for dims in (784, 787, 1, 121):
        logits = (torch.randn(5, 3, dims, dtype=torch.float64) * size).to(dtype)
        x = (torch.rand(3, dims) < logits[0].sigmoid()).to(dtype)
        exact = torch.nn.functional.logsigmoid((2 * x.double() - 1) * logits.double()).sum(-1)
        found = BinaryValues(logits, 1).log_prob(x)
        assert found.shape == (5, 3)
        assert ((found - exact).abs() <= bar * (exact.abs() + 0.05 * dims**0.5)).all()


def test_binary_values_with_and_without_gradients():
    logits = torch.randn(4, 3, 2, 5, requires_grad=True)
    x = (torch.rand(3, 2, 5) < 0.5).float()
    p = BinaryValues(logits, 2)
    with torch.no_grad():
        fast = p.log_prob(x)
    assert torch.allclose(p.log_prob(x), fast, atol=1e-5)
    (slope,) = torch.autograd.grad(p.log_prob(x).sum(), logits)
    assert torch.allclose(slope, x - logits.sigmoid(), atol=1e-6)
    wider = p.expand(torch.Size((2, 4, 3)))
    assert (wider.batch_shape, wider.sample().shape) == ((2, 4, 3), (2, 4, 3, 2, 5))
    assert torch.allclose(wider.log_prob(x)[1], fast, atol=1e-5)


def test_blocks_end_at_every_count(models):
    model = models.linear()
    models.make_exact(model)
    sizes = []
    given = model.posterior.forward

    def noting(features):
        q = given(features)
        rsample = q.rsample
        q.rsample = lambda shape: (sizes.append(shape[0]), rsample(shape))[1]
        return q

    model.posterior.forward = noting
    with torch.no_grad():
        importance_bounds(model, models.drawn(model, 2), None, [1, 10, 2500], rows=10)
    assert sizes == [1, 9, 1000, 1000, 490]


@pytest.mark.parametrize("scale", [0.1, 5.0, 50.0, 5000.0])
@pytest.mark.parametrize("n", [784, 64, 7])
def test_binary_values_at_logits_of_any_size(n, scale):
    """Also where a product of their probabilities underflows, against torch's cross-entropy in double precision."""
    logits, x = scale * torch.randn(40, n), (torch.rand(n) < 0.3).float()
    each = torch.nn.functional.binary_cross_entropy_with_logits(
        logits.double(), x.double().expand_as(logits), reduction="none"
    )
    found = BinaryValues(logits, 1).log_prob(x)
    torch.testing.assert_close(found.double(), -each.sum(-1), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(
    "shapes", [((40, 1, 6, 4), (6, 4)), ((1, 1, 6, 4), (3, 40, 6, 4)), ((0, 6, 4), (6, 4))]
)
def test_binary_values_are_worked_out_in_pieces(shapes, monkeypatch):
    """The longest dimension of the batch is cut, whichever of the two has it, without a change of a bit."""
    logits, x = torch.randn(shapes[0]), (torch.rand(shapes[1]) < 0.5).float()
    p, seen = BinaryValues(logits, 2), []
    whole = p.log_prob(x)
    monkeypatch.setattr(bernoulli, "_PIECE", 200 // torch.get_num_threads())
    exp = torch.Tensor.exp_
    monkeypatch.setattr(torch.Tensor, "exp_", lambda t: (seen.append(t.numel()), exp(t))[1])
    assert torch.equal(p.log_prob(x), whole)
    assert sum(seen) == whole.numel() * 24
    assert max(seen) <= 400
