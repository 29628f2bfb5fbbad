"""Size factors and dispersions of counts, against scipy and what is known of simulated cells."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import stats

import genmod
from genmod import Batch, DataInfo, Dataset, Factor, TensorSplit, UsageError, compose
from genmod.model.assembly import assemble
from genmod.model.summary import summarize
from genmod.plugins.decoders.negative_binomial import NegativeBinomialDecoder
from genmod.plugins.decoders.poisson import PoissonDecoder
from genmod.plugins.decoders.zero_inflated_negative_binomial import ZeroInflatedNegativeBinomialDecoder
from genmod.training.signals import Interrupted

GENES = 12
INFO = DataInfo((GENES,), high=math.inf, counts=True, factors=(Factor("batch", 2),))
NB, ZINB = "negative-binomial", "zero-inflated-negative-binomial"


def cells(n, seed=0):
    """Cells of three types in two batches, whose depths vary much."""
    rng = np.random.default_rng(seed)
    batch, kind = rng.integers(0, 2, n), rng.integers(0, 3, n)
    logits = np.random.default_rng(99).normal(0, 1.2, (3, GENES))[kind]
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    mean = np.exp(rng.normal(5, 0.8, n))[:, None] * shares
    x = rng.negative_binomial(5.0, 5.0 / (5.0 + mean))
    return Batch(torch.from_numpy(x).float(), torch.from_numpy(kind), torch.from_numpy(batch)[:, None])


def bounded(x, most):
    return x / (1 + (x / most) ** 2) ** 0.5


class Cells(Dataset):
    info = INFO

    def split(self, name):
        sizes = {"train": 600, "validation": 60, "test": 60}
        return TensorSplit(cells(sizes[name], list(sizes).index(name)), INFO)


def built(decoder=NB, own=None, **more):
    parts = {
        "encoder": {"name": "mlp", "hidden": [24], "compress": True},
        "decoder": {"name": decoder, "size_factor": "observed", **(own or {})},
    }
    return assemble(compose(components=parts, latent=3, **more), INFO)


def test_densities_given_a_depth_against_scipy():
    torch.manual_seed(0)
    outputs, x = 2 * torch.randn(7, GENES, dtype=torch.float64), cells(7).x.double()
    depth = torch.linspace(3, 4000, 7, dtype=torch.float64)
    y = bounded(outputs.numpy(), 18)
    shares = np.exp(y) / np.exp(y).sum(1, keepdims=True)
    mean = depth.numpy()[:, None] * shares
    p = PoissonDecoder(INFO, size_factor="observed")(outputs, depth.log())
    np.testing.assert_allclose(p.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(p.mean.sum(1), depth, rtol=1e-12)
    np.testing.assert_allclose(p.log_prob(x), stats.poisson(mean).logpmf(x).sum(1), rtol=1e-10)

    made = NegativeBinomialDecoder(INFO, size_factor="observed", dispersion="per-condition").double()
    made.dispersion.bind(2)
    made.double()
    torch.nn.init.normal_(made.dispersion.value)
    batch = torch.tensor([0, 1, 0, 1, 1, 0, 0])
    r = np.exp(bounded(made.dispersion.value.detach().numpy(), 9))[batch.numpy()]
    onehot = torch.eye(2, dtype=torch.float64)[batch]
    p = made(outputs, exposure=depth.log(), conditions=onehot)
    counted = stats.nbinom(r, r / (r + mean))
    np.testing.assert_allclose(p.log_prob(x).detach(), counted.logpmf(x).sum(1), rtol=1e-10)
    np.testing.assert_allclose(p.variance.detach(), counted.var(), rtol=1e-10)

    both = ZeroInflatedNegativeBinomialDecoder(INFO, size_factor="observed", dispersion="per-value").double()
    logits, log_r = torch.randn(2, 7, GENES, dtype=torch.float64)
    p = both(torch.stack([outputs, logits, log_r], 1), exposure=depth.log())
    r, extra = np.exp(bounded(log_r.numpy(), 9)), 1 / (1 + np.exp(-logits.numpy()))
    counted = np.log(1 - extra) + stats.nbinom(r, r / (r + mean)).logpmf(x)
    expected = np.where(x.numpy() == 0, np.logaddexp(np.log(extra), counted), counted)
    np.testing.assert_allclose(p.log_prob(x), expected.sum(1), rtol=1e-9)


def test_the_shares_of_many_draws_and_latents_belong_to_their_examples():
    model = built(condition="batch", own={"dispersion": "per-condition"}).double()
    torch.nn.init.normal_(model.decoder.dispersion.value)
    batch = cells(5)
    z = torch.randn(4, 5, 3, dtype=torch.float64)
    p = model.given(model.context(batch)).decode(z)
    np.testing.assert_allclose(p.mean.detach().sum(-1), batch.x.double().sum(1).expand(4, 5), rtol=1e-12)
    for k in range(4):
        for i in range(5):
            alone = model.given(model.context(batch[slice(i, i + 1)])).decode(z[k, i])
            torch.testing.assert_close(
                alone.log_prob(batch.x[i].double()), p.log_prob(batch.x.double())[k, i]
            )


def test_what_is_evaluated_is_the_bound_given_the_depth():
    model = built("poisson").double().eval()
    split = TensorSplit(cells(40), INFO)
    result = genmod.evaluate(model, split, ["elbo[400]", "nll[400]"])
    x, draws = split.batch.x.double(), 1000
    with torch.no_grad():
        q = model.encode(x)
        z = q.sample((draws,))
        y = bounded(model.network(z.reshape(-1, 3)).reshape(draws, 40, GENES), 18)
    mean = x.sum(1)[:, None] * y.softmax(-1)
    log_p = stats.poisson(mean.numpy()).logpmf(x.numpy()).sum(-1).mean(0)
    rate = 0.5 * (q.variance + q.mean.square() - 1 - q.variance.log()).sum(1).detach().numpy()
    assert result["elbo"].value == pytest.approx((log_p - rate).mean(), abs=0.5)
    assert -result["nll[400]"].value > result["elbo"].value
    for name in ("elbo", "distortion", "bits_per_dim", "nll[400]"):
        assert result[name].details["given"] == "depth"
        assert "log p(x|l)" in result[name].definition
    assert "given" not in result["rate"].details
    assert "given the depth l of each example" in str(summarize(model))


def test_without_a_depth_nothing_is_scored():
    model = built()
    with pytest.raises(UsageError, match="given the depth of each example, and was given none"):
        model.decode(torch.zeros(2, 3))
    with pytest.raises(UsageError, match="depth"):
        model.log_weights(cells(2).x)
    conditional = built(condition="batch")
    with pytest.raises(UsageError, match="depth"):
        conditional.decode(torch.zeros(2, 3), conditional.conditions.chosen("1", 2))


def test_an_example_without_counts_has_a_density():
    model = built(ZINB)
    batch = Batch(torch.zeros(2, GENES))
    assert model.context(batch).tolist() == [[0.0], [0.0]]
    terms = model.terms(batch.x, model.context(batch))
    terms.total.backward()
    assert terms.total.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_new_examples_have_the_depths_of_the_training_data_or_one_that_is_asked_for():
    model = built("poisson")
    genmod.train(model, Cells(None), steps=1, batch_size=8, device="cpu")
    known = Cells(None).split("train").batch.x.sum(1).numpy()
    drawn = model.sample(2000, seed=3).sum(1).numpy()
    assert stats.ks_2samp(drawn, known).pvalue > 0.01
    assert len(set(np.round(drawn)) - set(known)) == 0
    typical = model.asked(None, 3)
    assert typical.exp().flatten().tolist() == pytest.approx([np.median(known)] * 3, rel=0.01)
    deep = model.sample(50, seed=1, condition="depth=7000", noise=True).sum(1)
    # A sum of Poisson counts is one too.
    assert stats.kstest((deep.numpy() - 7000) / math.sqrt(7000), "norm").pvalue > 0.01
    for wrong in ("depth=0", "depth=-3", "depth=nan", "depth=inf", "depth=many"):
        with pytest.raises(UsageError, match="asks for no number above 0"):
            model.asked(wrong, 2)
    both = built(condition="batch").asked("depth=50,batch=1", 2)
    assert both.tolist() == [[0.0, 1.0, pytest.approx(math.log(50))]] * 2
    with pytest.raises(UsageError, match="not conditional"):
        model.asked("depth=50,batch=1", 2)


def test_what_is_undefined_is_refused():
    with pytest.raises(UsageError, match="no total is known"):
        NegativeBinomialDecoder(
            DataInfo((3,), high=math.inf, counts=True, missing=True), size_factor="observed"
        )
    with pytest.raises(UsageError, match=r"per-condition.*not conditional"):
        built(own={"dispersion": "per-condition"})


def test_dispersions_of_batches_are_found():
    rng = np.random.default_rng(4)
    batch = rng.integers(0, 2, 4000)
    truth = np.array([[1.0], [20.0]])[batch]
    x = torch.from_numpy(rng.negative_binomial(truth, truth / (truth + 50.0), (4000, 1))).double()
    decoder = NegativeBinomialDecoder(DataInfo((1,), high=math.inf, counts=True), dispersion="per-condition")
    decoder.dispersion.bind(2)
    decoder.double()
    y = math.log(50.0)
    outputs = torch.full((4000, 1), y / math.sqrt(1 - (y / 18) ** 2)).double()
    classes = torch.eye(2).double()[batch]
    search = torch.optim.LBFGS(decoder.parameters(), max_iter=50, line_search_fn="strong_wolfe")

    def loss():
        search.zero_grad()
        found = -decoder(outputs, conditions=classes).log_prob(x).mean()
        found.backward()
        return found

    search.step(loss)
    found = decoder.dispersion(None, torch.eye(2).double()).exp().flatten().tolist()
    assert found == [pytest.approx(1.0, rel=0.1), pytest.approx(20.0, rel=0.1)]


def test_twice_the_depth_moves_a_code_less_than_without_size_factors():
    moved = {}
    for kind in ("none", "observed"):
        model = built(own={"size_factor": kind})
        genmod.train(model, Cells(None), steps=60, batch_size=64, lr=1e-2, device="cpu", seed=1)
        x = Cells(None).split("test").batch.x
        with torch.no_grad():
            once, twice = model.encode(x).mean, model.encode(2 * x).mean
        moved[kind] = ((once - twice).norm(dim=1).mean() / once.std(0).norm()).item()
    assert moved["observed"] < 0.6 * moved["none"]


def test_loaded_and_resumed_to_the_same_bits(tmp_path, stop_at):
    def go(model, **more):
        return genmod.train(model, Cells(None), steps=6, batch_size=16, device="cpu", seed=5, **more)

    whole, stopped, again = (built(condition="batch", own={"dispersion": "per-condition"}) for _ in range(3))
    go(whole)
    stop_at(stopped, 4)
    with pytest.raises(Interrupted):
        go(stopped, directory=tmp_path / "model")
    go(again, directory=tmp_path / "model", resume=True)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    saved = genmod.load(genmod.save(again, tmp_path / "saved"))
    assert torch.equal(saved.sample(5, seed=0), again.eval().sample(5, seed=0))
    assert saved.decoder.log_depths.std() > 0.1


@pytest.mark.slow
def test_two_processes_train_the_weights_of_one(tmp_path):
    batch = cells(200)
    np.savez(tmp_path / "cells.npz", x=batch.x.numpy(), batch=batch.factors[:, 0].numpy())
    run = [sys.executable, "-P", "-m", "genmod"]
    kept = (
        f"--data npz -s dataset.path=cells.npz -s dataset.counts=true -s dataset.factors=batch --decoder {NB}"
    )
    own = (
        "-s decoder.size_factor=observed -s decoder.dispersion=per-condition --condition batch --encoder mlp"
    )
    steps = "--steps 10 --device cpu --batch-size 32 -s optimizer.eps=0.0001"
    for name, more in (("one", ""), ("two", "--processes 2")):
        for line in (f"build {kept} {own} -o {name}", f"train {name} {steps} {more}"):
            subprocess.run([*run, *line.split()], cwd=tmp_path, check=True, capture_output=True)
    one, two = (genmod.load(tmp_path / name, weights="last").state_dict() for name in ("one", "two"))
    assert one["decoder.log_depths"].std() > 0.1
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-5
