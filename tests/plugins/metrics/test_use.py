"""What metrics say of the use of latents: against scikit-learn, closed forms and simulation."""

import math

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from genmod import Batch, DataInfo, Dataset, Factor, TensorSplit, UsageError, compose, evaluate
from genmod.model.assembly import assemble
from genmod.plugins.metrics._auroc import auroc
from genmod.plugins.metrics.clustering import adjusted_rand, normalised_information
from genmod.plugins.metrics.imputation import Imputation
from genmod.system.random import seed_for

UNBOUNDED = {"low": -math.inf, "high": math.inf}


class Splits(Dataset):
    """Data that are at hand."""

    def __init__(self, train, test, info):
        self.splits, self._info = {"train": train, "test": test}, info

    @property
    def info(self):
        return self._info

    def split(self, name):
        return TensorSplit(self.splits[name])


def coder(columns, **info):
    """An autoencoder whose codes are the examples."""
    parts = {"encoder": "identity", "network": "linear", "decoder": "gaussian"}
    model = assemble(
        compose("autoencoder", components=parts, latent=columns), DataInfo((columns,), **UNBOUNDED, **info)
    )
    with torch.no_grad():
        model.posterior.head.weight.copy_(torch.eye(columns))
        model.posterior.head.bias.zero_()
    return model


def clouds(n, distance, seed, columns=4, classes=3):
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=g)
    centres = torch.eye(classes, columns) * distance
    return Batch(centres[labels] + torch.randn(n, columns, generator=g), labels)


CLASSES = ("a", "b", "c")


# Probes, neighbours and clusters


@pytest.mark.parametrize("distance", [0.0, 2.0, 30.0])
def test_probe_and_neighbours_are_those_of_scikit_learn(distance):
    train, test = clouds(400, distance, 1), clouds(300, distance, 2)
    model = coder(4, classes=CLASSES)
    result = evaluate(model, Splits(train, test, model.data), ["probe", "knn[4]", "clustering"])
    x, y = train.x.double().numpy(), test.x.double().numpy()
    direct = {
        "probe": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        "knn": KNeighborsClassifier(4, algorithm="brute"),
    }
    for name, estimator in direct.items():
        right = estimator.fit(x, train.labels.numpy()).predict(y) == test.labels.numpy()
        row = result[f"{name}[label]"]
        assert row.value == pytest.approx(right.mean())
        assert row.standard_error == pytest.approx(right.std(ddof=1) / math.sqrt(300))
        assert np.array_equal(row.examples.numpy() > 0, right)
    chance = result["probe[label]"].details["chance"]
    for name in ("probe[label]", "knn[label]", "clustering_accuracy[label]"):
        if distance == 0:
            assert abs(result[name].value - chance) < 0.15
        if distance == 30:
            assert result[name].value == 1
    if distance == 0:
        assert abs(result["clustering_ari[label]"].value) < 0.03
        assert abs(result["clustering_nmi[label]"].value) < 0.03
    if distance == 30:
        for name in ("ari", "nmi"):
            row = result[f"clustering_{name}[label]"]
            assert (row.value, row.standard_error) == pytest.approx((1, 0), abs=1e-9)


def test_agreement_of_clusters_is_that_of_scikit_learn():
    g = torch.Generator().manual_seed(3)
    for clusters, classes in ((3, 3), (5, 2), (1, 4), (1, 1)):
        a, b = torch.randint(clusters, (90,), generator=g), torch.randint(classes, (90,), generator=g)
        b = torch.where(torch.rand(90, generator=g) < 0.5, a % classes, b)
        table = torch.zeros(1, clusters, classes).double()
        for i, j in zip(a.tolist(), b.tolist(), strict=True):
            table[0, i, j] += 1
        ari = sklearn_metrics.adjusted_rand_score(b, a)
        nmi = sklearn_metrics.normalized_mutual_info_score(b, a)
        assert adjusted_rand(table).item() == pytest.approx(ari, abs=1e-12)
        assert normalised_information(table).item() == pytest.approx(nmi, abs=1e-12)


