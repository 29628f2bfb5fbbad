"""Measures of disentanglement: against exact values, other implementations and slow ones made from the definitions."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import special, stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score
from sklearn.svm import LinearSVC

from genmod import Batch, DataInfo, Factor, TensorSplit, UndefinedError, compose, evaluate
from genmod.errors import DataError
from genmod.evaluation import binned, entropy, mutual_information
from genmod.model.assembly import assemble
from genmod.plugins.metrics._auroc import auroc
from genmod.plugins.metrics._factors import checked, halves
from genmod.plugins.metrics._fixed_factor import beta_vae_score, factor_vae_score
from genmod.plugins.metrics._mig import mig, modularity, modularity_of, nearest_information
from genmod.plugins.metrics.dci import completeness_of, dci, disentanglement_of
from genmod.plugins.metrics.explicitness import explicitness
from genmod.plugins.metrics.irs import irs
from genmod.plugins.metrics.sap import sap

ALL = {
    "mig": mig,
    "modularity": modularity,
    "explicitness": explicitness,
    "sap": sap,
    "irs": irs,
    "beta-vae-score": beta_vae_score,
    "factor-vae-score": factor_vae_score,
    "dci": dci,
}


def product(*sizes):
    return np.array(list(itertools.product(*map(range, sizes))))


def tens(n=3000, seed=0):
    """Ten independent factors of ten values each."""
    return np.random.default_rng(seed).integers(1, 11, (n, 10))


def spread(n, d, step=0.6180339887498949):
    """Numbers that fill the unit interval evenly and hardly depend on each other, by a formula."""
    return (np.arange(1, n + 1)[:, None] * step * np.sqrt(np.arange(2, d + 2))) % 1.0


def mixed_up(x):
    """The codes of each example in an order of its own."""
    rng = np.random.default_rng(7)
    return np.stack([rng.permutation(row) for row in x]).astype(float)


def fixtures():
    """Codes and factors of five kinds: clean, rotated, noisy, redundant, and correlated factors beside a dead code."""
    v = product(3, 6, 5, 4)
    noise = spread(len(v), 4)
    yield "clean", v * [2.0, -1.0, 0.5, 3.0], v
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    yield "rotated", np.hstack([v[:, :2] @ turn, v[:, 2:] @ turn.T]), v
    yield "noisy", v + 2.0 * noise, v
    yield "redundant", np.hstack([v + 0.3 * noise, np.sin(v), noise]), v
    rows = v[v[:, 0] <= v[:, 3]]
    codes = np.hstack([rows[:, :2] * rows[:, 3:], np.ones((len(rows), 1)), spread(len(rows), 2)])
    yield "correlated", codes, rows


FIXTURES = {name: (codes, factors) for name, codes, factors in fixtures()}
FIXTURE = pytest.mark.parametrize("name", list(FIXTURES))


class TestExactValues:
    """Importances and information whose scores are known, the targets of the tests of disentanglement_lib."""

    DIAGONAL = np.diag(5.0 * np.ones(5))

    @pytest.mark.parametrize(
        ("table", "disentangled", "complete", "modular"),
        [
            (DIAGONAL, 1.0, 1.0, 1.0),
            ([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], 1.0, 1.0, 2 / 3),
            (np.zeros((10, 10)), 0.0, 0.0, 0.0),
            (np.vstack([DIAGONAL, DIAGONAL]), 1.0, 1 - math.log(2) / math.log(10), 1.0),
            (DIAGONAL[:2], 1.0, 1.0, 1.0),
            (np.hstack([DIAGONAL, DIAGONAL]), 1 - math.log(2) / math.log(10), 1.0, 1 - 1 / 9),
            (np.ones((4, 3)), 0.0, 0.0, 0.0),
        ],
        ids=["diagonal", "empty", "zero", "redundant", "missed", "two-factors", "even"],
    )
    def test_tables(self, table, disentangled, complete, modular):
        assert disentanglement_of(table) == pytest.approx(disentangled, abs=1e-12)
        assert completeness_of(table) == pytest.approx(complete, abs=1e-12)
        assert modularity_of(np.asarray(table)).mean() == pytest.approx(modular, abs=1e-12)

    def test_latents_weigh_by_their_importance(self):
        table = np.array([[3.0, 0.0], [0.5, 0.5]])
        assert disentanglement_of(table) == pytest.approx(0.75)
        h = stats.entropy([3.5, 0.5], base=2)
        assert completeness_of([[3.0, 0.5], [0.5, 0.0]]) == pytest.approx(
            (3.5 * (1 - stats.entropy([6 / 7, 1 / 7], base=2)) + 0.5) / 4
        )
        assert h < 1

    def test_identity(self):
        v = tens()
        assert 0.9 < mig(v, v).value <= 1
        assert 0.9 < modularity(v, v).value <= 1
        assert 0.9 < sap(v, v, kind="continuous").value <= 1
        assert 0.9 < irs(v, v).value <= 1
        assert beta_vae_score(v, v, batch=5, train=2000, test=2000).value > 0.9
        assert factor_vae_score(v, v, batch=5, train=3000, test=2000).value > 0.9

    def test_codes_that_say_nothing(self):
        v = tens()
        dead = np.zeros_like(v)
        assert mig(dead, v).value == modularity(dead, v).value == irs(dead, v).value == 0
        assert sap(dead, v, kind="continuous").value == 0
        assert factor_vae_score(dead, v).value == 0
        assert beta_vae_score(dead, v, batch=5, train=500, test=2000).value == pytest.approx(0.1, abs=0.04)

    def test_codes_twice(self):
        v = tens()
        twice = np.hstack([v, v])
        assert mig(twice, v).value == sap(twice, v, kind="continuous").value == 0
        assert modularity(twice, v).value > 0.9

    def test_codes_in_any_order(self):
        v = tens(20_000)
        assert modularity(mixed_up(v), v).value < 0.2
        assert mig(mixed_up(v), v).value < 0.01

    def test_full_product_is_told_exactly(self):
        v = product(4, 4, 4)
        assert mig(v, v).value == modularity(v, v).value == irs(v, v).value == 1
        assert sap(v, v, kind="continuous").value == pytest.approx(1, abs=1e-12)
        assert explicitness(product(2, 2).repeat(30, 0), product(2, 2).repeat(30, 0)).value == 1
        assert beta_vae_score(v, v, train=500, test=500).value == 1
        assert factor_vae_score(v, v, train=500, test=500).value == 1

    def test_bins_crush_factors(self):
        v = product(3, 6, 40, 32)
        # Pairs of the forty values share a bin, and twelve pairs of the 32.
        crushed = math.log(20) / math.log(40), 0.75 * 0.8 + 0.25
        assert mig(v, v, bins=20).value == pytest.approx((2 + sum(crushed)) / 4, abs=1e-12)
        assert mig(v, v, bins=64).value == pytest.approx(1, abs=1e-12)
        some = v[np.random.default_rng(0).integers(len(v), size=10_000)]
        assert mig(some, some, bins=20).value == pytest.approx(0.910, abs=2e-3)
        assert mig(some, some, bins=64).value == pytest.approx(0.989, abs=2e-3)
        assert mig(some @ np.linalg.qr(spread(4, 4))[0], some).value < 0.35

    def test_neighbours_do_not(self):
        v = product(3, 6, 20, 4)
        assert mig(v, v, bins=10).value < 0.95
        assert mig(v, v, neighbours=3).value > 0.99

    def test_two_values_by_one_line(self):
        v = product(2, 2, 2).repeat(20, 0)
        assert sap(v, v).value == pytest.approx(0.5, abs=0.2)
        assert min(np.diag(sap(v, v).details["scores"])) == 1


class TestDefinitions:
    """Slow implementations from the definitions, on five fixtures."""

    @FIXTURE
    @pytest.mark.parametrize("bins", [4, 20])
    def test_information(self, name, bins):
        codes, factors = FIXTURES[name]
        labels = np.stack(
            [np.digitize(c, np.histogram(c, bins)[1][:-1]) for c in codes.astype(float).T], axis=1
        )
        information = np.array([[mutual_info_score(v, a) for v in factors.T] for a in labels.T])
        entropies = np.array([mutual_info_score(v, v) for v in factors.T])
        ours = mutual_information(binned(codes, bins), checked(codes, factors).factors)
        np.testing.assert_allclose(ours, information, atol=1e-12)
        np.testing.assert_allclose(entropy(factors), entropies, atol=1e-12)
        ordered = np.sort(information, 0)
        expected = ((ordered[-1] - ordered[-2]) / entropies).mean()
        assert mig(codes, factors, bins=bins).value == pytest.approx(expected, abs=1e-12)
        parts = []
        for row in information:
            best = row.argmax()
            template = np.zeros(len(row))
            template[best] = row[best]
            error = (
                ((row - template) ** 2).sum() / (row[best] ** 2 * (len(row) - 1)) if row[best] > 1e-12 else 1
            )
            parts.append(1 - error)
        assert modularity(codes, factors, bins=bins).value == pytest.approx(np.mean(parts), abs=1e-9)

    @pytest.mark.parametrize("neighbours", [2, 5])
    def test_nearest_neighbours(self, neighbours):
        v = np.random.default_rng(3).integers(3, size=(200, 1))
        z = v + np.random.default_rng(4).normal(size=(200, 1))
        digamma = special.digamma
        terms = []
        for x, u in zip(z[:, 0], v[:, 0], strict=True):
            alike = np.sort(abs(z[v == u] - x))
            near = (abs(z[:, 0] - x) < alike[neighbours]).sum()
            terms.append(digamma(200) + digamma(neighbours) - digamma(len(alike)) - digamma(near))
        found = nearest_information(z, v, neighbours)
        assert found.item() == pytest.approx(np.mean(terms), abs=1e-9)
        assert 0.1 < found.item() < 0.6

    @FIXTURE
    def test_squared_correlations(self, name):
        codes, factors = FIXTURES[name]
        table = [[c.std() and np.corrcoef(c, v)[0, 1] ** 2 for v in factors.T] for c in codes.T]
        ordered = np.sort(np.array(table), 0)
        expected = (ordered[-1] - ordered[-2]).mean()
        assert sap(codes, factors, kind="continuous").value == pytest.approx(expected, abs=1e-9)

    @FIXTURE
    @pytest.mark.parametrize("quantile", [0.9, 1.0])
    def test_interventions(self, name, quantile):
        codes, factors = FIXTURES[name]
        scores, weights = [], []
        for c in (c for c in codes.T if c.std() > 0):
            most = max(abs(x - c.mean()) for x in c)
            each = []
            for v in factors.T:
                alike = [c[v == u] for u in sorted(set(v))]
                each.append(1 - np.mean([np.quantile(abs(x - x.mean()), quantile) for x in alike]) / most)
            scores.append(max(each))
            weights.append(most)
        expected = np.dot(scores, weights) / sum(weights)
        assert irs(codes, factors, quantile=quantile).value == pytest.approx(expected, abs=1e-12)

    @FIXTURE
    def test_machines(self, name):
        codes, factors = FIXTURES[name]
        train, test = halves(checked(codes, factors), np.random.default_rng(3))
        assert len(train) + len(test) == len(codes)
        table = np.zeros((codes.shape[1], factors.shape[1]))
        for i, k in np.ndindex(*table.shape):
            machine = LinearSVC(C=0.01, class_weight="balanced", dual="auto", random_state=3)
            machine.fit(train.codes[:, [i]], train.factors[:, k])
            table[i, k] = machine.score(test.codes[:, [i]], test.factors[:, k])
        ordered = np.sort(table, 0)
        found = sap(codes, factors, seed=3)
        assert found.value == pytest.approx((ordered[-1] - ordered[-2]).mean(), abs=1e-12)
        np.testing.assert_allclose(found.details["scores"], table)

    @FIXTURE
    def test_areas(self, name):
        codes, factors = FIXTURES[name]
        train, test = halves(checked(codes, factors), np.random.default_rng(0))
        scale = np.where(train.codes.std(0) > 0, train.codes.std(0), 1)
        x, y = ((part.codes - train.codes.mean(0)) / scale for part in (train, test))
        areas = []
        for k in range(factors.shape[1]):
            probabilities = LogisticRegression(max_iter=1000).fit(x, train.factors[:, k]).predict_proba(y)
            hot = np.eye(probabilities.shape[1])[test.factors[:, k]]
            areas.append(roc_auc_score(hot, probabilities))
        assert explicitness(codes, factors, seed=0).value == pytest.approx(np.mean(areas), abs=1e-9)

    @pytest.mark.parametrize("name", ["rotated", "correlated"])
    def test_entropies_of_importances(self, name):
        codes, factors = FIXTURES[name]
        found = dci(codes, factors, model="lasso")
        table = found.importances
        shares = table.sum(1) / table.sum()
        rows = [1 - stats.entropy(row, base=len(row)) if row.sum() else 0 for row in table]
        assert found.disentanglement.value == pytest.approx(np.dot(shares, rows), abs=1e-9)
        columns = [1 - stats.entropy(column, base=len(column)) if column.sum() else 0 for column in table.T]
        assert found.completeness.value == pytest.approx(
            np.dot(table.sum(0) / table.sum(), columns), abs=1e-9
        )


def known_codes(v):
    """A code of each example, which depends on its factors alone and mixes them."""
    return np.stack([v[:, 0] + 0.4 * v[:, 1], v[:, 1] - 0.5 * v[:, 2], v[:, 2] + 0.7 * v[:, 0]], 1) + 0.0


class TestDraws:
    """Rows that share a value stand for examples that are made with it."""

    SIZES = (3, 6, 5)

    def test_least_variance(self):
        rng = np.random.default_rng(5)
        everything = known_codes(product(*self.SIZES)).var(0, ddof=1)

        def votes(count):
            table = np.zeros((3, 3))
            for _ in range(count):
                k = rng.integers(3)
                v = np.stack([rng.integers(size, size=4) for size in self.SIZES], 1)
                v[:, k] = v[0, k]
                table[k, (known_codes(v).var(0, ddof=1) / everything).argmin()] += 1
            return table

        best = votes(3000).argmax(0)
        asked = votes(3000)
        expected = asked[best, range(3)].sum() / asked.sum()
        v = product(*self.SIZES)
        found = factor_vae_score(known_codes(v), v, batch=4, train=10_000, test=20_000)
        assert 0.4 < expected < 0.95
        assert found.value == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 3000))

    def test_distances(self):
        rng = np.random.default_rng(6)

        def draws(count):
            shared = rng.integers(3, size=count)
            pairs = [
                np.stack([rng.integers(size, size=(count, 4)) for size in self.SIZES], -1) for _ in range(2)
            ]
            for row, k in enumerate(shared):
                pairs[1][row, :, k] = pairs[0][row, :, k]
            z = [known_codes(part.reshape(-1, 3)).reshape(count, 4, 3) for part in pairs]
            return abs(z[0] - z[1]).mean(1), shared

        expected = LogisticRegression(max_iter=1000).fit(*draws(5000)).score(*draws(5000))
        v = product(*self.SIZES)
        found = beta_vae_score(known_codes(v), v, batch=4)
        assert 0.4 < expected < 0.95
        assert found.value == pytest.approx(expected, abs=4 * math.sqrt(2 * 0.25 / 5000))

    def test_votes(self):
        v = product(4, 5)
        found = factor_vae_score(np.hstack([np.zeros((20, 1)), v[:, ::-1]]), v, train=400, test=100)
        votes = np.array(found.details["votes"])
        assert found.details["active"] == 2
        assert votes.sum() == 400
        assert (votes > 0).tolist() == [[False, False, True], [False, True, False]]


class TestPredictors:
    def test_forest(self):
        v = product(4, 4, 4).repeat(5, 0)
        noise = spread(len(v), 2)
        found = dci(np.hstack([v, noise]), v)
        assert found.disentanglement.value > 0.95
        assert found.completeness.value > 0.95
        assert found.informativeness.value == 1
        assert found.informativeness.details["train"] == 214

    def test_boosted_trees(self):
        v = product(3, 3, 3).repeat(5, 0)
        found = dci(np.hstack([v, v]), v, model="gbt")
        assert found.disentanglement.value > 0.99
        assert found.completeness.value == pytest.approx(1 - math.log(2) / math.log(6), abs=0.1)
        assert found.informativeness.value == 1

    def test_lasso(self):
        v = product(6, 6, 6)
        found = dci(v * [1.0, 100.0, 0.01], v, model="lasso")
        np.testing.assert_allclose(found.importances, np.diag([1.7, 1.7, 1.7]), atol=0.15)
        assert found.disentanglement.value == pytest.approx(1, abs=1e-3)
        assert found.informativeness.value == pytest.approx(1, abs=1e-3)

    @pytest.mark.slow
    def test_ten_factors(self):
        """The bounds of the tests of disentanglement_lib, with its predictor."""
        v = tens(1500)
        for codes, least, most in ((v, 0.9, 1.0), (mixed_up(v), 0.0, 0.2)):
            found = dci(codes, v, model="gbt")
            assert least <= found.disentanglement.value <= most
            assert least <= found.completeness.value <= most


class TestErrors:
    @pytest.mark.parametrize(
        "measure",
        [mig, modularity, lambda z, v: sap(z, v, kind="continuous")],
        ids=["mig", "modularity", "sap"],
    )
    def test_spread_over_samples(self, measure):
        rng = np.random.default_rng(1)
        values, errors = [], []
        for _ in range(200):
            v = rng.integers(4, size=(500, 3))
            z = v @ np.array([[1.0, 0.4, 0.0], [0.0, 1.0, 0.6], [0.3, 0.0, 1.0]]) + rng.normal(size=(500, 3))
            found = measure(z, v)
            values.append(found.value)
            errors.append(found.standard_error)
            assert abs(found.influence.mean()) < 1e-12
        # The standard deviation of 200 numbers is known to a twentieth.
        assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)

    def test_spread_over_unseen(self):
        """Of two values there is one area, with the error of DeLong."""
        v = np.random.default_rng(2).integers(2, size=(900, 1))
        z = v + np.random.default_rng(3).normal(size=v.shape)
        _, test = halves(checked(z, v), np.random.default_rng(0))
        scores = torch.from_numpy(test.codes[:, 0])
        of_one = torch.from_numpy(test.factors[:, 0] == 1)
        area, error = auroc(scores[of_one], scores[~of_one])
        found = explicitness(z, v, seed=0)
        assert found.value == pytest.approx(area, abs=1e-12)
        assert found.standard_error == pytest.approx(error, rel=0.01)


def test_parts_are_apart():
    z = np.arange(40_000)[:, None]
    for n, sizes in ((300, (200, 100)), (40_000, (10_000, 5_000))):
        parts = halves(checked(z[:n], z[:n] % 3), np.random.default_rng(0))
        assert tuple(map(len, parts)) == sizes
        assert not set(parts[0].codes[:, 0]) & set(parts[1].codes[:, 0])
        assert parts[1].codes.mean() == pytest.approx(n / 2, rel=0.1)


class TestRefusals:
    @pytest.mark.parametrize("measure", ALL.values(), ids=ALL)
    def test_factors_that_do_not_vary(self, measure):
        with pytest.raises(UndefinedError, match="factors that vary"):
            measure(np.random.default_rng(0).normal(size=(9, 2)), np.ones((9, 3)))

    @pytest.mark.parametrize("measure", [mig, sap, dci])
    def test_one_latent(self, measure):
        with pytest.raises(UndefinedError, match="2 or more latents, and there are 1"):
            measure(product(4, 4)[:, :1], product(4, 4))

    @pytest.mark.parametrize("measure", [modularity, dci, beta_vae_score, factor_vae_score])
    def test_one_factor(self, measure):
        with pytest.raises(UndefinedError, match="2 or more factors"):
            measure(product(4, 4), product(4, 4)[:, :1])

    @pytest.mark.parametrize("measure", ALL.values(), ids=ALL)
    def test_not_finite(self, measure):
        with pytest.raises(UndefinedError, match="not finite"):
            measure(np.where(product(4, 4) == 2, np.nan, 1.0), product(4, 4))

    @pytest.mark.parametrize(("codes", "factors"), [((4,), (4, 1)), ((4, 2), (5, 2)), ((4, 2), (4,))])
    def test_shapes(self, codes, factors):
        with pytest.raises(DataError, match=r"codes \(n, d\) and factors \(n, k\)"):
            mig(np.zeros(codes), np.zeros(factors))

    def test_few_examples(self):
        with pytest.raises(UndefinedError, match="too few"):
            explicitness(product(2, 2)[:3], product(2, 2)[:3])

    def test_constant_factors_are_left_out(self):
        v = product(4, 1, 4)
        found = mig(v, v)
        assert found.value == 1
        assert found.details["kept"] == [0, 2]

    def test_names_of_values_do_not_matter(self):
        v = product(3, 4)
        z = known_codes(np.hstack([v, v]))
        for measure in (mig, irs, modularity):
            assert measure(z, v).value == measure(z, v * [10, -3] + 5).value


def model_of(columns=3, latent=3):
    """``E_q[z] = x`` of tables."""
    parts = {"encoder": "identity", "network": "linear", "decoder": {"name": "gaussian", "scale": 1.0}}
    factors = tuple(Factor(f"f{i}", 6) for i in range(3))
    info = DataInfo((columns,), low=-math.inf, high=math.inf, factors=factors)
    model = assemble(compose("vae", components=parts, latent=latent), info)
    with torch.no_grad():
        head = model.posterior.head
        head.weight.zero_()
        head.bias.zero_()
        head.weight[:latent] = torch.eye(columns)[:latent]
    return model


def rows_of(codes, factors=None):
    return TensorSplit(
        Batch(torch.as_tensor(codes).float(), factors=None if factors is None else torch.as_tensor(factors))
    )


NAMES = {
    "mig": "mig[20]",
    "modularity": "modularity[20]",
    "explicitness": "explicitness",
    "sap": "sap[discrete]",
    "irs": "irs[0.99]",
    "beta-vae-score": "beta_vae_score",
    "factor-vae-score": "factor_vae_score",
}


class TestMetrics:
    V = product(3, 6, 5)

    @pytest.mark.parametrize("metric", ["mig", "modularity", "irs"])
    def test_of_a_model(self, metric):
        z = known_codes(self.V)
        row = evaluate(model_of(), rows_of(z, self.V), metric)[NAMES[metric]]
        # Codes are single precision.
        assert row.value == pytest.approx(ALL[metric](z.astype(np.float32), self.V).value, abs=1e-6)
        assert row.details["factors"] == ["f0", "f1", "f2"]
        assert row.n == 90

    def test_all_by_name(self):
        split = rows_of(self.V, self.V)
        result = evaluate(model_of(), split, [*ALL, "mig[8]"])
        made = {f"dci_{part}[forest]" for part in ("disentanglement", "completeness", "informativeness")}
        assert {row.name for row in result.rows} == {*NAMES.values(), *made, "mig[8]"}
        assert all(row.better == "higher" and row.value > 0.2 for row in result.rows)
        some = [name for name in ALL if name != "dci"][::-1]
        again = {row.name: row.value for row in evaluate(model_of(), split, some).rows}
        assert again.items() <= {row.name: row.value for row in result.rows}.items()

    def test_bins_that_are_too_few(self):
        split = rows_of(self.V, self.V)
        result = evaluate(model_of(), split, "mig[5]")
        assert result.warnings == ("mig[5] cannot reach 1: there are more values than bins of f1",)
        assert not evaluate(
            model_of(), split, ["mig[6]", {"name": "mig", "bins": 2, "neighbours": 3}]
        ).warnings

    def test_by_neighbours(self):
        (row,) = evaluate(model_of(), rows_of(self.V, self.V), {"name": "mig", "neighbours": 3}).rows
        assert row.name == "mig[knn-3]"
        assert row.value > 0.9
        assert math.isnan(row.standard_error)
        assert "bins" not in row.details

    def test_constant_factor_by_name(self):
        v = product(6, 1, 6)
        row = evaluate(model_of(), rows_of(v, v), "mig").rows[0]
        assert row.details["factors"] == ["f0", "f2"]

    def test_paired_numbers(self):
        row = evaluate(model_of(), rows_of(known_codes(self.V), self.V), "mig").rows[0]
        assert row.examples.mean().item() == pytest.approx(row.value, abs=1e-12)
        assert row.examples.std().item() / math.sqrt(90) == pytest.approx(row.standard_error)

    @pytest.mark.parametrize("metric", ALL)
    def test_without_factors(self, metric):
        result = evaluate(model_of(), rows_of(self.V), metric)
        assert not result.rows
        assert "no ground-truth factors" in result.undefined[metric]

    def test_seeds(self):
        noisy = self.V + 3 * spread(90, 3)
        values = [
            evaluate(model_of(), rows_of(noisy, self.V), "factor-vae-score", seed=seed).rows[0].value
            for seed in (0, 0, 1)
        ]
        assert values[0] == values[1] != values[2]


def test_large():
    """Many examples and latents take seconds."""
    rng = np.random.default_rng(0)
    v = np.stack([rng.integers(size, size=20_000) for size in (3, 6, 20)], 1)
    z = rng.normal(size=(20_000, 64))
    z[:, :3] += v
    assert mig(z, v).value > 0.3
    assert factor_vae_score(z, v, train=500, test=500).value > 0.9
    assert nearest_information(z[:1000, :2], v[:1000]).shape == (2, 3)
