"""Scores of generated examples: against other implementations, against mathematics, and on digits that are damaged."""

import math

import numpy as np
import pytest
import torch
from scipy import linalg, stats
from torch.nn.functional import avg_pool2d

from genmod import Batch, DataInfo, TensorSplit, UsageError, compose, evaluate, fit_sampler, open_dataset
from genmod.evaluation import neighbours
from genmod.evaluation.featured import featured, usual_features
from genmod.evaluation.neighbours import nearest
from genmod.evaluation.runner import make_metrics, measure
from genmod.evaluation.subject import Subject
from genmod.model.assembly import assemble
from genmod.plugins.datasets.digits import Digits
from genmod.plugins.features.digits_cnn import DigitsCnnFeatures
from genmod.plugins.features.pca import PcaFeatures
from genmod.plugins.features.pixel import PixelFeatures
from genmod.plugins.features.randconv import RandconvFeatures
from genmod.plugins.metrics import _kernel as kernel
from genmod.plugins.metrics._frechet import Moments, frechet_distance, frechet_of_moments
from genmod.plugins.metrics._kernel import gaussian, mmd, polynomial
from genmod.plugins.metrics._two_sample import classifier_test, kernel_test, usual_distance
from genmod.plugins.metrics.memorisation import copying_score, share_nearer
from genmod.plugins.metrics.prdc import overlap

SAMPLE_METRICS = ("fid", "kid", "prdc", "mmd-test", "c2st", "memorisation")


def two_sets(n=300, m=200, dims=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(dims, dims, generator=generator)
    x = torch.randn(n, dims, generator=generator) @ mix
    y = 1.2 * torch.randn(m, dims, generator=generator) @ mix + 0.3
    return x, y


# ---------------------------------------------------------------- Fréchet distance


def test_frechet_of_normals_in_closed_form():
    """Of normals with the same axes: |μ - μ'|² + Σ (σ - σ')²."""
    generator = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(40, 40, generator=generator, dtype=torch.float64))[0]
    s, t = (torch.rand(2, 40, generator=generator, dtype=torch.float64) + 0.1) * 3
    mean = torch.randn(40, generator=generator, dtype=torch.float64)
    a = Moments(mean, axes @ torch.diag(s**2) @ axes.T)
    b = Moments(torch.zeros(40, dtype=torch.float64), axes @ torch.diag(t**2) @ axes.T)
    exact = float(mean.square().sum() + (s - t).square().sum())
    assert frechet_of_moments(a, b) == pytest.approx(exact, rel=1e-10)
    assert frechet_of_moments(b, a) == pytest.approx(exact, rel=1e-10)


def test_frechet_against_matrix_root():
    x, y = two_sets()
    a, b = np.cov(x.double().numpy().T), np.cov(y.double().numpy().T)
    means = x.double().mean(0) - y.double().mean(0)
    wanted = float(means.square().sum()) + np.trace(a + b - 2 * linalg.sqrtm(a @ b).real)
    assert frechet_distance(x, y).value == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("n", [500, 20])
def test_frechet_of_a_set_and_itself(n):
    """Also where the covariance has no full rank."""
    x = 30 * torch.randn(n, 64) + 5
    found = frechet_distance(x, x)
    assert abs(found.value) <= 1e-4
    assert found.standard_error <= 1e-3


@pytest.mark.slow
def test_frechet_against_torchmetrics():
    fid = pytest.importorskip("torchmetrics.image.fid", reason="torchmetrics is not installed")

    class Flat(torch.nn.Module):
        num_features = 12

        def forward(self, x):
            return x.flatten(1)

    oracle = fid.FrechetInceptionDistance(feature=Flat(), input_img_size=(3, 2, 2)).set_dtype(torch.float64)
    x, y = two_sets(dims=12)
    oracle.update(x.double().reshape(-1, 3, 2, 2), real=True)
    oracle.update(y.double().reshape(-1, 3, 2, 2), real=False)
    assert frechet_distance(x, y).value == pytest.approx(float(oracle.compute()), rel=1e-6)


def test_frechet_standard_error_is_the_spread():
    values, errors = [], []
    for seed in range(150):
        found = frechet_distance(*draws(seed))
        values.append(found.value)
        errors.append(found.standard_error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.2)