@pytest.mark.slow
def test_clusters_are_those_of_scikit_learn_and_errors_those_of_resampling():
    model, batch = coder(4, classes=CLASSES), clouds(150, 3.0, 10)
    result = evaluate(model, TensorSplit(batch), "clustering")
    state = seed_for(0, "evaluation/clustering") % 2**32
    clusters = KMeans(3, n_init=10, random_state=state).fit_predict(batch.x.double().numpy())
    labels, rng = batch.labels.numpy(), np.random.default_rng(1)
    drawn = [rng.integers(150, size=150) for _ in range(250)]
    for name, score in (
        ("ari", sklearn_metrics.adjusted_rand_score),
        ("nmi", sklearn_metrics.normalized_mutual_info_score),
    ):
        row = result[f"clustering_{name}[label]"]
        assert 0.3 < row.value == pytest.approx(score(labels, clusters), abs=1e-9)
        spread = np.std([score(labels[rows], clusters[rows]) for rows in drawn], ddof=1)
        assert row.standard_error == pytest.approx(spread, rel=0.2)


def with_factors(n, seed):
    g = torch.Generator().manual_seed(seed)
    factors = torch.stack([torch.randint(3, (n,), generator=g), torch.randint(5, (n,), generator=g)], 1)
    x = torch.randn(n, 4, generator=g)
    x[:, 0] += 0.4 * factors[:, 1]
    return Batch(x, factors[:, 0], factors)


def test_factors_are_probed_and_numbers_regressed():
    model = coder(
        4, classes=CLASSES, factors=(Factor("shape", 3), Factor("size", 5, ("0", "1", "2", "4", "8")))
    )
    train, test = with_factors(300, 1), with_factors(200, 2)
    result = evaluate(model, Splits(train, test, model.data), ["probe", "knn", "clustering"])
    names = {row.name for row in result.rows}
    # The label is the first factor.
    assert {"probe[shape]", "probe[size]", "probe_r2[size]", "knn[shape]", "clustering_ari[size]"} < names
    assert not [name for name in names if "label" in name or name == "probe_r2[shape]"]
    sizes = np.array([0.0, 1, 2, 4, 8])
    ridge = make_pipeline(StandardScaler(), Ridge(1.0)).fit(train.x.double(), sizes[train.factors[:, 1]])
    row = result["probe_r2[size]"]
    assert row.value == pytest.approx(ridge.score(test.x.double(), sizes[test.factors[:, 1]]), abs=1e-6)
    truth = sizes[test.factors[:, 1]]
    errors, rng = (ridge.predict(test.x.double()) - truth) ** 2, np.random.default_rng(1)
    found = []
    for _ in range(1000):
        rows = rng.integers(200, size=200)
        found.append(1 - errors[rows].mean() / truth[rows].var())
    assert row.standard_error == pytest.approx(np.std(found), rel=0.12)


def test_what_is_missing_is_said():
    model = coder(4, classes=CLASSES)
    bare = Batch(torch.randn(20, 4))
    result = evaluate(model, Splits(bare, bare, model.data), ["probe", "knn", "clustering"])
    assert set(result.undefined.values()) == {"the data have no labels or factors"}
    assert "measured on these codes themselves" in result.warnings[0]
    result = evaluate(model, TensorSplit(clouds(20, 1.0, 1)), ["probe", "knn", "clustering"])
    assert set(result.undefined) == {"probe", "knn"}
    assert len(result.rows) == 3
    data = Splits(clouds(20, 1.0, 1), clouds(20, 1.0, 2), model.data)
    assert "fewer than k" in evaluate(model, data, "knn[50]").undefined["knn[50]"]


# Anomalies


def test_area_is_that_of_scikit_learn_and_its_error_that_of_delong():
    g = torch.Generator().manual_seed(1)
    high, low = torch.randint(6, (50,), generator=g) + 1.0, torch.randint(6, (70,), generator=g) * 1.0
    area, error = auroc(high, low)
    labels = np.r_[np.ones(50), np.zeros(70)]
    assert area == pytest.approx(sklearn_metrics.roc_auc_score(labels, torch.cat([high, low])), abs=1e-12)
    wins = (high[:, None] > low).double() + 0.5 * (high[:, None] == low)
    by_hand = wins.mean(1).var() / 50 + wins.mean(0).var() / 70
    assert error == pytest.approx(by_hand.sqrt().item(), rel=1e-12)
    assert auroc(torch.tensor([2.0, 3.0]), torch.tensor([0.0, 1.0])) == (1.0, 0.0)
    with pytest.raises(UsageError, match="0 scores that should be high"):
        auroc(torch.zeros(0), torch.zeros(3))


