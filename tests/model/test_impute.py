"""Missing values that are filled in, against a model whose conditional distributions are known."""

import numpy as np
import pytest
import torch

from genmod import Batch, DataError, TensorSplit, UndefinedError, UsageError, build
from genmod.model import impute
from genmod.model.impute import impute_blocks

NAN = np.nan
ROWS = np.float32([[1.2, NAN, 0.5, NAN], [NAN, 0.3, NAN, NAN], [0.5, -1.0, 2.0, NAN]])


def filled(model, x, **how):
    split = TensorSplit(Batch(torch.as_tensor(x)))
    return torch.cat([block["x"] for block in impute_blocks(model, split, **how)]).numpy()


@pytest.fixture(params=["by weight", "by chain"])
def known(request, linear, monkeypatch):
    """A model for missing values, and one for complete data."""
    monkeypatch.setattr(impute, "_PROPOSALS", 1000)
    monkeypatch.setattr(impute, "_STEPS", 60)
    return linear(missing=request.param == "by weight")


def test_draws_have_the_known_mean_and_covariance(known):
    copies = 600
    x = np.repeat(ROWS, copies, axis=0)
    found = filled(known.model, x).reshape(len(ROWS), copies, 4)
    for row, draws in zip(ROWS, found, strict=True):
        mean, covariance = known.given(row)
        gone = np.isnan(row)
        assert (draws[:, ~gone] == row[~gone]).all()
        error = np.sqrt(covariance.diagonal() / copies)
        assert (np.abs(draws[:, gone].mean(0) - mean) < 5 * error).all()
        # A variance from n normal draws has the relative error sqrt(2 / n).
        scale = np.sqrt(np.outer(covariance.diagonal(), covariance.diagonal()))
        sample = np.atleast_2d(np.cov(draws[:, gone].T))
        assert (np.abs(sample - covariance) < 5 * scale * np.sqrt(2 / copies)).all()


def test_the_mean_is_the_known_one(known, monkeypatch):
    monkeypatch.setattr(impute, "_STEPS", 300)
    found = filled(known.model, np.repeat(ROWS, 30, axis=0), mean=True).reshape(len(ROWS), 30, 4)
    for row, means in zip(ROWS, found, strict=True):
        mean, covariance = known.given(row)
        assert (means.std(0)[np.isnan(row)] < 0.5 * np.sqrt(covariance.diagonal())).all()
        assert np.abs(means.mean(0)[np.isnan(row)] - mean).max() < 0.1


def test_several_draws_complete_rows_and_seeds(known):
    x = np.concatenate([ROWS, np.float32([[1, 2, 3, 4]])])
    torch.manual_seed(0)
    before = torch.get_rng_state()
    found = filled(known.model.train(), x, draws=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert known.model.training
    assert found.shape == (4, 3, 4)
    assert (found[3] == x[3]).all()
    assert not np.isnan(found).any()
    gone = np.isnan(x[0])
    assert len(np.unique(found[0][:, gone])) == 3 * gone.sum()
    assert np.array_equal(filled(known.model, x, draws=3), found)
    assert not np.array_equal(filled(known.model, x, draws=3, seed=1), found)


def test_levels_counts_and_ranges_are_kept():
    x = torch.rand(6, 1, 8, 8).round()
    x[:, :, ::2] = torch.nan
    small = {"encoder.hidden": [8]}
    binary = build(encoder="mlp", data="digits", settings=small)
    assert set(np.unique(filled(binary, x))) <= {k / 16 for k in range(17)}
    assert binary.data.levels == 17
    gaussian = build(encoder="mlp", data="digits", decoder="gaussian", settings=small)
    found = filled(gaussian, x)
    assert np.allclose(found * 16, (found * 16).round(), atol=1e-4)
    assert 0 <= found.min() <= found.max() <= 1


def test_what_is_refused():
    x = torch.full((2, 1, 8, 8), torch.nan)
    with pytest.raises(UndefinedError, match="no distribution of missing values"):
        filled(build("autoencoder", encoder="mlp"), x)
    with pytest.raises(UndefinedError, match="one point for each example"):
        filled(build("vq-vae"), x)
    with pytest.raises(UsageError, match="no examples"):
        filled(build(encoder="mlp"), x[:0])
    with pytest.raises(DataError, match="infinite"):
        filled(build(encoder="mlp"), torch.full((2, 1, 8, 8), torch.inf))
