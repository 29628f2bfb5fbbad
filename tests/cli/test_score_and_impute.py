"""``genmod score`` and ``genmod impute``: of arrays and of tables, in the units of the file."""

import numpy as np
import pandas
import pyarrow
import pytest
import torch

import genmod as library
from genmod.data.table import FrameDataset
from genmod.model.importance import importance_bounds
from genmod.system.random import seed_for, seeded

RNG = np.random.default_rng(4)


@pytest.fixture
def people(genmod):
    """A model of a table, in the folder ``people``, and a table with gaps, ``gaps.csv``."""
    n = 60
    frame = pandas.DataFrame(
        {
            "city": RNG.choice(["Rom", "Bern", "Genf"], n),
            "height": RNG.normal(170, 9, n).round(3),
            "pay": np.exp(RNG.normal(8, 1, n)).round(2),
            "country": "CH",
        }
    )
    frame.to_csv("people.csv", index=False)
    model = library.build(
        data={"name": "table", "path": "people.csv"}, latent=2, settings={"encoder.hidden": [8]}
    )
    library.save(model, "people")
    gaps = frame.astype(object)
    gaps[RNG.random(gaps.shape) < 0.25] = None
    gaps.to_csv("gaps.csv", index=False)
    return model.eval()


def test_scores_of_arrays_are_those_of_python(genmod):
    x = RNG.normal(size=(20, 3)).astype(np.float32)
    np.savez("x.npz", x=x)
    model = library.build(encoder="mlp", latent=2, decoder="gaussian", data={"name": "npz", "path": "x.npz"})
    library.save(model, "model")
    done = genmod("score", "model", "x.npz", "--draws", "7", "--columns", "-o", "s.npz")
    assert (done.code, done.out) == (0, "s.npz\n")
    assert "lower bound on the log-density, importance-weighted with 7 draws of q(z|x)\n" in done.err
    found = np.load("s.npz")
    assert np.array_equal(found["log_likelihood"], model.score_samples(x, draws=7))
    assert found["index"].tolist() == [*range(20)]
    assert found["by_column"].shape == (20, 3)
    assert genmod("score", "model", "-o", "s.csv", "--columns", "--split", "test").code == 0
    assert list(pandas.read_csv("s.csv"))[-3:] == [f"log_likelihood_{i}" for i in range(3)]
    assert "one array" in genmod("score", "-o", "s.npy").err


def test_a_table_is_scored_per_unit_of_the_file(genmod, people):
    assert genmod("score", "people", "people.csv", "--draws", "5", "--columns", "-o", "s.parquet").code == 0
    found, frame = pandas.read_parquet("s.parquet"), pandas.read_csv("people.csv")
    assert list(found)[1:] == [
        *("log_likelihood", "effective_draws"),
        *("log_likelihood_city", "log_likelihood_height", "log_likelihood_pay"),
    ]
    assert np.allclose(found["log_likelihood"], people.score_samples(frame, draws=5))
    # By hand: the density of what the model sees, and the derivative of the map to that.
    split = FrameDataset(frame)
    split.known = people.data
    x, scale, shift = split.everything().batch.x, people.data.scale, people.data.shift
    with torch.no_grad(), seeded(seed_for(0, "score", 0)):
        inner = importance_bounds(people, x, None, [5], rows=100).values[0].numpy()
    logs = shift[2] + scale[2] * x[:, 2].double().numpy()
    assert np.allclose(found["log_likelihood"] - inner, -np.log(scale[1] * scale[2]) - logs, atol=1e-5)


@pytest.mark.parametrize("how", [(), ("--mean",)])
def test_only_the_gaps_of_a_table_are_filled(genmod, people, how, monkeypatch):
    monkeypatch.setattr("genmod.model.impute._STEPS", 10)
    done = genmod("impute", "people", "gaps.csv", "-o", "full.csv", *how)
    assert (done.code, done.out) == (0, "full.csv\n")
    gaps, full = pandas.read_csv("gaps.csv"), pandas.read_csv("full.csv")
    assert list(gaps) == list(full)
    assert not full.isna().any().any()
    seen = gaps.notna()
    assert (gaps.where(seen, 0) == full.where(seen, 0)).all().all()
    assert set(full["city"]) <= {"Rom", "Bern", "Genf"}
    assert set(full["country"]) == {"CH"}
    assert (full["pay"] > 0).all()


def test_several_draws_of_a_table_stand_one_after_the_other(genmod, people, monkeypatch):
    monkeypatch.setattr("genmod.model.impute._STEPS", 10)
    assert genmod("impute", "people", "gaps.csv", "--draws", "2", "-o", "two.csv").code == 0
    two = pandas.read_csv("two.csv")
    assert two["draw"].tolist() == [0] * 60 + [1] * 60
    gone = pandas.read_csv("gaps.csv")["height"].isna().to_numpy()
    first, second = two["height"].to_numpy().reshape(2, 60)
    assert (first[~gone] == second[~gone]).all()
    assert (first[gone] != second[gone]).all()


@pytest.mark.parametrize("missing", [True, False])
def test_gaps_of_arrays_are_filled_in_the_units_of_the_file(genmod, missing):
    x = RNG.normal(50, 10, (40, 3)).astype(np.float32)
    np.savez("x.npz", x=x)
    data = {"name": "npz", "path": "x.npz", "standardize": True, "missing": missing}
    parts = {"encoder": {"name": "mlp", "hidden": [8]}, "decoder": "gaussian"}
    library.save(library.build(**parts, latent=2, data=data), "model")
    x[::2, 1] = np.nan
    np.savez("gaps.npz", x=x)
    assert genmod("impute", "model", "gaps.npz", "-o", "full.npz", "--draws", "2").code == 0
    found = np.load("full.npz")["x"]
    assert found.shape == (40, 2, 3)
    seen = ~np.isnan(np.broadcast_to(x[:, None], found.shape))
    assert np.allclose(found[seen], np.broadcast_to(x[:, None], found.shape)[seen], rtol=1e-6)
    assert 0 < np.abs(found[~seen] - 50).max() < 100
    assert np.abs(found[~seen] - 50).mean() > 1


def test_frames_in_and_out_in_python(people, monkeypatch):
    monkeypatch.setattr("genmod.model.impute._STEPS", 10)
    gaps = pandas.read_csv("gaps.csv", index_col=None).set_index(np.arange(100, 160))
    full = people.impute(gaps, seed=3)
    assert full.index.tolist() == gaps.index.tolist()
    assert list(full) == list(gaps)
    assert (full.dtypes == gaps.dtypes).all()
    complete = pandas.read_csv("people.csv")[["pay", "height", "city"]].set_index(np.arange(7, 67))
    codes = people.transform(complete)
    assert (list(codes), codes.index.tolist()) == (["z0", "z1"], complete.index.tolist())
    split = FrameDataset(complete)
    split.known = people.data
    with torch.no_grad():
        means = people.encode(split.everything().batch.x).mean.numpy()
    assert np.allclose(codes, means, rtol=1e-5, atol=1e-6)
    arrow = people.transform(pyarrow.Table.from_pandas(complete, preserve_index=False))
    assert isinstance(arrow, pyarrow.Table)
    assert np.allclose(arrow["z0"].to_numpy(), means[:, 0], rtol=1e-5, atol=1e-6)
    several = people.impute(gaps, draws=2)
    assert len(several) == 2
    assert not several[0].equals(several[1])