@pytest.mark.parametrize("paired", [False, True])
def test_error_of_area_is_its_spread(paired):
    g = torch.Generator().manual_seed(2)
    found = []
    for _ in range(400):
        low = torch.randn(60, generator=g)
        high = (low if paired else 0) + 0.5 * torch.randn(60, generator=g) + 0.5
        found.append(auroc(high, low, paired=paired))
    areas, errors = np.array(found).T
    assert 0.9 < math.sqrt((errors**2).mean()) / areas.std(ddof=1) < 1.12


def scorer(columns=3, recipe="vae", **info):
    """``log p(x|z)`` of a standard normal, whatever the latents are."""
    parts = {"encoder": "identity", "network": "linear", "decoder": {"name": "gaussian", "scale": 1.0}}
    info = DataInfo((columns,), **{**UNBOUNDED, **info})
    model = assemble(compose(recipe, components=parts, latent=2), info)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    return model


def test_score_is_the_negative_bound():
    model = scorer(classes=("a", "b"))
    batch = clouds(200, 3.0, 1, columns=3, classes=2)
    row = evaluate(model, TensorSplit(batch), "anomaly[label=b]")["anomaly[label=b]"]
    squares = batch.x.square().sum(1)
    area, error = auroc(squares[batch.labels == 1], squares[batch.labels == 0])
    assert (row.value, row.standard_error) == pytest.approx((area, error), abs=1e-6)
    assert (row.n, row.details["others"]) == (int((batch.labels == 0).sum()), int(batch.labels.sum()))
    assert row.details["score"] == "elbo"


def test_columns_of_tables_keep_their_values_when_shuffled():
    """Two columns that are opposites: their sum is 0 until they are shuffled."""
    g = torch.Generator().manual_seed(1)
    x = torch.randn(400, 1, generator=g)
    model = coder(2)
    # Reconstructs the difference, so that the distortion is the square of the sum.
    with torch.no_grad():
        (weight,) = [p for p in model.network.parameters() if p.dim() == 2]
        weight.copy_(torch.tensor([[0.5, -0.5], [-0.5, 0.5]]))
        for bias in [p for p in model.network.parameters() if p.dim() == 1]:
            bias.zero_()
    split = TensorSplit(Batch(torch.cat([x, -x + 0.01 * torch.randn(400, 1, generator=g)], 1)))
    result = evaluate(model, split, "anomaly")
    assert result["anomaly[shuffled]"].value > 0.97
    assert result["anomaly[noise]"].value > 0.97
    assert result["anomaly[shuffled]"].details["score"] == "distortion"
    assert "no ELBO" in evaluate(model, split, {"name": "anomaly", "score": "elbo"}).undefined["anomaly"]


def test_shuffled_pictures_have_the_same_pixels_and_nothing_to_say_to_one_that_ignores_places():
    info = DataInfo((1, 8, 8), levels=17, classes=tuple("0123456789"))
    parts = {
        "encoder": {"name": "mlp", "hidden": [4]},
        "decoder": {"name": "bernoulli", "binarize": "threshold"},
    }
    model = assemble(compose("vae", components=parts, latent=2), info)
    with torch.no_grad():
        for parameter in (*model.posterior.parameters(), *model.network.parameters()):
            parameter.zero_()
    generator = torch.Generator().manual_seed(1)
    x = (torch.rand((60, 1, 8, 8), generator=generator) * 5).to(torch.uint8)
    x[:, :, :, :4] += 10
    split = TensorSplit(Batch(x, torch.arange(60) % 10))
    result = evaluate(model, split, ["anomaly[shuffled,noise,label=3,label=x,digits,cifar10]"])
    assert result["anomaly[shuffled]"].value == 0.5
    assert result["anomaly[shuffled]"].standard_error == pytest.approx(0, abs=1e-9)
    assert result["anomaly[label=3]"].details["others"] == 6
    assert result["anomaly[digits]"].details["others"] > 100
    assert "have the shape (3, 32, 32)" in result.undefined["anomaly[cifar10]"]
    assert "no value of label" in result.undefined["anomaly[label=x]"]
    with torch.no_grad():
        # Now every place has its own probability.
        bias = list(model.network.parameters())[-1]
        bias.copy_(torch.where(torch.arange(64) % 8 < 4, 4.0, -4.0))
    assert evaluate(model, split, "anomaly[shuffled]")["anomaly[shuffled]"].value == 1