@pytest.mark.parametrize("paired", [False, True])
def test_its_standard_error_is_the_spread_with_fewer_examples_than_features(paired):
    """Where covariances have no inverse, of made sets that vary in few directions, as those of untrained models do."""
    generator = torch.Generator().manual_seed(0)
    axes = torch.randn(3, 24, generator=generator)
    found = []
    for _ in range(80):
        x = torch.randn(20, 24, generator=generator)
        y = 0.1 * x @ axes.T @ axes if paired else torch.randn(20, 3, generator=generator) @ axes
        found.append(frechet_distance(x, y, paired=paired))
    spread = np.std([each.value for each in found])
    assert np.mean([each.standard_error for each in found]) == pytest.approx(spread, rel=0.35)


def draws(seed, n=400, m=300, shift=1.0):
    """Two sets of known distributions."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=generator) * torch.tensor([1.0, 2.0, 0.5])
    y = torch.randn(m, 3, generator=generator) * torch.tensor([2.0, 1.0, 0.5]) + shift
    return x, y


# ---------------------------------------------------------------- kernel distance


@pytest.mark.slow
def test_kid_against_torchmetrics():
    kid = pytest.importorskip("torchmetrics.image.kid", reason="torchmetrics is not installed")
    x, y = two_sets(200, 200)
    oracle = float(kid.poly_mmd(x.double(), y.double()))
    assert mmd(x, y).value == pytest.approx(oracle, rel=1e-10)


@pytest.mark.slow
def test_kid_against_torch_fidelity():
    kid = pytest.importorskip("torch_fidelity.metric_kid", reason="torch-fidelity is not installed")
    x, y = (each.double().numpy() for each in two_sets(150, 150))
    oracle = kid.mmd2(*(kid_kernel(a, b) for a, b in ((x, x), (x, y), (y, y))), mmd_est="unbiased")
    assert mmd(torch.from_numpy(x), torch.from_numpy(y)).value == pytest.approx(oracle, rel=1e-10)


def kid_kernel(x, y):
    return (x @ y.T / x.shape[1] + 1) ** 3


@pytest.mark.parametrize("how", [polynomial, gaussian(2.0)], ids=["polynomial", "gaussian"])
def test_mmd_by_hand_and_in_pieces(monkeypatch, how):
    x, y = two_sets(30, 20)
    x, y = x.double(), y.double()
    k, within, across = how, [], []
    within += [
        k(x[i : i + 1], x[j : j + 1]).item() / (30 * 29) for i in range(30) for j in range(30) if i != j
    ]
    within += [
        k(y[i : i + 1], y[j : j + 1]).item() / (20 * 19) for i in range(20) for j in range(20) if i != j
    ]
    across = [k(x[i : i + 1], y[j : j + 1]).item() for i in range(30) for j in range(20)]
    wanted = sum(within) - 2 * np.mean(across)
    assert mmd(x, y, how).value == pytest.approx(wanted, rel=1e-9)
    monkeypatch.setattr(kernel, "_ELEMENTS", 70)
    assert mmd(x, y, how).value == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_kid_is_without_bias_and_its_error_is_the_spread(shift):
    def sets(seed):
        generator = torch.Generator().manual_seed(seed)
        return (torch.randn(n, 3, generator=generator) + a for n, a in ((60, 0.0), (50, shift)))

    found = [mmd(*sets(seed)) for seed in range(300)]
    values = np.array([each.value for each in found])
    exact = exact_mmd(shift)
    assert abs(values.mean() - exact) < 4 * values.std() / math.sqrt(300)
    assert np.mean([each.standard_error for each in found]) == pytest.approx(values.std(), rel=0.35)


def exact_mmd(shift):
    """Of normals around 0 and around ``shift (1, 1, 1)``."""

    def mean_kernel(a, b, dims=3):
        """E (x·y / D + 1)³ for x ~ N(μ, I), y ~ N(ν, I): x·y given y is normal."""
        mu, nu, m = dims * a**2, dims * b**2, dims * a * b
        moments = (m, dims + mu + nu + m**2, m**3 + 3 * m * mu + 3 * m * (nu + dims + 2))
        return 1 + 3 * moments[0] / dims + 3 * moments[1] / dims**2 + moments[2] / dims**3

    return mean_kernel(0, 0) + mean_kernel(shift, shift) - 2 * mean_kernel(0, shift)


# ---------------------------------------------------------------- precision, recall, density, coverage


@pytest.mark.parametrize("k", [1, 5])
def test_prdc_is_that_of_prdc(k, capsys):
    prdc = pytest.importorskip("prdc", reason="prdc is not installed")
    x, y = (each.double() for each in two_sets(200, 150))
    wanted = prdc.compute_prdc(x.numpy(), y.numpy(), nearest_k=k)
    found = {name: float(each.mean()) for name, each in vars(overlap(x, y, k)).items()}
    assert found == {name: pytest.approx(float(value), abs=1e-12) for name, value in wanted.items()}
    assert 0 < found["recall"] < found["precision"] + 1


def test_overlap_in_pieces(monkeypatch):
    x, y = two_sets(90, 70)
    whole = overlap(x, y)
    monkeypatch.setattr(neighbours, "_ELEMENTS", 500)
    parts = overlap(x, y)
    assert all(torch.equal(vars(whole)[name], vars(parts)[name]) for name in vars(whole))


def test_overlap_of_what_is_known():
    """Half of the kinds are missing, and nothing is invented."""
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(400, 2, generator=generator) + 100 * (torch.arange(400) % 2)[:, None]
    made = torch.randn(400, 2, generator=generator)
    found = overlap(real, made)
    assert found.precision.mean() > 0.95
    assert found.recall.mean() == pytest.approx(0.5, abs=0.05)
    assert found.coverage.mean() == pytest.approx(0.5, abs=0.05)
    assert found.density.mean() == pytest.approx(1, abs=0.1)


# ---------------------------------------------------------------- neighbours


def test_nearest_in_pieces(monkeypatch):
    x, y = torch.randn(37, 2, 3), torch.randn(101, 2, 3)
    distances, places = torch.cdist(x.flatten(1).double(), y.flatten(1).double()).sort(1)
    for rows in (2048, 5):
        monkeypatch.setattr(neighbours, "_ROWS", rows)
        found = nearest(x, y, 3)
        torch.testing.assert_close(found[0], distances[:, :3], rtol=1e-9, atol=1e-9)
        assert torch.equal(found[1], places[:, :3])
    assert [tuple(each.shape) for each in nearest(x[:0], y, 3)] == [(0, 3), (0, 3)]
    for wrong in ((x, y, 102), (x, y, 0), (x[:, :1], y, 1)):
        with pytest.raises(UsageError, match="nearest of 101"):
            nearest(*wrong)


# ---------------------------------------------------------------- tests


def p_values(test, runs=200):
    """P-values of halves of one set."""
    found = []
    for seed in range(runs):
        generator = torch.Generator().manual_seed(seed)
        points = torch.randn(48, 3, generator=generator) * torch.tensor([1.0, 3.0, 0.2])
        found.append(test(points[:24], points[24:], generator))
    return np.array(found)


def by_kernel(x, y, generator):
    return kernel_test(x, y, width=usual_distance(torch.cat([x, y])), permutations=199, generator=generator).p


def by_classifier(classifier):
    def p_value(x, y, generator):
        return classifier_test(x, y, classifier=classifier, permutations=199, generator=generator)[0].p

    return p_value


TESTS = [
    pytest.param(by_kernel, id="kernel"),
    pytest.param(by_classifier("knn"), id="knn"),
    pytest.param(by_classifier("logistic"), id="logistic", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("test", TESTS)
def test_p_values_are_uniform_without_a_difference(test):
    found = p_values(test)
    assert found.min() >= 1 / 200
    # They are multiples of 1/200; half a step less is uniform.
    assert stats.kstest(found - 1 / 400, "uniform").pvalue > 0.01


@pytest.mark.parametrize("test", TESTS)
def test_p_values_are_small_with_a_difference(test):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(80, 3, generator=generator), torch.randn(80, 3, generator=generator) + 2
    assert test(x, y, generator) == 1 / 200


def test_classifier_test_of_known_sets():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(400, 2, generator=generator), torch.randn(400, 2, generator=generator) + 1
    verdict, accuracy, n = classifier_test(x, y, classifier="logistic", permutations=19, generator=generator)
    assert n == 400
    # The best that there is: Φ(|μ| / 2), and Φ(|μ| / √2) for the area.
    assert accuracy == pytest.approx(stats.norm.cdf(math.sqrt(2) / 2), abs=0.06)
    assert verdict.statistic == pytest.approx(stats.norm.cdf(1.0), abs=0.05)


# ---------------------------------------------------------------- copying


def copies(kind, seed, n=400):
    """Generated, training and held-out points of one distribution, the generated ones copies or not."""
    generator = torch.Generator().manual_seed(seed)
    train, held_out, made = torch.randn(3, n, 4, generator=generator)
    if kind == "copies":
        made = train[torch.randperm(n, generator=generator)] + 1e-2 * made
    return made, train, held_out


def test_copying_is_seen():
    made, train, held_out = copies("copies", 0)
    found = copying_score(made, train, held_out, generator=torch.Generator())
    assert found.score.value < -4
    assert found.score.value / found.score.standard_error < -10
    assert torch.equal(train[found.places], train[nearest(made, train)[1][:, 0]])
    share = share_nearer(made, train, held_out)
    assert share.value > 0.95


def test_copying_is_not_seen_where_there_is_none():
    """The scores have the spread that their standard errors say."""
    scores, shares = [], []
    for seed in range(60):
        made, train, held_out = copies("none", seed, 150)
        found = copying_score(made, train, held_out, generator=torch.Generator()).score
        scores.append(found.value / found.standard_error)
        share = share_nearer(made, train, held_out)
        shares.append((share.value - 0.5) / share.standard_error)
    for values in (scores, shares):
        assert abs(np.mean(values)) < 4 / math.sqrt(60)
        assert 0.6 < np.std(values) < 1.6


def test_error_of_the_share_counts_neighbours_once():
    """Few examples are nearest to many generated ones: the share varies with them, not with these."""
    found = []
    for seed in range(100):
        _, train, held_out = copies("none", seed, 30)
        made = torch.randn(300, 4, generator=torch.Generator().manual_seed(1000 + seed))
        share = share_nearer(made, train, held_out)
        found.append((share.value - 0.5) / share.standard_error)
    assert np.std(found) == pytest.approx(1, abs=0.25)


def test_underfitting_is_above_zero():
    made, train, held_out = copies("none", 0)
    found = copying_score(1.5 * made, train, held_out, generator=torch.Generator())
    assert found.score.value > 2


# ---------------------------------------------------------------- damaged digits


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return Digits(tmp_path_factory.mktemp("none"))


def damaged(digits, how):
    """A set of digits that gets worse step by step, and others to compare it with."""
    batch = digits.split("train").batch
    x = digits.info.values(batch.x)
    real, rest, labels = x[:640], x[640:1280], batch.labels[640:1280]
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(rest.shape, generator=generator)
    blurred = avg_pool2d(rest, 3, stride=1, padding=1)
    steps = {
        "noise": [(rest + width * noise).clamp(0, 1) for width in (0, 0.1, 0.2, 0.4)],
        "blur": [(1 - share) * rest + share * blurred for share in (0, 0.3, 0.6, 1)],
        "modes": [rest[labels < most] for most in (10, 8, 5, 2)],
    }
    return real, steps[how]


SCORES = {
    "fid": lambda x, y: frechet_distance(x, y).value,
    "kid": lambda x, y: mmd(x, y).value,
    "coverage": lambda x, y: -float(overlap(x, y).coverage.mean()),
}


# A little noise or blur leaves nearest neighbours as they are, so that coverage sees none of it.
SEEN = [
    *((score, how) for score in ("fid", "kid") for how in ("noise", "blur", "modes")),
    ("coverage", "modes"),
]


@pytest.mark.parametrize(("score", "how"), SEEN)
@pytest.mark.parametrize("features", ["pixel", "pca", "randconv", "digits-cnn"])
def test_scores_see_damage(digits, how, features, score):
    real, steps = damaged(digits, how)
    made = {
        "pixel": PixelFeatures,
        "pca": PcaFeatures,
        "randconv": RandconvFeatures,
        "digits-cnn": DigitsCnnFeatures,
    }[features](digits.info)
    made.fit(real, None)
    with torch.no_grad():
        found = [SCORES[score](made(real), made(step)) for step in steps]
    assert stats.spearmanr(range(len(found)), found).statistic == pytest.approx(1.0), found


# ---------------------------------------------------------------- metrics


@pytest.fixture(scope="module")
def untrained():
    spec = compose(
        "vae", components={"encoder": {"name": "mlp", "hidden": [8]}, "dataset": "digits"}, latent=2
    )
    return assemble(spec, open_dataset(spec).info, seed=1), open_dataset(spec)


def test_names_floors_and_details(untrained):
    model, data = untrained
    result = evaluate(model, data, ["fid", "kid[pca:components=8]", "prdc[pixel]"], seed=2)
    names = [row.name for row in result.rows]
    assert names[:4] == ["fid[digits-cnn-v1]", "fid_floor[digits-cnn-v1]", "kid[pca-8]", "kid_floor[pca-8]"]
    assert names[4:] == [f"{name}[pixel]" for name in ("precision", "recall", "density", "coverage")]
    fid, kid = result["fid[digits-cnn-v1]"], result["kid[pca-8]"]
    for row, floor in ((fid, "fid_floor[digits-cnn-v1]"), (kid, "kid_floor[pca-8]")):
        assert row.details["floor"] == result[floor].value
        assert row.value > 10 * abs(result[floor].value)
        assert len(row.details["sha256"]) == 64
        assert (row.n, row.details["generated"], row.better) == (250, 250, "lower")
    assert result["recall[pixel]"].details["floor"] > 0.8
    assert result["recall[pixel]"].examples.shape == result["coverage[pixel]"].examples.shape == (250,)
    assert result["precision[pixel]"].examples is None
    assert result.undefined == {}


def test_a_score_does_not_depend_on_the_others(untrained):
    model, data = untrained
    every = [f"{name}[pca:components=8]" for name in SAMPLE_METRICS] + ["fid[classifier:steps=3]", "mse"]
    together = evaluate(model, data, every)
    for name in ("kid[pca:components=8]", "memorisation[pca:components=8]", "fid[classifier:steps=3]"):
        alone = evaluate(model, data, name)
        for row in alone.rows:
            assert together[row.name] == row


def test_features_are_fitted_once_for_all_metrics(untrained, monkeypatch):
    model, data = untrained
    fits, fit = [], PcaFeatures.fit
    monkeypatch.setattr(
        PcaFeatures,
        "fit",
        lambda self, x, *more, **named: (fits.append(len(x)), fit(self, x, *more, **named)),
    )
    evaluate(model, data, [f"{name}[pca]" for name in SAMPLE_METRICS])
    assert fits == [1297]
    evaluate(model, data, "kid[pca]")
    assert fits == [1297] * 2


def test_real_examples_in_the_place_of_generated_ones(untrained):
    """A perfect model: scores at their floors, p-values that are not small, no copying seen."""
    model, data = untrained
    train = data.split("train").batch
    subject = Subject(model, data.split("test"), train=lambda: TensorSplit(train[:800]), seed=4)
    others = data.info.values(train.x[800:])
    subject.generated = lambda n, **how: others[:n]
    names = ["fid[pixel]", "kid[pixel]", "prdc[pixel]", "mmd-test[pixel]", "c2st[pixel]", "memorisation"]
    result = measure(make_metrics([{"name": name, "samples": 250} for name in names]), subject)
    assert result["fid[pixel]"].value == pytest.approx(result["fid_floor[pixel]"].value, rel=0.25)
    assert abs(result["kid[pixel]"].value) < 3 * result["kid[pixel]"].standard_error
    for name in ("precision", "recall", "coverage"):
        assert result[f"{name}[pixel]"].value == pytest.approx(
            result[f"{name}[pixel]"].details["floor"], abs=0.06
        )
    assert result["mmd_p[pixel]"].value > 0.01
    assert result["c2st_p[pixel]"].value > 0.01
    copying = result["data_copying[pixel]"]
    assert abs(copying.value) < 4 * copying.standard_error
    assert (
        abs(result["nearer_to_train[pixel]"].value - 0.5)
        < 4 * result["nearer_to_train[pixel]"].standard_error
    )


def test_a_model_that_copies_is_caught(untrained):
    model, data = untrained
    train = data.info.values(data.split("train").batch.x)
    subject = Subject(model, data.split("test"), train=lambda: data.split("train"))
    subject.generated = lambda n, **how: train[500 : 500 + n]
    result = measure(make_metrics(["memorisation"]), subject)
    row = result["data_copying[pixel]"]
    assert row.value < -3
    assert [each["train"] for each in row.details["worst"]] == [
        500 + each["sample"] for each in row.details["worst"]
    ]
    assert max(each["distance"] for each in row.details["worst"]) < 1e-6


def test_few_examples_for_many_features_are_warned_of(untrained):
    model, data = untrained
    assert "kid" in evaluate(model, data, "fid[pixel]").warnings[0]
    assert evaluate(model, data, "fid[digits-cnn]").warnings == ()


def test_autoencoder_is_undefined_until_a_sampler_is_fitted():
    spec = compose(
        "autoencoder", components={"encoder": {"name": "mlp", "hidden": [8]}, "dataset": "digits"}, latent=2
    )
    data = open_dataset(spec)
    model = assemble(spec, data.info)
    result = evaluate(model, data, SAMPLE_METRICS)
    assert result.rows == ()
    assert set(result.undefined) == set(SAMPLE_METRICS)
    fit_sampler(model, data, "gaussian")
    result = evaluate(model, data, ["kid[pixel]", {"name": "fid[pixel]", "source": "sampler"}])
    assert result["kid[pixel]"].details["source"] == "sampler"
    assert "fid[pixel,sampler]" in [row.name for row in result.rows]
    assert evaluate(model, data, {"name": "kid", "source": "prior"}).rows == ()


def test_conditional_model():
    spec = compose(
        "vae",
        components={"encoder": {"name": "mlp", "hidden": [8]}, "dataset": "digits"},
        latent=2,
    )
    spec = spec.with_condition("label")
    data = open_dataset(spec)
    model = assemble(spec, data.info)
    result = evaluate(model, data, ["fid", "mse", "memorisation"])
    assert not result.undefined
    assert all(math.isfinite(row.value) for row in result.rows)


def test_tables():
    info = DataInfo((5,), low=-math.inf, high=math.inf)
    spec = compose(
        "vae", components={"encoder": {"name": "mlp", "hidden": [8]}, "decoder": "gaussian"}, latent=2
    )
    model, x = assemble(spec, info), torch.randn(120, 5)
    subject = Subject(model, TensorSplit(Batch(x[:60])), train=lambda: TensorSplit(Batch(x[60:])))
    result = measure(make_metrics(["fid", "kid[pixel]", "prdc", "memorisation", "fid[randconv]"]), subject)
    assert {"fid[pca-5]", "kid[pixel]", "recall[pca-5]", "data_copying[pixel]"} <= {
        row.name for row in result.rows
    }
    assert "pixel and pca" not in result.undefined["fid[randconv]"]
    assert "shape (5,)" in result.undefined["fid[randconv]"]


def test_the_training_split_has_no_floor(untrained):
    model, data = untrained
    result = evaluate(model, data, ["kid[pixel]", "memorisation"], split="train")
    assert "is the training split" in result.undefined["kid_floor[pixel]"]
    assert "is the training split" in result.undefined["memorisation"]
    assert result["kid[pixel]"].n == 1297


def test_usual_features(untrained):
    model, _ = untrained

    def usual(shape, labels=True, train=True, **info):
        model.__dict__["data"] = DataInfo(shape, **info)
        split = TensorSplit(Batch(torch.rand(4, *shape), torch.arange(4) if labels else None))
        return usual_features(Subject(model, split, train=(lambda: split) if train else None))

    before = model.data
    try:
        assert usual((1, 8, 8)) == "digits-cnn"
        assert usual((1, 8, 8), low=-math.inf) == "classifier"
        assert usual((3, 32, 32)) == "classifier"
        assert usual((3, 32, 32), labels=False) == "pca"
        assert usual((12,)) == "pca"
        assert usual((12,), train=False) == "pixel"
    finally:
        model.__dict__["data"] = before


def test_unknown_features_are_refused_before_anything_is_measured(untrained):
    model, data = untrained
    for name in ("fid[nope]", "fid[pca:width=3]", "kid[pca:3]", "memorisation[nope]"):
        with pytest.raises(UsageError):
            evaluate(model, data, name)


def test_more_samples_begin_with_the_fewer(untrained):
    model, data = untrained
    subject = Subject(model, data.split("test"), train=lambda: data.split("train"))
    made = featured(subject, "randconv")
    more = made.of_generated(700, noise=False, source=None)
    fresh = Subject(model, data.split("test"), train=lambda: data.split("train"))
    fewer = featured(fresh, "randconv").of_generated(90, noise=False, source=None)
    assert torch.equal(more[:90], fewer)
    torch.testing.assert_close(more, made.features(subject.generated(700)), rtol=1e-4, atol=1e-5)
