"""The estimator of scikit-learn: its checks, pipelines, searches, units, and densities against a known one."""

import pickle

import numpy as np
import pandas
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from genmod.errors import ChoiceWarning
from genmod.sklearn import VAE

RNG = np.random.default_rng(8)
X = RNG.normal(size=(90, 2)) @ RNG.normal(size=(2, 4)) * [1, 10, 0.1, 1000] + [0, 50, -3, 1e6]


def small(**more):
    settings = {"encoder.hidden": [8], **more.pop("settings", {})}
    return VAE(**{"latent": 2, "steps": 5, "random_state": 0, "settings": settings, **more})


@pytest.mark.slow
@parametrize_with_checks([VAE(steps=20)])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("posterior", ["normal", "normal-full"])
def test_densities_come_to_the_known_one_in_the_units_of_the_data(posterior):
    """Of a linear model, whose density in standardised values is normal; the units are a factor of the density."""
    parts = {"encoder": "identity", "network": "linear", "posterior": posterior}
    vae = VAE(latent=2, steps=30, lr=0.05, draws=3000, random_state=1, **parts).fit(X)
    layer = vae.model_.network.layer
    with torch.no_grad():
        deviation = vae.model_.decode(torch.zeros(1, 2, dtype=torch.float64)).base_dist.scale.flatten()
        covariance = layer.weight @ layer.weight.T + deviation.square().expand(4).diag()
        known = torch.distributions.MultivariateNormal(layer.bias, covariance)
        inner = torch.from_numpy((X[:20] - X.mean(0)) / X.std(0))
        truth = known.log_prob(inner).numpy() - np.log(X.std(0)).sum()
    found = vae.score_samples(X[:20])
    np.testing.assert_allclose(found, truth, atol=0.4)
    assert abs((found - truth).mean()) < 0.1
    assert vae.score(X[:20]) == pytest.approx(found.mean())


def test_a_row_is_what_it_is_alone_and_the_state_of_torch_is_left():
    vae = small().fit(X)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    scores, codes = vae.score_samples(X), vae.transform(X)
    vae.sample(3)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_allclose(vae.score_samples(X[5:7]), scores[5:7], rtol=1e-10)
    np.testing.assert_allclose(vae.transform(X[5:7]), codes[5:7], atol=1e-12)
    assert np.array_equal(small().fit(X).transform(X), codes)
    assert not np.allclose(small(random_state=1).fit(X).transform(X), codes)


def test_it_survives_pickle_and_clone():
    vae = small().fit(X)
    again = pickle.loads(pickle.dumps(vae))  # noqa: S301 - of our own making
    assert np.array_equal(again.transform(X), vae.transform(X))
    assert np.array_equal(again.sample(4), vae.sample(4))
    fresh = clone(vae)
    assert fresh.get_params() == vae.get_params()
    with pytest.raises(NotFittedError):
        fresh.transform(X)


def test_a_search_over_a_pipeline():
    pipeline = Pipeline([("scale", StandardScaler()), ("vae", VAE(steps=5, random_state=0))])
    choices = {"vae__latent": [1, 2], "vae__encoder": [{"name": "mlp", "hidden": [8]}, "identity"]}
    search = GridSearchCV(pipeline, {**choices, "vae__network": ["linear"]}, cv=2)
    search.fit(X[:40])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.transform(X).shape == (90, search.best_params_["vae__latent"])


def test_frames_in_and_out():
    frame = pandas.DataFrame(X, columns=list("abcd"), index=np.arange(10, 100))
    vae = small().set_output(transform="pandas").fit(frame)
    codes = vae.transform(frame)
    assert (list(codes), codes.index.tolist()) == (["vae0", "vae1"], frame.index.tolist())
    assert vae.get_feature_names_out().tolist() == ["vae0", "vae1"]
    assert vae.n_features_in_ == 4
    assert vae.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        vae.transform(frame[["d", "c", "b", "a"]])


def test_samples_and_decodings_are_in_the_units_of_the_data():
    vae = small(steps=100, lr=1e-2).fit(X)
    for made in (vae.sample(300), vae.inverse_transform(vae.transform(X))):
        assert made.dtype == np.float64
        assert (np.abs(made.mean(0) - X.mean(0)) < X.std(0)).all()
        assert (made.std(0) < 3 * X.std(0)).all()
    error = (vae.inverse_transform(vae.transform(X)) - X).std(0) / X.std(0)
    assert (error < 0.9).all()


def test_a_frame_with_words_dates_and_gaps():
    frame = pandas.DataFrame(
        {
            "city": RNG.choice(["Rom", "Bern"], 60),
            "pay": np.exp(RNG.normal(8, 1, 60)),
            "day": pandas.Timestamp("2020-01-01") + pandas.to_timedelta(RNG.integers(0, 500, 60), "D"),
        }
    )
    frame.loc[::7, "pay"] = np.nan
    vae = small().fit(frame)
    assert vae.transform(frame).shape == (60, 2)
    assert np.isfinite(vae.score_samples(frame)).all()
    made = vae.sample(20)
    assert list(made) == list(frame)
    assert set(made["city"]) <= {"Rom", "Bern"}
    assert list(vae.inverse_transform(vae.transform(frame))) == list(frame)


def test_partial_fit_goes_on():
    vae = small(steps=None, batch_size=30).partial_fit(X)
    first = vae.transform(X)
    weights = vae.model_.data
    vae.partial_fit(X + 1)
    assert vae.model_.data == weights
    assert not np.allclose(vae.transform(X), first)
    with pytest.raises(ValueError, match="features"):
        vae.partial_fit(X[:, :2])


def test_parts_that_are_not_named_adapt():
    rows = np.random.default_rng(0).normal(size=(40, 3))
    with pytest.warns(ChoiceWarning, match="--divergence none in place of kl"):
        model = VAE(objective="iwae", latent=2, steps=2).fit(rows).model_
    assert model.spec.components["divergence"].name == "none"