def test_unknown_others_are_refused_before_anything_is_measured():
    with pytest.raises(UsageError, match="cannot compare with 'shufled'"):
        evaluate(scorer(), TensorSplit(Batch(torch.zeros(3, 3))), ["elbo", "anomaly[shufled]"])


@pytest.mark.parametrize("recipe", ["cvae", "s-vae", "categorical-vae", "autoencoder", "ms-ssim-vae"])
def test_every_model_has_anomalies_and_imputations(recipe):
    info = DataInfo((1, 8, 8), levels=17, classes=tuple("0123456789"))
    condition = "label" if recipe == "cvae" else None
    model = assemble(
        compose(recipe, components={"encoder": {"name": "mlp", "hidden": [4]}}, condition=condition), info
    )
    generator = torch.Generator().manual_seed(1)
    x = torch.randint(17, (30, 1, 8, 8), dtype=torch.uint8, generator=generator)
    split = TensorSplit(Batch(x, torch.arange(30) % 10))
    result = evaluate(model, split, ["anomaly", "imputation[0.3]", "anomaly[digits]"])
    assert {"anomaly[shuffled]", "anomaly[noise]", "imputation_rmse[0.3]"} <= {
        row.name for row in result.rows
    }
    assert ("anomaly[digits]" in result.undefined) == (recipe == "cvae")


# Imputation


def factor_model(loadings, sigma, *, missing=False, scale=None):
    """One latent, ``x = a z + σ ε``, with the exact posterior; or one as wide as the prior."""
    a = torch.as_tensor(loadings).float()
    parts = {"encoder": "identity", "network": "linear", "decoder": {"name": "gaussian", "scale": sigma}}
    info = DataInfo((len(a),), **UNBOUNDED, missing=missing)
    model = assemble(compose("vae", components=parts, latent=1), info)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        (weight,) = [p for p in model.network.parameters() if p.dim() == 2]
        weight.copy_(a[:, None])
        if not missing:
            total = sigma**2 + a.square().sum()
            model.posterior.head.weight[0] = a / total
            wanted = 0.5 * math.log(sigma**2 / total)
            model.posterior.head.bias[1] = wanted / math.sqrt(1 - (wanted / 9) ** 2)
    return model


def factor_data(loadings, sigma, n, seed):
    g = torch.Generator().manual_seed(seed)
    a = torch.as_tensor(loadings).float()
    return Batch(torch.randn(n, 1, generator=g) * a + sigma * torch.randn(n, len(a), generator=g))


def best_error(loadings, sigma, share):
    """Expected squared error of ``E[x_hidden|x_seen]``, over columns of unit variance, by all sets of seen columns."""
    a, error, mass = np.asarray(loadings), 0.0, 0.0
    d = len(a)
    for seen in range(2**d):
        mask = np.array([(seen >> i) & 1 for i in range(d)], dtype=bool)
        chance = (1 - share) ** mask.sum() * share ** (~mask).sum()
        left = 1 / (1 + (a[mask] ** 2).sum() / sigma**2)
        error += chance * ((a[~mask] ** 2 * left + sigma**2) / (a[~mask] ** 2 + sigma**2)).sum()
        mass += chance * (~mask).sum()
    return math.sqrt(error / mass)


LOADINGS, SIGMA = [1.0, -2.0, 0.5, 1.5], 0.4


