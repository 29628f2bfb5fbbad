"""Codes of cells, written back into their file."""

import warnings

import numpy as np
import pandas as pd
from scipy import sparse

import genmod
from genmod.cli import main

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import anndata


def run(*arguments):
    try:
        main(list(map(str, arguments)))
    except SystemExit as done:
        return done.code
    return 0


def test_codes_are_beside_the_cells(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).poisson(1.0, (40, 5))
    obs = pd.DataFrame({"batch": np.arange(40) % 2}, index=[f"c{i}" for i in range(40)])
    var = pd.DataFrame(index=list("abcde"))
    cells = anndata.AnnData(sparse.csr_matrix(x), obs, var, uns={"by": "us"}, obsm={"X_pca": x[:, :2] / 3})
    cells.write_h5ad("cells.h5ad")
    given = ["--data", "h5ad", "-s", "dataset.path=cells.h5ad", "-s", "dataset.factors=batch"]
    given += ["--condition", "batch", "-s", "decoder.size_factor=observed", "--latent", "3"]
    assert run("build", "zinb-vae", *given, "-o", "m") == 0
    cells[::-1, ::-1].copy().write_h5ad("turned.h5ad")
    assert run("encode", "m", "turned.h5ad", "--with", "scales", "-o", "coded.h5ad") == 0
    found, model = anndata.read_h5ad("coded.h5ad"), genmod.load("m")
    assert list(found.obs_names) == [f"c{i}" for i in reversed(range(40))]
    stored = genmod.open_dataset(model.spec, info=model.data).everything().__getitems__(range(40))
    q = model.encode(stored.x, model.context(stored))
    np.testing.assert_allclose(found.obsm["X_genmod"][::-1], q.mean.detach(), atol=1e-6)
    np.testing.assert_allclose(found.obsm["X_genmod_scales"][::-1], q.stddev.detach(), atol=1e-6)
    np.testing.assert_array_equal(found.obsm["X_pca"][::-1], x[:, :2] / 3)
    assert found.uns["by"] == "us"
    assert run("encode", "m", "-o", "other.h5ad") == 2
    assert "give the .h5ad file" in capsys.readouterr().err