@pytest.mark.parametrize("missing", [False, True])
def test_imputation_by_the_true_model_is_the_best_there_is(missing):
    model = factor_model(LOADINGS, SIGMA, missing=missing)
    data = Splits(factor_data(LOADINGS, SIGMA, 3000, 1), factor_data(LOADINGS, SIGMA, 1500, 2), model.data)
    row = evaluate(model, data, {"name": "imputation", "share": 0.4, "draws": 200})["imputation_rmse[0.4]"]
    best = best_error(LOADINGS, SIGMA, 0.4)
    assert row.value == pytest.approx(best, abs=4 * row.standard_error + 0.01 * best)
    assert row.details["floor"] == pytest.approx(1, abs=0.06)
    assert row.details["method"] == ("importance sampling" if missing else "pseudo-Gibbs")
    assert row.unit == "standard deviations"


def test_chain_draws_what_is_hidden():
    """Two bits that agree with a hidden one in 9 of 10 cases: means in their place would make it too sure."""
    a = math.log(9)
    parts = {"encoder": "identity", "network": "linear", "decoder": {"name": "bernoulli", "binarize": "none"}}
    model = assemble(compose("categorical-vae", components=parts, latent=(1, 2)), DataInfo((2,), levels=2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.posterior.head.weight[1] = 2 * a
        model.posterior.head.bias[1] = -2 * a
        (weight,) = [p for p in model.network.parameters() if p.dim() == 2]
        weight.copy_(torch.tensor([[-a, a], [-a, a]]))
        x = torch.ones(2000, 2)
        hidden = torch.tensor([False, True]).expand(2000, 2)
        found = Imputation()._alternated(model, x, hidden, torch.tensor([0.5, 0.5]))
    assert found[:, 1].mean().item() == pytest.approx(0.9 * 0.9 + 0.1 * 0.1, abs=0.015)


def test_error_of_imputation_is_its_spread():
    model = factor_model(LOADINGS, SIGMA)
    rows = []
    for seed in range(40):
        split = TensorSplit(factor_data(LOADINGS, SIGMA, 120, seed))
        rows.append(
            evaluate(model, split, {"name": "imputation", "draws": 10}, seed=seed)["imputation_rmse[0.5]"]
        )
    spread = np.std([row.value for row in rows], ddof=1)
    assert 0.7 < np.mean([row.standard_error for row in rows]) / spread < 1.45


def test_floor_of_pictures_is_the_error_of_the_mean_and_a_useless_model_is_named():
    info = DataInfo((3, 4, 4))
    model = assemble(
        compose(
            "vae", components={"encoder": "mlp", "decoder": {"name": "gaussian", "scale": 0.1}}, latent=2
        ),
        info,
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    g = torch.Generator().manual_seed(1)
    data = Splits(
        Batch(torch.rand(500, 3, 4, 4, generator=g)), Batch(torch.rand(200, 3, 4, 4, generator=g)), info
    )
    result = evaluate(model, data, "imputation")
    row = result["imputation_rmse[0.5]"]
    assert row.details["floor"] == pytest.approx(math.sqrt(1 / 12), rel=0.03)
    assert row.value == pytest.approx(math.sqrt(1 / 3), rel=0.03)
    assert row.details["hidden"] % 3 == 0
    assert row.details["hidden"] == pytest.approx(200 * 24, rel=0.05)
    assert "no better than by their means" in result.warnings[0]


def test_values_that_were_never_there_are_not_counted():
    model = factor_model(LOADINGS, SIGMA, missing=True)
    batch = factor_data(LOADINGS, SIGMA, 300, 1)
    batch.x[:, 0] = math.nan
    row = evaluate(model, TensorSplit(batch), "imputation")["imputation_rmse[0.5]"]
    assert math.isfinite(row.value)
    assert row.details["hidden"] == pytest.approx(450, rel=0.15)


def test_same_numbers_whatever_else_is_measured():
    model = coder(4, classes=CLASSES)
    data = Splits(clouds(100, 2.0, 1), clouds(60, 2.0, 2), model.data)
    names = ["probe", "knn", "clustering", "anomaly", "imputation"]
    together = evaluate(model, data, names, seed=3)
    for name in names:
        for row in evaluate(model, data, name, seed=3).rows:
            assert together[row.name] == row
